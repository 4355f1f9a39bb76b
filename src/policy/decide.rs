//! Decides: an operation and a rule in, a verdict out. Total: every operation gets one.

use crate::operation::{Demand, Field, Kind, Millis, Operation, Setting, Topic, Unreadable};

use super::Rule;
use super::guard::{AutoAck, Guard, Missing, Outside, Undecidable};
use super::units::write_duration;
use super::verdict::{Action, Change, Finding, NewValue, Outcome, Refusal, Verdict, Violation};

/// The verdict of `rule` on an operation that was read; `version` is that of the rule's set, for the client.
pub fn decide(version: &str, rule: &Rule, operation: &Operation) -> Verdict {
    if let (Some(_), Some(Demand { messages: Err(fault), .. })) = (rule.guard.max_in_flight, &operation.demand) {
        // How many messages it asks for is nobody's business but that of a bound.
        return decide_unreadable(rule, fault.clone());
    }
    let mut judge = Judge { version, rule, findings: Vec::new(), changes: Vec::new(), refusal: None };
    judge.ack_timeout(operation);
    judge.auto_ack(operation);
    judge.max_attempts(operation);
    judge.dead_letter(operation);
    judge.verdict()
}

/// The verdict of `rule` on a request that belongs to a dialect and cannot be read.
pub fn decide_unreadable(rule: &Rule, fault: Unreadable) -> Verdict {
    Verdict {
        findings: Vec::new(),
        outcome: match rule.guard.undecidable {
            Undecidable::Reject => Outcome::Reject(Refusal::Unreadable(fault)),
            Undecidable::Forward => Outcome::Pass,
        },
    }
}

struct Judge<'a> {
    version: &'a str,
    rule: &'a Rule,
    findings: Vec<Finding>,
    changes: Vec<Change>,
    refusal: Option<Refusal>,
}

impl Judge<'_> {
    fn guard(&self) -> &Guard {
        &self.rule.guard
    }

    fn ack_timeout(&mut self, operation: &Operation) {
        let bounds = self.guard().ack_timeout;
        let extend = self.guard().extend;
        let asked = match operation.settings.ack_timeout {
            Setting::NotAsked => return,
            Setting::Absent { .. } => {
                let to = NewValue::Millis(bounds.default);
                let expected = format!("one, such as {}", bounds.default);
                return self.missing(Field::AckTimeout, bounds.missing, Action::Default, to, expected);
            }
            Setting::Given(asked) => asked,
        };
        let renewal = operation.kind == Kind::Extend;
        if renewal && asked == Millis(0) {
            // A renewal by zero gives the message back. That is its meaning, not a violation.
            return;
        }
        let (violation, outside, nearest) = if asked <= Millis(0) {
            (Violation::Zero, bounds.zero, bounds.default)
        } else if asked < bounds.min {
            let short = if renewal { extend.short } else { bounds.short };
            (Violation::Short, short, bounds.min)
        } else if asked > bounds.max {
            let long = if renewal { extend.long } else { bounds.long };
            (Violation::Long, long, bounds.max)
        } else {
            return;
        };
        let to = NewValue::Millis(nearest);
        let expected = format!(
            "{} to {} ms ({} to {})",
            bounds.min.0,
            bounds.max.0,
            write_duration(bounds.min),
            write_duration(bounds.max)
        );
        let action = outside_action(outside, Action::Clamp);
        self.find(Field::AckTimeout, violation, action, to, (asked.to_string(), expected));
    }

    fn auto_ack(&mut self, operation: &Operation) {
        if operation.settings.auto_ack != Setting::Given(true) {
            return;
        }
        let action = match self.guard().auto_ack {
            AutoAck::Reject => Action::Reject,
            AutoAck::Rewrite => Action::Rewrite,
            AutoAck::Allow => Action::Allow,
        };
        let words = ("true".to_owned(), "false: acknowledge after the work".to_owned());
        self.find(Field::AutoAck, Violation::On, action, NewValue::Flag(false), words);
    }

    fn max_attempts(&mut self, operation: &Operation) {
        let bounds = self.guard().max_attempts;
        let (attempts, given) = match operation.settings.max_attempts {
            Setting::Given(attempts) => (attempts, true),
            Setting::Absent { fallback: Some(attempts) } => (attempts, false),
            Setting::Absent { fallback: None } | Setting::NotAsked => return,
        };
        let (violation, nearest) = if attempts < bounds.min {
            (Violation::Short, bounds.min)
        } else if attempts > bounds.max {
            (Violation::Long, bounds.max)
        } else {
            return;
        };
        let (set, to, found) = if given {
            (Action::Clamp, nearest, attempts.to_string())
        } else {
            let found = format!("absent, which the broker takes for {attempts}");
            (Action::Default, bounds.default, found)
        };
        let action = outside_action(bounds.outside, set);
        let words = (found, format!("{} to {}", bounds.min, bounds.max));
        self.find(Field::MaxAttempts, violation, action, NewValue::Count(to), words);
    }

    fn dead_letter(&mut self, operation: &Operation) {
        let wanted = &self.guard().dead_letter;
        if !matches!(operation.settings.dead_letter, Setting::Absent { .. }) || !wanted.required {
            return;
        }
        let topic = operation.topic.as_ref().map_or("", |Topic(name)| name);
        let group = operation.group.as_ref().map_or("", |group| group.0.as_str());
        let name = fill(&wanted.topic, topic, group);
        let expected = format!("a topic, such as {name}");
        let missing = wanted.missing;
        self.missing(Field::DeadLetter, missing, Action::Inject, NewValue::Name(name), expected);
    }

    fn missing(&mut self, field: Field, missing: Missing, set: Action, to: NewValue, expected: String) {
        let action = match missing {
            Missing::Set => set,
            Missing::Reject => Action::Reject,
            Missing::Allow => Action::Allow,
        };
        self.find(field, Violation::Missing, action, to, ("absent".to_owned(), expected));
    }

    /// Notes a violation; `words` are what was found and what is expected.
    fn find(
        &mut self,
        field: Field,
        violation: Violation,
        action: Action,
        to: NewValue,
        (found, expected): (String, String),
    ) {
        self.findings.push(Finding { field, violation, action });
        match action {
            Action::Allow => {}
            Action::Reject => {
                self.refusal.get_or_insert_with(|| Refusal::Setting {
                    field,
                    found,
                    expected,
                    rule: self.rule.name.to_string(),
                    policy: self.version.to_owned(),
                });
            }
            Action::Clamp | Action::Default | Action::Rewrite | Action::Inject => {
                self.changes.push(Change { field, action, to });
            }
        }
    }

    fn verdict(self) -> Verdict {
        let outcome = match self.refusal {
            Some(refusal) => Outcome::Reject(refusal),
            None if self.changes.is_empty() => Outcome::Pass,
            None => Outcome::Edit(self.changes),
        };
        Verdict { findings: self.findings, outcome }
    }
}

/// The action on a value out of bounds, where `set` is the one that changes it.
fn outside_action(outside: Outside, set: Action) -> Action {
    match outside {
        Outside::Clamp => set,
        Outside::Reject => Action::Reject,
        Outside::Allow => Action::Allow,
    }
}

/// Fills a template in one pass, so that a name which holds `{group}` itself stays as it is.
fn fill(template: &str, topic: &str, group: &str) -> String {
    let mut out = String::with_capacity(template.len() + topic.len() + group.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (plain, tail) = rest.split_at(open);
        out.push_str(plain);
        if let Some(after) = tail.strip_prefix("{topic}") {
            out.push_str(topic);
            rest = after;
        } else if let Some(after) = tail.strip_prefix("{group}") {
            out.push_str(group);
            rest = after;
        } else {
            out.push('{');
            rest = tail.strip_prefix('{').unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}
