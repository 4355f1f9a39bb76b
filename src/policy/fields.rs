//! A guard's fields one by one, as a document would write them.

use super::guard::{
    AckTimeout, AutoAck, DeadLetter, Extend, Guard, MaxAttempts, Missing, Outside, UNLIMITED, Undecidable,
};
use super::units::write_duration;

impl Guard {
    /// Every field's path in `defaults` or in a rule, and its value as a document writes it.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let AckTimeout { min, max, default, zero, short, long, missing } = self.ack_timeout;
        let MaxAttempts { min: fewest, max: most, default: attempts, outside: others } = self.max_attempts;
        let Extend { short: short_extend, long: long_extend } = self.extend;
        let DeadLetter { required, topic, missing: no_topic } = &self.dead_letter;
        vec![
            ("ack_timeout.min", write_duration(min)),
            ("ack_timeout.max", write_duration(max)),
            ("ack_timeout.default", write_duration(default)),
            ("ack_timeout.zero", outside(zero)),
            ("ack_timeout.short", outside(short)),
            ("ack_timeout.long", outside(long)),
            ("ack_timeout.missing", absent(missing, "default")),
            ("extend.short", outside(short_extend)),
            ("extend.long", outside(long_extend)),
            ("auto_ack", auto_ack(self.auto_ack)),
            ("max_attempts.min", fewest.to_string()),
            ("max_attempts.max", most.to_string()),
            ("max_attempts.default", attempts.to_string()),
            ("max_attempts.outside", outside(others)),
            ("dead_letter.required", required.to_string()),
            ("dead_letter.topic", topic.to_string()),
            ("dead_letter.missing", absent(*no_topic, "inject")),
            ("max_in_flight", in_flight(self.max_in_flight)),
            ("undecidable", undecidable(self.undecidable)),
        ]
    }
}

fn outside(outside: Outside) -> String {
    match outside {
        Outside::Clamp => "clamp",
        Outside::Reject => "reject",
        Outside::Allow => "allow",
    }
    .to_owned()
}

/// `set` is the document's word for setting the policy's value.
fn absent(missing: Missing, set: &str) -> String {
    match missing {
        Missing::Set => set,
        Missing::Reject => "reject",
        Missing::Allow => "allow",
    }
    .to_owned()
}

fn auto_ack(auto_ack: AutoAck) -> String {
    match auto_ack {
        AutoAck::Reject => "reject",
        AutoAck::Rewrite => "rewrite",
        AutoAck::Allow => "allow",
    }
    .to_owned()
}

fn in_flight(most: Option<u32>) -> String {
    most.map_or_else(|| UNLIMITED.to_owned(), |most| most.to_string())
}

fn undecidable(undecidable: Undecidable) -> String {
    match undecidable {
        Undecidable::Reject => "reject",
        Undecidable::Forward => "forward",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;

    use super::*;

    /// The fields of `guard` as the `defaults` of a document of JSON.
    fn document(guard: &Guard) -> String {
        let mut defaults = serde_json::json!({});
        for (path, value) in guard.fields() {
            let value = serde_json::from_str(&value).unwrap_or_else(|_| value.clone().into());
            match path.split_once('.') {
                Some((object, field)) => defaults[object][field] = value,
                None => defaults[path] = value,
            }
        }
        let traffic = serde_json::json!([{"match": {"path": "/*"}, "dialect": "tmq"}]);
        serde_json::json!({"apiVersion": "ackguard/v1", "traffic": traffic, "defaults": defaults}).to_string()
    }

    #[test]
    fn the_fields_written_down_and_read_again_are_the_same_guard() {
        let guard = Guard {
            auto_ack: AutoAck::Rewrite,
            dead_letter: DeadLetter { required: false, topic: "dlq.{group}".into(), missing: Missing::Allow },
            max_in_flight: Some(1_000),
            undecidable: Undecidable::Forward,
            extend: Extend { short: Outside::Reject, long: Outside::Allow },
            ..Guard::default()
        };
        for guard in [Guard::default(), guard] {
            let policy = Policy::parse(document(&guard).as_bytes()).unwrap();
            assert_eq!(policy.current.rules.defaults().guard, guard);
        }
    }
}
