//! What Envoy's workers share, for one thread.

use std::cell::RefCell;
use std::collections::HashMap;

use ackguard::shared_memory::SharedMemory;

/// Envoy's shared data.
#[derive(Debug, Default)]
pub(super) struct Memory(RefCell<HashMap<String, (Vec<u8>, u32)>>);

impl SharedMemory for Memory {
    fn get(&self, key: &str) -> (Vec<u8>, Option<u32>) {
        match self.0.borrow().get(key) {
            Some((value, version)) => (value.clone(), Some(*version)),
            None => (Vec::new(), None),
        }
    }

    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        let mut values = self.0.borrow_mut();
        let held = values.get(key).map(|(_, held)| *held);
        if held != version {
            return false;
        }
        values.insert(key.to_owned(), (value.to_vec(), held.map_or(1, |held| held.wrapping_add(1))));
        true
    }
}
