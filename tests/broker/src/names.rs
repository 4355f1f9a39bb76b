//! The names and numbers by which topics, groups, consumers, messages and leases are known.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Error;
use crate::limits::MAX_NAME_BYTES;

/// Whether `text` is a name: 1 to [`MAX_NAME_BYTES`] of `A-Z a-z 0-9 . _ -`, and not `.` or `..`, which a path would
/// read as a directory.
fn is_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.bytes().all(legal) && text != "." && text != ".."
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $type(Arc<str>);

        impl $type {
            /// Reads a name; `field` is what an error calls it.
            pub(crate) fn parse(text: &str, field: &str) -> Result<Self, Error> {
                if is_name(text) {
                    return Ok(Self(text.into()));
                }
                Err(Error::invalid(field, format!("a name is 1 to {MAX_NAME_BYTES} characters of A-Z a-z 0-9 . _ -")))
            }

            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&<Box<str>>::deserialize(deserializer)?, "name").map_err(de::Error::custom)
            }
        }
    };
}

name!(
    /// The name of a topic.
    TopicName
);
name!(
    /// The name of a consumer group.
    GroupName
);

/// One partition of a topic, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PartitionId(pub(crate) u32);

impl PartitionId {
    /// The place of this partition in a list of all of them.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The place of a message in its partition, counted from 0 without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Offset(pub(crate) u64);

/// One lease of one message; counted up within a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct LeaseId(pub(crate) u64);

/// An identifier that is written as 16 hexadecimal digits. Drawn at random, so that one of an earlier run of the
/// broker names nothing in this one.
macro_rules! identifier {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $type(pub(crate) u64);

        impl $type {
            pub(crate) fn random() -> Self {
                Self(fastrand::u64(..))
            }
        }

        impl FromStr for $type {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                hex_u64(text).map(Self).ok_or(())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl Serialize for $type {
            /// As text for people and clients, as a number for the disk.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            /// From the disk alone.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                u64::deserialize(deserializer).map(Self)
            }
        }
    };
}

identifier!(
    /// One consumer of a group, from its subscribe on.
    ConsumerId
);
identifier!(
    /// One transactional publish.
    TransactionId
);
identifier!(
    /// What tells one group's receipts from another's.
    GroupTag
);

/// A message's identity, unique over topics and kept by a dead letter: the broker's random part and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MessageId {
    pub(crate) run: u64,
    pub(crate) count: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.run, self.count)
    }
}

impl Serialize for MessageId {
    /// As text for clients, as two numbers for the disk.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.run, self.count).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for MessageId {
    /// From the disk alone.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <(u64, u64)>::deserialize(deserializer).map(|(run, count)| Self { run, count })
    }
}

/// What a client shows to settle one lease: the group's tag and the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Receipt {
    pub(crate) group: GroupTag,
    pub(crate) lease: LeaseId,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}", self.group, self.lease.0)
    }
}

impl FromStr for Receipt {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (group, lease) = text.split_at_checked(16).ok_or(())?;
        Ok(Self { group: group.parse()?, lease: LeaseId(hex_u64(lease).ok_or(())?) })
    }
}

impl Serialize for Receipt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Sixteen lower-case hexadecimal digits, the one spelling of a number that is accepted: two texts never name the
/// same thing.
fn hex_u64(text: &str) -> Option<u64> {
    let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 16 || !text.bytes().all(digits) {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_short_plain_ascii() {
        for good in ["orders", "orders.dlq", "A-b_9", &"x".repeat(MAX_NAME_BYTES)] {
            assert!(TopicName::parse(good, "topic").is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "a:b", "ä", "a\0", "%2e", &"x".repeat(MAX_NAME_BYTES + 1)] {
            assert!(TopicName::parse(bad, "topic").is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_never_leaves_the_directory_it_is_put_into(text in "[./\\\\a:%\\-~\u{0}\u{ff}]{0,6}|\\PC{0,140}|[.]{1,3}") {
            if TopicName::parse(&text, "topic").is_ok() {
                let components: Vec<_> = Path::new(&text).components().collect();
                prop_assert_eq!(components, [Component::Normal(text.as_ref())]);
                prop_assert!(text.len() <= 255, "the longest file name of common file systems");
            }
        }
    }

    #[test]
    fn a_receipt_has_one_spelling() {
        let receipt = Receipt { group: GroupTag(0xab), lease: LeaseId(7) };
        let text = receipt.to_string();
        assert_eq!(text.parse(), Ok(receipt));
        for bad in [text.to_uppercase(), format!("+{}", &text[1..]), text[1..].to_owned(), format!("{text}0")] {
            assert_eq!(bad.parse::<Receipt>(), Err(()), "{bad}");
        }
        assert_eq!("ä".repeat(16).parse::<Receipt>(), Err(()));
    }
}
