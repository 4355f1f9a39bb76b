//! What a consumer asked for at its subscribe, and the rules of the broker that its messages fare under.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::unfit::{Logs, Misfit};
use crate::clock::Millis;
use crate::error::Error;
use crate::limits::MAX_ACK_TIMEOUT;
use crate::message::{Message, partition_of_key};
use crate::names::{PartitionId, TopicName};
use crate::storage::TopicLog;

/// Which of the protocol's two semantics the broker keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Semantics {
    /// Version 2.7: an ack timeout of 0 fails each delivery at once and ends in the archive; a rebalance forgets
    /// what is unacknowledged; a failed message is ready at once.
    Legacy,
    /// Version 2.8: an ack timeout of 0 is refused; a rebalance loses nothing; a failed message backs off.
    Fixed,
}

impl fmt::Display for Semantics {
    /// The name that the command line takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "legacy",
            Self::Fixed => "fixed",
        })
    }
}

/// How long a failed message rests under the fixed semantics: `base · 2^n` after `n` earlier failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// The rest after the first failure; zero for none ever.
    pub base: Millis,
}

impl BackOff {
    /// The longest rest, from the protocol.
    const MOST: Millis = Millis(5 * 60 * 1_000);

    /// The rest of a message that failed `earlier` times before.
    pub(crate) fn after(self, earlier: u32) -> Millis {
        let factor = 1_u64.checked_shl(earlier).unwrap_or(u64::MAX);
        Millis(self.base.0.saturating_mul(factor).min(Self::MOST.0))
    }
}

/// The rules that hold for every group of a broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) semantics: Semantics,
    pub(crate) back_off: BackOff,
    /// A consumer that is silent for three of these has left.
    pub(crate) heartbeat_period: Millis,
}

impl Rules {
    /// How long a consumer may be silent, from the protocol: three heartbeat periods.
    pub(crate) fn silence(&self) -> Millis {
        Millis(self.heartbeat_period.0.saturating_mul(3))
    }

    /// The rest of a message that failed `earlier` times before, under the semantics of whom it was delivered to.
    pub(crate) fn rest(&self, semantics: Semantics, earlier: u32) -> Millis {
        match semantics {
            Semantics::Legacy => Millis(0),
            Semantics::Fixed => self.back_off.after(earlier),
        }
    }
}

/// How long a delivery may stay unacknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AckTimeout {
    /// The legacy semantics' 0: the delivery is judged failed as it is made.
    Zero,
    /// At least a millisecond, at most [`MAX_ACK_TIMEOUT`].
    After(Millis),
}

impl AckTimeout {
    /// Reads a request's `ackTimeout`, in milliseconds.
    pub(crate) fn parse(millis: u64, semantics: Semantics) -> Result<Self, Error> {
        let least = match semantics {
            Semantics::Legacy => 0,
            Semantics::Fixed => 1,
        };
        if millis < least || millis > MAX_ACK_TIMEOUT.0 {
            return Err(Error::invalid(
                "ackTimeout",
                format!("{millis} is not a number of milliseconds from {least} to {}", MAX_ACK_TIMEOUT.0),
            ));
        }
        Ok(if millis == 0 { Self::Zero } else { Self::After(Millis(millis)) })
    }

    /// The time in milliseconds, as the protocol writes it.
    pub(crate) fn millis(self) -> Millis {
        match self {
            Self::Zero => Millis(0),
            Self::After(length) => length,
        }
    }
}

impl Serialize for AckTimeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.millis().serialize(serializer)
    }
}

/// Who acknowledges a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledgement {
    /// The consumer, by its receipt.
    Manual,
    /// The broker, as it delivers.
    Auto,
}

/// Where messages go whose redeliveries have run out.
#[derive(Clone)]
pub(crate) struct DeadLetterTopic {
    pub(crate) name: TopicName,
    pub(crate) log: Arc<dyn TopicLog>,
}

impl DeadLetterTopic {
    /// The partition for the dead letter of a message: that of its key, else that of its own partition's number.
    pub(crate) fn partition_for(&self, died: &Message, from: PartitionId) -> PartitionId {
        let partitions = self.log.partitions();
        match &died.key {
            Some(key) => partition_of_key(key, partitions),
            None => PartitionId(from.0 % partitions),
        }
    }
}

/// A consumer's settings as they are kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredSettings {
    pub(crate) topic: TopicName,
    /// In milliseconds; 0 is the legacy semantics' zero.
    pub(crate) ack_timeout: Millis,
    pub(crate) max_reconsume_times: u32,
    pub(crate) auto_ack: bool,
    pub(crate) dead_letter_topic: Option<TopicName>,
    pub(crate) client_id: Option<Box<str>>,
    pub(crate) legacy: bool,
}

/// A consumer's effective settings; fixed from its subscribe on.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) topic: TopicName,
    pub(crate) ack_timeout: AckTimeout,
    pub(crate) max_reconsume_times: u32,
    pub(crate) acknowledgement: Acknowledgement,
    pub(crate) dead_letter: Option<DeadLetterTopic>,
    pub(crate) client_id: Option<Box<str>>,
    /// How its deliveries fare: by the broker's semantics, or by the client's version where that is older.
    pub(crate) semantics: Semantics,
}

impl Settings {
    /// The settings that were kept on disk.
    pub(super) fn restore(stored: StoredSettings, logs: Logs<'_>) -> Result<Self, Misfit> {
        let semantics = if stored.legacy { Semantics::Legacy } else { Semantics::Fixed };
        let ack_timeout = match (stored.ack_timeout, semantics) {
            (Millis(0), Semantics::Legacy) => AckTimeout::Zero,
            (Millis(0), Semantics::Fixed) => return Err(Misfit::ZeroAckTimeout),
            (length, _) => AckTimeout::After(length),
        };
        let dead_letter = |name: TopicName| match logs(&name) {
            Some(log) => Ok(DeadLetterTopic { name, log }),
            None => Err(Misfit::NoTopic(name)),
        };
        Ok(Self {
            topic: stored.topic,
            ack_timeout,
            max_reconsume_times: stored.max_reconsume_times,
            acknowledgement: if stored.auto_ack { Acknowledgement::Auto } else { Acknowledgement::Manual },
            dead_letter: stored.dead_letter_topic.map(dead_letter).transpose()?,
            client_id: stored.client_id,
            semantics,
        })
    }

    /// These settings as they are kept on disk.
    pub(crate) fn stored(&self) -> StoredSettings {
        StoredSettings {
            topic: self.topic.clone(),
            ack_timeout: self.ack_timeout.millis(),
            max_reconsume_times: self.max_reconsume_times,
            auto_ack: self.acknowledgement == Acknowledgement::Auto,
            dead_letter_topic: self.dead_letter.as_ref().map(|dead_letter| dead_letter.name.clone()),
            client_id: self.client_id.clone(),
            legacy: self.semantics == Semantics::Legacy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_five_minutes() {
        let back_off = BackOff { base: Millis(1_000) };
        for (earlier, rest) in
            [(0, 1_000), (1, 2_000), (3, 8_000), (8, 256_000), (9, 300_000), (63, 300_000), (64, 300_000)]
        {
            assert_eq!(back_off.after(earlier), Millis(rest), "{earlier}");
        }
        assert_eq!(BackOff { base: Millis(0) }.after(64), Millis(0));
    }

    #[test]
    fn only_the_legacy_semantics_take_an_ack_timeout_of_zero() {
        use Semantics::{Fixed, Legacy};
        assert_eq!(AckTimeout::parse(0, Legacy).ok(), Some(AckTimeout::Zero));
        assert!(matches!(AckTimeout::parse(0, Fixed), Err(Error::Invalid { field, .. }) if field == "ackTimeout"));
        for semantics in [Legacy, Fixed] {
            assert_eq!(AckTimeout::parse(1, semantics).ok(), Some(AckTimeout::After(Millis(1))));
            assert!(AckTimeout::parse(MAX_ACK_TIMEOUT.0, semantics).is_ok());
            assert!(AckTimeout::parse(MAX_ACK_TIMEOUT.0 + 1, semantics).is_err());
        }
    }
}
