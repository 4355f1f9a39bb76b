//! The parts of an explanation that people and machines are told alike, as texts.

use ackguard::dialect::Dialect;
use ackguard::judgement::Ruling;
use ackguard::operation::{Field, Operation, Setting};
use ackguard::policy::rollout::Side;

use super::origin::Origins;
use crate::loaded::Loaded;

/// One setting of the request.
pub(crate) struct Asked {
    /// The wire's own name.
    pub(crate) name: &'static str,
    /// What the request says, or that it says nothing.
    pub(crate) said: String,
    /// What the broker would take where it says nothing.
    pub(crate) fallback: Option<String>,
}

/// The settings that an operation has.
pub(crate) fn asked(dialect: Dialect, operation: &Operation) -> Vec<Asked> {
    let settings = &operation.settings;
    let said = [
        (Field::AckTimeout, told(&settings.ack_timeout, |millis| millis.0.to_string())),
        (Field::AutoAck, told(&settings.auto_ack, bool::to_string)),
        (Field::MaxAttempts, told(&settings.max_attempts, i64::to_string)),
        (Field::DeadLetter, told(&settings.dead_letter, |topic| topic.0.clone())),
    ];
    let asked = said.into_iter().filter_map(|(field, said)| {
        let (said, fallback) = said?;
        Some(Asked { name: dialect.field_name(field), said, fallback })
    });
    asked.collect()
}

fn told<T>(setting: &Setting<T>, text: impl Fn(&T) -> String) -> Option<(String, Option<String>)> {
    match setting {
        Setting::NotAsked => None,
        Setting::Absent { fallback } => Some(("absent".to_owned(), fallback.as_ref().map(text))),
        Setting::Given(value) => Some((text(value), None)),
    }
}

/// A guarded field in force.
pub(crate) struct InForce {
    /// Its path in a rule.
    pub(crate) path: &'static str,
    /// Its value.
    pub(crate) value: String,
    /// What set it.
    pub(crate) by: String,
    /// In which line.
    pub(crate) line: Option<usize>,
}

/// Every guarded field of the rule that decided.
pub(crate) fn in_force(loaded: &Loaded<'_>, side: Side, ruling: &Ruling<'_>) -> Vec<InForce> {
    let origins = Origins::of(&loaded.node, ruling.rule, side);
    let fields = ruling.rule.guard.fields().into_iter();
    let in_force = fields.map(|(path, value)| {
        let origin = origins.field(path);
        InForce { path, value, by: origin.name.to_owned(), line: loaded.line(origin.place) }
    });
    in_force.collect()
}
