//! Labels whose values come from a policy or from a client: what they may look like, and how many there may be.
//!
//! A metrics system keeps each series for ever, so that a client that makes values up, or a policy that is renamed with
//! every build, would fill it. The first values of a label that the whole Envoy meets get series of their own; all others
//! share one, `other`. Which those are stands in the shared memory, where all workers find the same ones.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::shared_memory::SharedMemory;

/// The value that those share for which there is no room.
const OTHER: &str = "other";
/// The value in place of an empty one: Prometheus takes an empty label for none.
const NONE: &str = "none";

/// The longest value, in characters as they are written.
const LONGEST: usize = 64;

/// How often a write is tried again when another worker wrote in between. After that the value is `other` this time.
const ATTEMPTS: usize = 16;

/// A label with values from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Who sends a request: a name that the client chooses.
    Tenant,
    /// A rule's name.
    Rule,
    /// A limit's name.
    Limit,
    /// A policy's version.
    Version,
    /// A cluster's name.
    Cluster,
}

impl Label {
    /// Every such label.
    pub const ALL: [Label; 5] = [Label::Tenant, Label::Rule, Label::Limit, Label::Version, Label::Cluster];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Label::Tenant => "tenant",
            Label::Rule => "rule",
            Label::Limit => "limit",
            Label::Version => "version",
            Label::Cluster => "cluster",
        }
    }

    /// How many values get series of their own. A rule's stand beside a field, a kind and an action, a tenant's alone; a
    /// version comes with each policy that is handed over, so there is room for one an hour for forty days.
    pub fn most(self) -> usize {
        match self {
            Label::Tenant => 100,
            Label::Rule => 200,
            Label::Limit => 100,
            Label::Version => 1_000,
            Label::Cluster => 10,
        }
    }
}

/// The values that this worker knows to have series of their own.
#[derive(Debug, Default)]
pub struct Labels {
    tables: [Table; Label::ALL.len()],
}

#[derive(Debug, Default)]
struct Table {
    known: BTreeSet<Rc<str>>,
    full: bool,
}

impl Labels {
    /// The value that a label shows for `value`: itself, cut and escaped, or `other`.
    pub fn admit(&mut self, memory: &impl SharedMemory, label: Label, value: &str) -> Rc<str> {
        let mut escaped = String::new();
        escape(value, &mut escaped);
        let Some(table) = self.tables.get_mut(label as usize) else { return OTHER.into() };
        if let Some(known) = table.known.get(escaped.as_str()) {
            return known.clone();
        }
        if table.full || !table.learn(memory, label, &escaped) { OTHER.into() } else { escaped.into() }
    }
}

impl Table {
    /// Whether a value is among those of the whole Envoy, or becomes one of them.
    fn learn(&mut self, memory: &impl SharedMemory, label: Label, value: &str) -> bool {
        let key = format!("ackguard/label/{}", label.name());
        for _ in 0..ATTEMPTS {
            let (bytes, version) = memory.get(&key);
            let mut held = String::from_utf8(bytes).unwrap_or_default();
            self.known.clear();
            self.known.extend(held.split(';').filter(|value| !value.is_empty()).map(Rc::from));
            self.full = self.known.len() >= label.most();
            if self.known.contains(value) {
                return true;
            }
            if self.full {
                return false;
            }
            held.push_str(value);
            held.push(';');
            if memory.set(&key, held.as_bytes(), version) {
                self.known.insert(value.into());
                return true;
            }
        }
        false
    }
}

/// Appends a value so that it ends neither a label nor a line: what is no printable ASCII, and `;`, `"` and `\`, is
/// percent-encoded, and a long value is cut. What is escaped already stays as it is.
pub(super) fn escape(value: &str, out: &mut String) {
    if value.is_empty() {
        return out.push_str(NONE);
    }
    let end = out.len() + LONGEST;
    for byte in value.bytes() {
        let plain = byte == b' ' || byte.is_ascii_graphic() && !matches!(byte, b';' | b'"' | b'\\');
        let width = if plain { 1 } else { 3 };
        if out.len() + width > end {
            return;
        }
        if plain {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_memory::memory::Memory;

    fn escaped(value: &str) -> String {
        let mut out = String::new();
        escape(value, &mut out);
        out
    }

    #[test]
    fn a_value_is_printable_bounded_and_ends_no_label() {
        for (value, expected) in [
            ("2026-11-22.1", "2026-11-22.1"),
            ("pay-*", "pay-*"),
            ("", "none"),
            ("a;tenant=b", "a%3Btenant=b"),
            ("a\"b\\c\n\u{1b}[2J", "a%22b%5Cc%0A%1B[2J"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(escaped(value), expected);
            assert_eq!(escaped(&escaped(value)), expected, "twice is once");
        }
        assert_eq!(escaped(&"x".repeat(65)), "x".repeat(64));
        assert_eq!(escaped(&"é".repeat(20)), "%C3%A9".repeat(10) + "%C3", "no half of an escape");
    }

    #[test]
    fn the_first_values_of_all_workers_have_series_of_their_own_and_the_others_share_one() {
        let memory = Memory::default();
        let (mut one, mut two) = (Labels::default(), Labels::default());
        let most = Label::Tenant.most();
        for n in 0..most {
            let worker = if n % 2 == 0 { &mut one } else { &mut two };
            assert_eq!(&*worker.admit(&memory, Label::Tenant, &format!("t{n}")), format!("t{n}"));
        }
        for worker in [&mut one, &mut two] {
            assert_eq!(&*worker.admit(&memory, Label::Tenant, "late"), OTHER);
            for n in 0..most {
                assert_eq!(&*worker.admit(&memory, Label::Tenant, &format!("t{n}")), format!("t{n}"));
            }
        }
        assert_eq!(&*one.admit(&memory, Label::Rule, "late"), "late", "a label for itself");
    }

    #[test]
    fn a_million_made_up_values_ask_the_shared_memory_no_more() {
        let memory = Memory::default();
        let mut labels = Labels::default();
        for n in 0..Label::Tenant.most() + 1 {
            labels.admit(&memory, Label::Tenant, &format!("t{n}"));
        }
        for n in 0..1_000_000 {
            assert_eq!(&*labels.admit(&Gone, Label::Tenant, &format!("made up {n}")), OTHER);
        }
    }

    /// A memory that nobody may ask.
    struct Gone;

    impl SharedMemory for Gone {
        fn get(&self, key: &str) -> (Vec<u8>, Option<u32>) {
            panic!("{key} is read")
        }

        fn set(&self, key: &str, _: &[u8], _: Option<u32>) -> bool {
            panic!("{key} is written")
        }
    }
}
