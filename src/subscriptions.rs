//! Which topic a consumer subscribed to: a pull names its consumer only, and a rule may ask for the topic.
//!
//! The table is shared by all workers, since a pull may arrive on another one than its subscription. The host's shared
//! data cannot be deleted, so the table is a fixed number of slots that consumers hash to. A slot holds its newest
//! consumers and forgets the oldest: a forgotten one pulls under the rules that ask for no topic, and a counter tells.

use crate::hash::Hash;
use crate::shared_memory::SharedMemory;

/// Slots of the table, and the most bytes in one: 4 MiB in all, which is some 50,000
/// consumers with names of usual length.
const SLOTS: u64 = 4096;
const SLOT_BYTES: usize = 1024;

/// How often a write is tried again when another worker wrote the slot in between.
const ATTEMPTS: usize = 8;

/// What became of a consumer that was to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// It is in the table.
    Whole,
    /// It is, and older ones had to go.
    Evicting,
    /// It is not: its names are too long, or too many workers wrote at once.
    Not,
}

/// Notes that `consumer` of `group` reads `topic`.
pub fn remember(memory: &impl SharedMemory, group: &str, consumer: &str, topic: &str) -> Remembered {
    let Some(entry) = write_entry(group, consumer, topic) else {
        return Remembered::Not;
    };
    let key = slot_key(group, consumer);
    for _ in 0..ATTEMPTS {
        let (slot, version) = memory.get(&key);
        let mut updated = entry.clone();
        let mut outcome = Remembered::Whole;
        for (held, bytes) in entries(&slot) {
            if (held.group, held.consumer) == (group.as_bytes(), consumer.as_bytes()) {
                continue;
            }
            if updated.len() + bytes.len() > SLOT_BYTES {
                outcome = Remembered::Evicting;
                break;
            }
            updated.extend_from_slice(bytes);
        }
        if memory.set(&key, &updated, version) {
            return outcome;
        }
    }
    Remembered::Not
}

/// The topic that `consumer` of `group` reads, where it is remembered.
pub fn topic(memory: &impl SharedMemory, group: &str, consumer: &str) -> Option<String> {
    let (slot, _) = memory.get(&slot_key(group, consumer));
    let wanted = (group.as_bytes(), consumer.as_bytes());
    let (entry, _) = entries(&slot).find(|(entry, _)| (entry.group, entry.consumer) == wanted)?;
    String::from_utf8(entry.topic.to_vec()).ok()
}

struct Entry<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    topic: &'a [u8],
}

/// Three texts, each behind its length in two bytes. `None` where they do not fit into a slot.
fn write_entry(group: &str, consumer: &str, topic: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(6 + group.len() + consumer.len() + topic.len());
    for text in [group, consumer, topic] {
        out.extend_from_slice(&u16::try_from(text.len()).ok()?.to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    (out.len() <= SLOT_BYTES).then_some(out)
}

/// The entries of a slot, newest first, each with its own bytes. Ends where the bytes make no entry.
fn entries(slot: &[u8]) -> impl Iterator<Item = (Entry<'_>, &[u8])> {
    let mut rest = slot;
    std::iter::from_fn(move || {
        let (group, after) = read_text(rest)?;
        let (consumer, after) = read_text(after)?;
        let (topic, after) = read_text(after)?;
        let bytes = rest.get(..rest.len() - after.len())?;
        rest = after;
        let entry = Entry { group, consumer, topic };
        Some((entry, bytes))
    })
}

fn read_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

fn slot_key(group: &str, consumer: &str) -> String {
    let hash = Hash::default().with_text(group).with_text(consumer).finish();
    format!("ackguard/subscription/{}", hash % SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_memory::memory::Memory;

    #[test]
    fn a_consumer_is_remembered_with_its_newest_topic() {
        let memory = Memory::default();
        assert_eq!(topic(&memory, "g", "c"), None);
        assert_eq!(remember(&memory, "g", "c", "orders"), Remembered::Whole);
        assert_eq!(remember(&memory, "g", "c", "stock"), Remembered::Whole);
        assert_eq!(topic(&memory, "g", "c").as_deref(), Some("stock"));
        assert_eq!(topic(&memory, "g", "d"), None);
        assert_eq!(topic(&memory, "", "g/c"), None);
    }

    #[test]
    fn more_consumers_than_fit_take_no_more_than_the_slots() {
        let memory = Memory::default();
        let mut evicted = 0;
        let name = |index: u32| format!("{}-{index}", "consumer".repeat(30));
        for index in 0..40_000 {
            let remembered = remember(&memory, "group", &name(index), "orders");
            evicted += u32::from(remembered == Remembered::Evicting);
        }
        assert!(evicted > 0);
        let values = memory.values.borrow();
        assert!(values.len() as u64 <= SLOTS);
        assert!(values.values().all(|(slot, _)| slot.len() <= SLOT_BYTES));
        drop(values);
        assert_eq!(topic(&memory, "group", &name(39_999)).as_deref(), Some("orders"));
        assert_eq!(topic(&memory, "group", &name(0)), None);
    }

    #[test]
    fn a_slot_forgets_the_oldest_alone_and_holds_a_consumer_once() {
        let memory = Memory::default();
        let key = slot_key("group", "c");
        let name = |index: &u32| format!("{}{index:06}", "c".repeat(294));
        let mut same_slot = (0..).filter(|index| slot_key("group", &name(index)) == key).map(|index| name(&index));
        let [first, second, third, fourth] = std::array::from_fn(|_| same_slot.next().unwrap());
        for again in 0..5 {
            assert_eq!(remember(&memory, "group", &first, &format!("{again}")), Remembered::Whole);
        }
        // Two entries of 341 bytes and one of 342: the last byte of the slot is used, and one more is too much.
        let topic_of = |length: usize| "t".repeat(length);
        assert_eq!(remember(&memory, "group", &first, &topic_of(30)), Remembered::Whole);
        assert_eq!(remember(&memory, "group", &second, &topic_of(30)), Remembered::Whole);
        assert_eq!(remember(&memory, "group", &third, &topic_of(31)), Remembered::Whole);
        assert_eq!(memory.values.borrow()[&key].0.len(), SLOT_BYTES);
        assert_eq!(remember(&memory, "group", &fourth, "t"), Remembered::Evicting);
        assert_eq!(topic(&memory, "group", &first), None);
        assert_eq!(topic(&memory, "group", &second), Some(topic_of(30)));
        assert_eq!(topic(&memory, "group", &third), Some(topic_of(31)));
    }

    #[test]
    fn a_write_is_tried_again_and_given_up_in_the_end() {
        let memory = Memory::default();
        remember(&memory, "g", "c", "orders");
        memory.rivals.set(3);
        assert_eq!(remember(&memory, "g", "c", "stock"), Remembered::Whole);
        assert_eq!(topic(&memory, "g", "c").as_deref(), Some("stock"));
        memory.rivals.set(1_000);
        assert_eq!(remember(&memory, "g", "c", "other"), Remembered::Not);
        assert_eq!(topic(&memory, "g", "c").as_deref(), Some("stock"));
    }

    #[test]
    fn names_that_fit_no_slot_are_not_remembered() {
        let memory = Memory::default();
        let long = "x".repeat(SLOT_BYTES);
        assert_eq!(remember(&memory, "g", "c", &long), Remembered::Not);
        assert_eq!(remember(&memory, "g", &"x".repeat(70_000), "t"), Remembered::Not);
    }

    #[test]
    fn bytes_that_are_no_slot_are_an_empty_one() {
        for slot in [&b"\x01"[..], b"\x05\x00ab", b"\xff\xff", b"\x01\x00a\x01\x00b"] {
            assert_eq!(entries(slot).count(), 0);
        }
    }
}
