//! What the calls act on: the exchanges under way, and what all of them share.

use std::collections::BTreeMap;

use crate::calls::Calls;
use crate::pairs::Headers;

/// When the double's clock begins, in Unix nanoseconds.
const BEGIN: u64 = 1_795_542_828_000_000_000;

/// The ABI's number for a counter.
pub(crate) const COUNTER: u32 = 0;

/// The host of one virtual machine.
pub(crate) struct Host {
    /// In Unix nanoseconds. It goes on when the player says so.
    pub(crate) now: u64,
    pub(crate) calls: Calls,
    /// The context that the calls are for: that of the callback, until the filter names another one.
    pub(crate) context: u32,
    /// Those of exchanges; the root's has none.
    pub(crate) streams: BTreeMap<u32, Stream>,
    /// Readable while the plugin is configured.
    pub(crate) configuration: Option<Vec<u8>>,
    pub(crate) tick_period: Option<u32>,
    pub(crate) shared: Shared,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) log: Vec<String>,
    /// Questions to a gRPC service that wait for their answer: the context that asked, and the token.
    pub(crate) questions: Vec<(u32, u32)>,
    /// How many questions there were.
    pub(crate) asked: u32,
    /// The answer to one, while it is handed over.
    pub(crate) message: Option<Vec<u8>>,
}

/// What the host holds of an exchange.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) request: Headers,
    /// What is buffered of the body.
    pub(crate) request_body: Option<Vec<u8>>,
    /// Once there is one.
    pub(crate) response: Option<Headers>,
    /// The piece that is passing.
    pub(crate) response_piece: Option<Vec<u8>>,
    /// The filter's answer in the broker's place.
    pub(crate) reply: Option<Reply>,
    /// Whether a request that waited was let go on.
    pub(crate) is_resumed: bool,
    /// What access logs and spans see.
    pub(crate) filter_state: BTreeMap<String, Vec<u8>>,
}

/// An answer of the filter's own.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// A metric; its id is its place among all.
pub(crate) struct Metric {
    pub(crate) kind: u32,
    pub(crate) name: String,
    pub(crate) value: u64,
}

/// Shared data: each value with the version that its last write gave it.
#[derive(Default)]
pub(crate) struct Shared {
    values: BTreeMap<String, (Vec<u8>, u32)>,
    /// Envoy counts the writes of all keys together.
    writes: u32,
}

impl Shared {
    pub(crate) fn get(&self, key: &str) -> Option<&(Vec<u8>, u32)> {
        self.values.get(key)
    }

    /// Writes a value; false where its version is not `version`. With version 0, and to a key that is not there, it
    /// always writes.
    pub(crate) fn set(&mut self, key: String, value: Vec<u8>, version: u32) -> bool {
        if version != 0 && self.values.get(&key).is_some_and(|(_, held)| *held != version) {
            return false;
        }
        self.writes += 1;
        self.values.insert(key, (value, self.writes));
        true
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        Host {
            now: BEGIN,
            calls: Calls::default(),
            context: 0,
            streams: BTreeMap::new(),
            configuration: None,
            tick_period: None,
            shared: Shared::default(),
            metrics: Vec::new(),
            log: Vec::new(),
            questions: Vec::new(),
            asked: 0,
            message: None,
        }
    }

    /// The exchange that the calls are for. None for the root context.
    pub(crate) fn stream(&mut self) -> Option<&mut Stream> {
        self.streams.get_mut(&self.context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_data_refuses_a_write_by_another_version_and_makes_a_key_by_any() {
        let mut shared = Shared::default();
        let mut set = |key: &str, value: &str, version| shared.set(key.to_owned(), value.into(), version);
        assert!(set("a", "1", 7) && set("b", "1", 0));
        assert!(!set("a", "2", 2) && set("a", "3", 1) && set("b", "4", 0));
        assert_eq!(shared.get("a"), Some(&(b"3".to_vec(), 3)));
        assert_eq!(shared.get("b"), Some(&(b"4".to_vec(), 4)));
        assert_eq!(shared.get("c"), None);
    }
}
