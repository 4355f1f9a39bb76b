//! The guards: fields of `defaults` and of every rule.

use std::rc::Rc;

use crate::dialect::MAX_NAME;
use crate::operation::Millis;
use crate::policy::Problem;
use crate::policy::guard::{
    AckTimeout, AutoAck, DeadLetter, Extend, Guard, MaxAttempts, Missing, Outside, UNLIMITED, Undecidable,
};
use crate::policy::section::Section;
use crate::policy::units::write_duration;

/// Guards of version 1 of the document that this release does not act on.
pub(super) const UNAVAILABLE: [&str; 4] = ["signed", "late_ack", "keepalive", "ack_rescue"];

/// Attempts that a policy may ask for at most: twice the most that a broker allows (SQS's maxReceiveCount, 1000).
const MAX_ATTEMPTS: i64 = 2_000;
/// The most messages in flight that a group may be held to: each is remembered until it is settled.
const MAX_IN_FLIGHT: i64 = 10_000;

const OUTSIDE: [(&str, Outside); 3] =
    [("clamp", Outside::Clamp), ("reject", Outside::Reject), ("allow", Outside::Allow)];

/// Reads the guards of `section` over what `guard` holds already.
pub(super) fn read(section: &mut Section<'_, '_>, guard: &mut Guard) {
    if let Some(fields) = section.section("ack_timeout") {
        ack_timeout(fields, &mut guard.ack_timeout);
    }
    if let Some(fields) = section.section("extend") {
        extend(fields, &mut guard.extend);
    }
    let auto_acks = [("reject", AutoAck::Reject), ("rewrite", AutoAck::Rewrite), ("allow", AutoAck::Allow)];
    section.choice("auto_ack", &auto_acks, &mut guard.auto_ack);
    if let Some(fields) = section.section("max_attempts") {
        max_attempts(fields, &mut guard.max_attempts);
    }
    if let Some(fields) = section.section("dead_letter") {
        dead_letter(fields, &mut guard.dead_letter);
    }
    section.count_or("max_in_flight", 1..=MAX_IN_FLIGHT, UNLIMITED, &mut guard.max_in_flight);
    let undecidable = [("reject", Undecidable::Reject), ("forward", Undecidable::Forward)];
    section.choice("undecidable", &undecidable, &mut guard.undecidable);
}

/// Faults bounds of `guard` that contradict each other, in the last of the sections it was read from that sets some
/// of them. What none of these sections sets was checked where it was set.
pub(super) fn check_bounds(layers: &mut [&mut Section<'_, '_>], guard: &Guard) {
    let AckTimeout { min, max, default, .. } = guard.ack_timeout;
    ordered(layers, "ack_timeout", [min, default, max].map(Bound::Time));
    let MaxAttempts { min, max, default, .. } = guard.max_attempts;
    ordered(layers, "max_attempts", [min, default, max].map(Bound::Number));
}

fn ack_timeout(mut fields: Section<'_, '_>, ack_timeout: &mut AckTimeout) {
    fields.duration("min", &mut ack_timeout.min);
    fields.duration("max", &mut ack_timeout.max);
    fields.duration("default", &mut ack_timeout.default);
    fields.choice("zero", &OUTSIDE, &mut ack_timeout.zero);
    fields.choice("short", &OUTSIDE, &mut ack_timeout.short);
    fields.choice("long", &OUTSIDE, &mut ack_timeout.long);
    let missing = [("default", Missing::Set), ("reject", Missing::Reject), ("allow", Missing::Allow)];
    fields.choice("missing", &missing, &mut ack_timeout.missing);
    fields.close(&[]);
}

fn extend(mut fields: Section<'_, '_>, extend: &mut Extend) {
    fields.choice("short", &OUTSIDE, &mut extend.short);
    fields.choice("long", &OUTSIDE, &mut extend.long);
    fields.close(&[]);
}

fn max_attempts(mut fields: Section<'_, '_>, max_attempts: &mut MaxAttempts) {
    fields.count("min", 0..=MAX_ATTEMPTS, &mut max_attempts.min);
    fields.count("max", 0..=MAX_ATTEMPTS, &mut max_attempts.max);
    fields.count("default", 0..=MAX_ATTEMPTS, &mut max_attempts.default);
    fields.choice("outside", &OUTSIDE, &mut max_attempts.outside);
    fields.close(&[]);
}

fn dead_letter(mut fields: Section<'_, '_>, dead_letter: &mut DeadLetter) {
    fields.flag("required", &mut dead_letter.required);
    if let Some(template) = fields.text("topic") {
        if template.is_empty() || template.len() > MAX_NAME || !is_template(template) {
            fields.wrong("topic", &"a topic's name, in which {topic} and {group} may stand");
        } else {
            dead_letter.topic = Rc::from(template);
        }
    }
    let missing = [("inject", Missing::Set), ("reject", Missing::Reject), ("allow", Missing::Allow)];
    fields.choice("missing", &missing, &mut dead_letter.missing);
    fields.close(&[]);
}

/// Whether braces stand only around `topic` and `group`.
fn is_template(text: &str) -> bool {
    let mut parts = text.split('{');
    let starts = parts.next();
    let rest = parts.map(|part| part.strip_prefix("topic}").or_else(|| part.strip_prefix("group}")));
    starts.into_iter().map(Some).chain(rest).all(|plain| plain.is_some_and(|plain| !plain.contains('}')))
}

#[derive(Clone, Copy)]
enum Bound {
    Time(Millis),
    Number(i64),
}

impl Bound {
    fn size(self) -> i64 {
        match self {
            Bound::Time(Millis(size)) | Bound::Number(size) => size,
        }
    }

    fn write(self) -> String {
        match self {
            Bound::Time(millis) => write_duration(millis),
            Bound::Number(number) => number.to_string(),
        }
    }
}

fn ordered(layers: &mut [&mut Section<'_, '_>], name: &'static str, [min, default, max]: [Bound; 3]) {
    let problem = if min.size() > max.size() {
        Problem::Inverted { min: min.write(), max: max.write() }
    } else if !(min.size()..=max.size()).contains(&default.size()) {
        Problem::DefaultOutside { default: default.write(), min: min.write(), max: max.write() }
    } else {
        return;
    };
    if let Some(layer) = layers.iter_mut().rev().find(|layer| layer.has(name)) {
        layer.fault(name, problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_of_a_template_stand_only_around_topic_and_group() {
        for text in ["", "dlq", "{topic}", "{group}.{topic}.dlq", "a{topic}{topic}"] {
            assert!(is_template(text), "{text}");
        }
        for text in ["{", "}", "{tenant}", "{topic", "topic}", "{topic}}", "{{topic}", "{topic}{", "{to{group}pic}"] {
            assert!(!is_template(text), "{text}");
        }
    }
}
