//! The rules: who is held to what. The first match wins.

use crate::dialect::Dialect;
use crate::operation::{Group, Tenant, Topic};

use super::Pattern;
use super::guard::Guard;

/// The name that stands for `defaults` in headers, logs and errors. No rule may have it.
pub(super) const DEFAULTS: &str = "defaults";

/// What an operation is matched by.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Who sends it.
    pub tenant: &'a Tenant,
    /// The topic, where the request names it or the consumer's subscription is remembered.
    pub topic: Option<&'a Topic>,
    /// The consumer group, where the request names it.
    pub group: Option<&'a Group>,
    /// The wire that it came by.
    pub dialect: Dialect,
}

/// One rule with everything that it takes from `defaults`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    pub(super) tenant: Pattern,
    pub(super) topic: Pattern,
    pub(super) group: Pattern,
    pub(super) dialect: Option<Dialect>,
    /// What it holds an operation to.
    pub guard: Guard,
}

impl Rule {
    pub(super) fn defaults(guard: Guard) -> Rule {
        Rule {
            name: DEFAULTS.to_owned(),
            tenant: Pattern::Any,
            topic: Pattern::Any,
            group: Pattern::Any,
            dialect: None,
            guard,
        }
    }

    /// A name that nobody knows fits only `*`.
    fn fits(&self, caller: &Caller<'_>) -> bool {
        let names = [
            (&self.tenant, Some(caller.tenant.0.as_str())),
            (&self.topic, caller.topic.map(|topic| topic.0.as_str())),
            (&self.group, caller.group.map(|group| group.0.as_str())),
        ];
        self.dialect.is_none_or(|dialect| dialect == caller.dialect)
            && names.into_iter().all(|(pattern, name)| match name {
                Some(name) => pattern.fits(name.as_bytes()),
                None => *pattern == Pattern::Any,
            })
    }
}

/// The rules in their order, and what holds where none of them matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    defaults: Rule,
}

impl Rules {
    pub(super) fn new(rules: Vec<Rule>, defaults: Rule) -> Rules {
        Rules { rules, defaults }
    }

    pub(super) fn ask_tenant(&self) -> bool {
        self.rules.iter().any(|rule| rule.tenant != Pattern::Any)
    }

    pub(super) fn ask_topic(&self) -> bool {
        self.rules.iter().any(|rule| rule.topic != Pattern::Any)
    }

    pub(super) fn first_match(&self, caller: &Caller<'_>) -> &Rule {
        self.rules.iter().find(|rule| rule.fits(caller)).unwrap_or(&self.defaults)
    }
}
