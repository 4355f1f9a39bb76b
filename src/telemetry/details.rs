//! What an access log or a span tells of one request, as text of JSON: never a secret, a body or a whole receipt.

use core::fmt::Write as _;

use crate::dialect::Dialect;
use crate::json::text::{push_hex, quote};
use crate::operation::{Kind, Receipt};

use super::Decision;

/// The name under which the details stand in the request's filter state, behind Envoy's own `wasm.`.
pub const DETAILS: &str = "ackguard";
/// The same for a decision other than to pass, by which logs are filtered and spans are found. What passes is most of the
/// traffic, and is spared a call of the host.
pub const DECISION: &str = "ackguard.decision";

/// The longest name that is told whole, in bytes: real ones are shorter. Five of them, each byte of which needs six to be
/// written, stay below what a line of a log can hold.
const LONGEST: usize = 100;
/// How many receipts are told of one by one.
const RECEIPTS: usize = 16;

/// The details of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The object, but for its end.
    text: String,
    /// How many messages or receipts the answer tells of.
    messages: u64,
    receipts: Vec<Receipt>,
}

impl Details {
    /// Those that are known when the request is decided on: a dialect's operation, none where its wire defines none.
    pub fn of(dialect: Dialect, operation: Option<Kind>, decision: Decision) -> Details {
        let operation = operation.map_or("unknown", Kind::name);
        // Room for what most requests have.
        let mut text = String::with_capacity(256);
        for (before, name) in [
            ("{\"dialect\":\"", dialect.name()),
            ("\",\"operation\":\"", operation),
            ("\",\"decision\":\"", decision.name()),
        ] {
            text.push_str(before);
            text.push_str(name);
        }
        text.push('"');
        Details { text, messages: 0, receipts: Vec::new() }
    }

    /// The same with a name, where there is one: who asks, for what, by which rule.
    pub fn with(mut self, key: &str, name: Option<&str>) -> Details {
        let Some(name) = name else { return self };
        for part in [",\"", key, "\":"] {
            self.text.push_str(part);
        }
        let end = name.floor_char_boundary(LONGEST);
        quote(name.get(..end).unwrap_or_default(), &mut self.text);
        self
    }

    /// Takes a receipt of which the answer tells.
    pub fn take(&mut self, receipt: Receipt) {
        self.messages += 1;
        if self.receipts.len() < RECEIPTS {
            self.receipts.push(receipt);
        }
    }

    /// Whether the answer has told of any.
    pub fn has_receipts(&self) -> bool {
        self.messages > 0
    }

    /// Gives `tell` the object: at most 4 KiB.
    pub fn told<T>(&mut self, tell: impl FnOnce(&str) -> T) -> T {
        let known = self.text.len();
        if self.messages > 0 {
            // A digest takes nineteen bytes with its quotes and its comma.
            self.text.reserve(40 + 19 * self.receipts.len());
            // Writing to a String cannot fail.
            let _ = write!(self.text, ",\"messages\":{},\"receipts\":[", self.messages);
            for (index, receipt) in self.receipts.iter().enumerate() {
                self.text.push_str(if index == 0 { "\"" } else { ",\"" });
                push_hex(receipt.hash(), 16, &mut self.text);
                self.text.push('"');
            }
            self.text.push(']');
        }
        self.text.push('}');
        let told = tell(&self.text);
        self.text.truncate(known);
        told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn details() -> Details {
        Details::of(Dialect::Tmq, Some(Kind::Ack), Decision::Pass)
    }

    #[test]
    fn details_are_one_object() {
        let mut details = details().with("tenant", Some("app-a")).with("topic", None).with("rule", Some("pay"));
        let known = r#"{"dialect":"tmq","operation":"ack","decision":"pass","tenant":"app-a","rule":"pay""#;
        assert_eq!(details.told(str::to_owned), format!("{known}}}"));
        details.take(Receipt::from_hash(0xAB));
        details.take(Receipt::from_hash(1));
        let receipts = r#""messages":2,"receipts":["00000000000000ab","0000000000000001"]"#;
        assert_eq!(details.told(str::to_owned), format!("{known},{receipts}}}"));
    }

    proptest! {
        #[test]
        fn whatever_names_a_client_takes_the_text_is_json_of_at_most_4_kib(
            tenant in "\\PC{0,300}|[\\x00-\\x1f\"\\\\]{0,300}",
            receipts in 0_usize..40,
        ) {
            let mut details = details().with("tenant", Some(&tenant)).with("group", Some(&tenant));
            for n in 0..receipts {
                details.take(Receipt::of(&n.to_string()));
            }
            let text = details.told(str::to_owned);
            prop_assert!(text.len() <= 4096, "{}", text.len());
            let read: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert!(tenant.starts_with(read["tenant"].as_str().expect("a name")));
            prop_assert_eq!(read["messages"].as_u64().unwrap_or(0), u64::try_from(receipts).expect("few"));
            prop_assert!(read["receipts"].as_array().map_or(0, Vec::len) <= RECEIPTS);
        }
    }
}
