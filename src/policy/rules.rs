//! The rules: who is held to what. The first match wins.

use std::rc::Rc;

use crate::dialect::Dialect;
use crate::operation::{Group, Tenant, Topic};

use super::guard::Guard;
use super::index::Index;
use super::{Mode, Pattern};

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

impl<'a> Caller<'a> {
    /// The names that patterns are held against: tenant, topic and group.
    pub(super) fn names(&self) -> [Option<&'a str>; 3] {
        let (topic, group) = (self.topic.map(|topic| topic.0.as_str()), self.group.map(|group| group.0.as_str()));
        [Some(self.tenant.0.as_str()), topic, group]
    }
}

/// One rule with everything that it takes from `defaults`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: Rc<str>,
    /// Whether it decides, or is only tried beside the rule that does.
    pub mode: Mode,
    /// The tenants that it is for.
    pub tenant: Pattern,
    /// The topics.
    pub topic: Pattern,
    /// The consumer groups.
    pub group: Pattern,
    /// The wire, where it is for one alone.
    pub dialect: Option<Dialect>,
    /// What it holds an operation to.
    pub guard: Guard,
}

impl Rule {
    pub(super) fn defaults(guard: Guard) -> Rule {
        Rule {
            name: Rc::from(DEFAULTS),
            mode: Mode::Enforce,
            tenant: Pattern::Any,
            topic: Pattern::Any,
            group: Pattern::Any,
            dialect: None,
            guard,
        }
    }

    /// The patterns for tenant, topic and group.
    pub fn patterns(&self) -> [&Pattern; 3] {
        [&self.tenant, &self.topic, &self.group]
    }

    /// Whether it is for a caller. A name that nobody knows fits only `*`.
    pub(super) fn fits(&self, caller: &Caller<'_>) -> bool {
        self.dialect.is_none_or(|dialect| dialect == caller.dialect)
            && self.patterns().into_iter().zip(caller.names()).all(|(pattern, name)| match name {
                Some(name) => pattern.fits(name.as_bytes()),
                None => *pattern == Pattern::Any,
            })
    }
}

/// What the rules have for a caller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match<'p> {
    /// The first rule that fits and decides; `defaults` where none does.
    pub rule: &'p Rule,
    /// The first rule that fits at all, where it comes before `rule` and is only tried: it would decide if all rules
    /// did.
    pub tried: Option<&'p Rule>,
}

/// The rules in their order, and what holds where none of them matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    defaults: Rule,
    index: Index,
}

impl Rules {
    pub(super) fn new(rules: Vec<Rule>, defaults: Rule) -> Rules {
        Rules { index: Index::new(&rules), rules, defaults }
    }

    /// The rules in their order, without `defaults`.
    pub fn all(&self) -> &[Rule] {
        &self.rules
    }

    /// What holds where no rule matches.
    pub fn defaults(&self) -> &Rule {
        &self.defaults
    }

    pub(super) fn ask_tenant(&self) -> bool {
        self.rules.iter().any(|rule| rule.tenant != Pattern::Any)
    }

    pub(super) fn ask_topic(&self) -> bool {
        self.rules.iter().any(|rule| rule.topic != Pattern::Any)
    }

    pub(super) fn bound_leases(&self) -> bool {
        self.rules.iter().chain([&self.defaults]).any(|rule| rule.guard.max_in_flight.is_some())
    }

    /// What the rules have for a caller.
    pub fn lookup(&self, caller: &Caller<'_>) -> Match<'_> {
        let mut found = Match { rule: &self.defaults, tried: None };
        let (mut first, mut deciding) = (usize::MAX, usize::MAX);
        self.index.candidates(caller, |index| {
            if index >= deciding {
                return deciding;
            }
            if let Some(rule) = self.rules.get(index).filter(|rule| rule.fits(caller)) {
                if index < first {
                    first = index;
                    found.tried = Some(rule);
                }
                if rule.mode == Mode::Enforce {
                    deciding = index;
                    found.rule = rule;
                }
            }
            deciding
        });
        if first == deciding {
            found.tried = None;
        }
        found
    }
}
