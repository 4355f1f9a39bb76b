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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Entry as Pair;

    fn of(entries: &[(&str, &str)]) -> Descriptor {
        let pair = |(key, value): &(&str, &str)| Pair { key: (*key).to_owned(), value: (*value).to_owned() };
        Descriptor { entries: entries.iter().map(pair).collect(), hits_addend: None }
    }

    fn descriptor(limit: &str, tenant: &str) -> Descriptor {
        of(&[("limit", limit), ("tenant", tenant)])
    }

    #[test]
    fn the_sample_of_the_documentation_is_one_that_counts() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.md");
        let text = std::fs::read_to_string(page).unwrap();
        let mut blocks = text.split("```yaml\n").filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
        let sample = blocks.find(|block| block.starts_with("- namespace:")).expect("limitador's limits");
        let asked = of(&[("limit", "publish"), ("tenant", "app-1"), ("topic", "orders")]);
        let counters = Limits::read(sample).unwrap().counters("mq", &asked).unwrap();
        let [counter] = counters.try_into().expect("one counter");
        let mut values: Vec<String> = counter.set_variables().values().cloned().collect();
        values.sort();
        assert_eq!(values, ["app-1", "orders"]);
    }

    #[test]
    fn a_descriptor_is_counted_by_the_limits_whose_conditions_it_meets_and_by_their_variables() {
        let limits = r#"
            - { namespace: mq, max_value: 3, seconds: 60, conditions: ["descriptors[0].limit == 'publish'"],
                variables: ["descriptors[0].tenant"] }
        "#;
        let limits = Limits::read(limits).unwrap();
        let counters = |domain, limit, tenant| limits.counters(domain, &descriptor(limit, tenant)).unwrap();
        let [counter] = counters("mq", "publish", "a").try_into().expect("one counter");
        assert_eq!(counter.set_variables().values().collect::<Vec<_>>(), ["a"]);
        assert_eq!((counters("mq", "pull", "a").len(), counters("other", "publish", "a").len()), (0, 0));
    }

    #[test]
    fn a_file_that_is_no_list_of_limits_is_refused() {
        for text in ["{}", "- {}", "- { namespace: mq, max_value: 3, seconds: 60, burst: 1 }"] {
            assert!(matches!(Limits::read(text), Err(LimitsError::Form(_))), "{text}");
        }
        let text = "[{ namespace: mq, max_value: 3, seconds: 60, conditions: ['1 +'] }]";
        assert!(matches!(Limits::read(text), Err(LimitsError::Expression(_))));
    }
}
