//! Random histories.

use proptest::prelude::*;

use super::PARTITIONS;
use crate::group::lifecycle::Transition;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Publish {
        partition: u32,
        count: usize,
    },
    Subscribe {
        ack_timeout: u64,
        max_reconsume_times: u32,
        auto: bool,
        dead_letter: bool,
        legacy: bool,
    },
    Lifecycle {
        consumer: usize,
        transition: Transition,
    },
    Pull {
        consumer: usize,
        max_messages: u32,
        ack_timeout: Option<u64>,
    },
    Ack {
        consumer: usize,
        receipts: Vec<usize>,
    },
    Reject {
        consumer: usize,
        receipts: Vec<usize>,
    },
    Heartbeat {
        consumer: usize,
        receipts: Vec<usize>,
        ack_timeout: Option<u64>,
    },
    OpenPoll {
        consumer: usize,
    },
    ClosePolls {
        consumer: usize,
    },
    Pass {
        millis: u64,
    },
    /// From now on dead letters can be written, or cannot.
    Letters {
        fail: bool,
    },
    /// A snapshot is taken, for the next process.
    Snapshot,
    /// The process ends; another goes on from what was kept.
    Restart,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let consumer = || 0_usize..6;
    let receipts = || prop::collection::vec(0_usize..400, 0..12);
    let ack_timeout = || prop_oneof![1 => Just(0), 4 => 1_u64..400];
    let transition = prop_oneof![
        6 => Just(Transition::Start),
        1 => Just(Transition::Pause),
        2 => Just(Transition::Resume),
        1 => Just(Transition::Stop),
        1 => Just(Transition::Close),
    ];
    let step = prop_oneof![
        3 => (0..PARTITIONS, 1_usize..8).prop_map(|(partition, count)| Step::Publish { partition, count }),
        1 => (ack_timeout(), 0_u32..4, prop::bool::weighted(0.1), any::<bool>(), prop::bool::weighted(0.3)).prop_map(
            |(ack_timeout, max_reconsume_times, auto, dead_letter, legacy)| Step::Subscribe {
                ack_timeout, max_reconsume_times, auto, dead_letter, legacy
            }
        ),
        3 => (consumer(), transition).prop_map(|(consumer, transition)| Step::Lifecycle { consumer, transition }),
        6 => (consumer(), 1_u32..10, prop::option::weighted(0.2, ack_timeout())).prop_map(
            |(consumer, max_messages, ack_timeout)| Step::Pull { consumer, max_messages, ack_timeout }
        ),
        3 => (consumer(), receipts()).prop_map(|(consumer, receipts)| Step::Ack { consumer, receipts }),
        1 => (consumer(), receipts()).prop_map(|(consumer, receipts)| Step::Reject { consumer, receipts }),
        2 => (consumer(), receipts(), prop::option::of(ack_timeout())).prop_map(
            |(consumer, receipts, ack_timeout)| Step::Heartbeat { consumer, receipts, ack_timeout }
        ),
        1 => consumer().prop_map(|consumer| Step::OpenPoll { consumer }),
        1 => consumer().prop_map(|consumer| Step::ClosePolls { consumer }),
        3 => prop_oneof![0_u64..20, 50_u64..400].prop_map(|millis| Step::Pass { millis }),
        1 => prop::bool::weighted(0.3).prop_map(|fail| Step::Letters { fail }),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..150)
}
