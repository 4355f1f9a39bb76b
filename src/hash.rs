//! A hash that is the same in every build and on every worker: which slot of a shared table, which side of a roll-out,
//! which bucket of an index. It resists no attacker; nothing that relies on it may trust two equal hashes to be of
//! equal texts.

use core::hash::{BuildHasherDefault, Hasher};

/// FNV-1a, 64 bits, with a last mixing step (that of MurmurHash3), since FNV's high bits depend little on the last
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Hash(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    /// Takes in more bytes.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Hash {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Hash(bytes.iter().fold(self.0, step))
    }

    /// Takes in a text and where it ends, so that `ab`, `c` is another than `a`, `bc`.
    #[must_use]
    pub fn with_text(self, text: &str) -> Hash {
        self.with(text.as_bytes()).with(&[0xFF])
    }

    /// The hash of all that was taken in.
    pub fn finish(self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }
}

impl Hasher for Hash {
    fn write(&mut self, bytes: &[u8]) {
        *self = self.with(bytes);
    }

    fn finish(&self) -> u64 {
        Hash::finish(*self)
    }
}

/// A set of what an operator wrote, ten thousand names long: the standard library's hash costs more than this one, to
/// resist an attacker who is not there.
pub type HashSet<T> = std::collections::HashSet<T, BuildHasherDefault<Hash>>;

/// A map whose keys are as few as a policy's names and the labels of metrics allow, whoever sends what: an attacker who makes
/// two hashes equal gains a comparison more.
pub type HashMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Hash>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart_and_their_hashes_never_change() {
        let hash = |texts: &[&str]| texts.iter().fold(Hash::default(), |hash, text| hash.with_text(text)).finish();
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["ab"]), hash(&["ab", ""]));
        // A gateway that was upgraded must find every consumer on the side that it was on.
        assert_eq!(hash(&["app-1", "billing"]), 5_810_075_321_202_178_750);
    }
}
