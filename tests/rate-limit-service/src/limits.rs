//! The limits, as limitador has them: a fixed window, conditions and variables in CEL over `descriptors`.

use std::collections::HashMap;
use std::sync::Arc;

use limitador::counter::Counter;
use limitador::errors::LimitadorError;
use limitador::limit::{Context, Expression, Limit, ParseError, Predicate};
use serde::Deserialize;

use crate::message::Descriptor;

/// A limits file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// It is not of its form.
    #[error("the limits: {0}")]
    Form(#[from] serde_saphyr::Error),
    /// A condition or variable is not CEL.
    #[error("the limits: {0}")]
    Expression(#[from] ParseError),
}

/// One limit of a file, with limitador's own names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    namespace: String,
    max_value: u64,
    seconds: u64,
    name: Option<String>,
    #[serde(default)]
    conditions: Vec<String>,
    #[serde(default)]
    variables: Vec<String>,
}

/// All limits.
#[derive(Clone, Debug, Default)]
pub struct Limits(Vec<Arc<Limit>>);

impl Limits {
    /// Reads a list of limits, in YAML or JSON: `namespace`, which is Envoy's domain, `max_value`, `seconds`, and if need be
    /// `name`, `conditions` and `variables`. In the latter two, `descriptors[0]` is the descriptor that is looked at.
    ///
    /// # Errors
    /// Where the text is no such list.
    pub fn read(text: &str) -> Result<Limits, LimitsError> {
        let entries: Vec<Entry> = serde_saphyr::from_str(text)?;
        let limits: Result<Vec<Arc<Limit>>, ParseError> =
            entries.iter().map(|entry| limit(entry).map(Arc::new)).collect();
        Ok(Limits(limits?))
    }

    /// The counters that a descriptor of `domain` is counted by.
    ///
    /// # Errors
    /// Where a variable cannot be found in it.
    pub(crate) fn counters(&self, domain: &str, descriptor: &Descriptor) -> Result<Vec<Counter>, LimitadorError> {
        let entries = descriptor.entries.iter().map(|entry| (entry.key.clone(), entry.value.clone()));
        let mut context = Context::default();
        context.list_binding("descriptors".to_owned(), vec![entries.collect::<HashMap<_, _>>()]);
        let mut counters = Vec::new();
        for limit in &self.0 {
            if limit.namespace().as_ref() == domain && limit.applies(&context) {
                counters.extend(Counter::new(Arc::clone(limit), &context)?);
            }
        }
        Ok(counters)
    }
}

fn limit(entry: &Entry) -> Result<Limit, ParseError> {
    let conditions: Result<Vec<Predicate>, ParseError> = entry.conditions.iter().map(Predicate::parse).collect();
    let variables: Result<Vec<Expression>, ParseError> = entry.variables.iter().map(Expression::parse).collect();
    let mut limit = Limit::new(entry.namespace.as_str(), entry.max_value, entry.seconds, conditions?, variables?);
    if let Some(name) = &entry.name {
        limit.set_name(name.clone());
    }
    Ok(limit)
}
