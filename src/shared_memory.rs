//! What all workers know: key-value memory that outlives a policy. The host's shared data is such a memory.

use std::cell::RefCell;
use std::collections::HashMap;

/// Key-value memory that all workers share.
pub trait SharedMemory {
    /// The bytes under `key`, and the version of them that [`SharedMemory::set`] wants back.
    fn get(&self, key: &str) -> (Vec<u8>, Option<u32>);

    /// Replaces the bytes under `key`; false where their version is another one by now. Without a version, which is what
    /// [`SharedMemory::get`] gives for a key that is not there, it only makes the key: false where somebody else made it
    /// meanwhile. There is no write that overwrites what it has not seen.
    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool;
}

/// Such memory for one thread, for what runs without a host.
#[derive(Debug, Default)]
pub struct Unshared(RefCell<HashMap<String, (Vec<u8>, u32)>>);

impl SharedMemory for Unshared {
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

#[cfg(test)]
pub(crate) mod memory {
    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;

    use super::SharedMemory;

    /// Shared memory as the host has it: a write to a missing key always succeeds.
    #[derive(Default)]
    pub(crate) struct Memory {
        /// What is held.
        pub(crate) values: RefCell<HashMap<String, (Vec<u8>, u32)>>,
        /// How many of the writes to come find that a rival wrote just before.
        pub(crate) rivals: Cell<u32>,
    }

    impl SharedMemory for Memory {
        fn get(&self, key: &str) -> (Vec<u8>, Option<u32>) {
            match self.values.borrow().get(key) {
                Some((value, version)) => (value.clone(), Some(*version)),
                None => (Vec::new(), None),
            }
        }

        fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
            let mut values = self.values.borrow_mut();
            let (held, current) = values.entry(key.to_owned()).or_insert((Vec::new(), 0));
            if self.rivals.get() > 0 && *current > 0 {
                self.rivals.set(self.rivals.get() - 1);
                *current += 1;
            }
            let fits = *current == 0 || version == Some(*current);
            if fits {
                *held = value.to_vec();
                *current += 1;
            }
            fits
        }
    }
}
