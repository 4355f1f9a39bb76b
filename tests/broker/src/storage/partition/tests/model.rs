//! Random histories against the list of all messages that were ever appended.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append {
        body_bytes: Vec<usize>,
        codec: Codec,
    },
    Flush,
    Checkpoint,
    Retain {
        settled: u64,
    },
    Read {
        offset: u64,
    },
    /// The disk has this much more room than it uses; flushes and checkpoints may fail.
    Fill {
        room: u64,
    },
    MakeRoom,
    End {
        crash: Option<u64>,
        harm: Harm,
        refill: Refill,
        older: bool,
    },
}

/// What else happens to the files between two runs.
#[derive(Clone, Copy, Debug)]
enum Harm {
    None,
    LoseIndexes,
    DamageIndexes,
}

/// What the journal has beyond the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refill {
    All,
    Nothing,
}

const OPTIONS: Options =
    Options { segment_bytes: 2_000, retention_bytes: Some(3_000), retention_age: Some(Millis(1_000_000)) };

fn step() -> impl Strategy<Value = Step> {
    let codec = prop::sample::select(vec![Codec::None, Codec::Zstd, Codec::Snappy]);
    let end = (
        prop::option::of(any::<u64>()),
        prop::sample::select(vec![Harm::None, Harm::LoseIndexes, Harm::DamageIndexes]),
        prop::sample::select(vec![Refill::All, Refill::Nothing]),
        prop::bool::weighted(0.2),
    );
    prop_oneof![
        8 => (prop::collection::vec(0..400_usize, 1..6), codec)
            .prop_map(|(body_bytes, codec)| Step::Append { body_bytes, codec }),
        4 => Just(Step::Flush),
        3 => Just(Step::Checkpoint),
        2 => any::<u64>().prop_map(|settled| Step::Retain { settled }),
        3 => any::<u64>().prop_map(|offset| Step::Read { offset }),
        1 => (0..2_000_u64).prop_map(|room| Step::Fill { room }),
        1 => Just(Step::MakeRoom),
        2 => end.prop_map(|(crash, harm, refill, older)| Step::End { crash, harm, refill, older }),
    ]
}

struct History {
    disk: SimulatedDisk,
    log: PartitionLog,
    /// All messages by their offsets, and the records that they were appended in.
    messages: Vec<Arc<Message>>,
    records: Vec<(Offset, Bytes)>,
    ids: u64,
    full: bool,
    /// The newest last; a start is from one of these, or from none as long as there are not two.
    checkpoints: VecDeque<Option<Checkpointed>>,
    /// What retention was told at most since.
    settled: u64,
}

impl History {
    fn new() -> Self {
        let disk = SimulatedDisk::default();
        let log = open(&disk, None, OPTIONS);
        let checkpoints = VecDeque::from([None]);
        Self { disk, log, messages: Vec::new(), records: Vec::new(), ids: 0, full: false, checkpoints, settled: 0 }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Append { body_bytes, codec } => {
                let (first, ids) = (self.log.end(), self.ids..);
                let messages: Vec<_> = ids.zip(&body_bytes).map(|(id, &bytes)| message(id, bytes)).collect();
                self.ids += messages.len() as u64;
                let block = Block::encode(first, &messages, codec, Timestamp(first.0));
                self.records.push((first, block.record().clone()));
                self.messages.extend(messages);
                self.log.append(block);
            }
            Step::Flush => {
                let flushed = self.log.flush();
                assert!(flushed.is_ok() || self.full, "{flushed:?}");
            }
            Step::Checkpoint => match self.log.checkpoint() {
                Ok(checkpointed) => {
                    assert_eq!(checkpointed.end, self.log.end());
                    self.checkpoints.push_back(Some(checkpointed));
                    if self.checkpoints.len() > 2 {
                        self.checkpoints.pop_front();
                    }
                }
                Err(error) => assert!(self.full, "{error}"),
            },
            Step::Retain { settled } => {
                let settled = settled % (self.log.end().0 + 1);
                let before = self.log.start().0;
                let removed = self.log.retain(Offset(settled), Timestamp(0)).unwrap();
                assert_eq!(self.log.start().0, before + removed);
                assert!(removed == 0 || self.log.start().0 <= settled);
                self.settled = self.settled.max(settled);
            }
            Step::Read { offset } => {
                let offset = offset % (self.log.end().0 + 2);
                self.check(offset);
            }
            Step::Fill { room } => {
                let used: u64 =
                    files(&self.disk).iter().map(|name| length(&self.disk, &Path::new(DIR).join(name))).sum();
                self.disk.set_capacity(Some(used + room));
                self.full = true;
            }
            Step::MakeRoom => {
                self.disk.set_capacity(None);
                self.full = false;
            }
            Step::End { crash, harm, refill, older } => self.end(crash, harm, refill, older),
        }
    }

    fn end(&mut self, crash: Option<u64>, harm: Harm, refill: Refill, older: bool) {
        self.take(Step::MakeRoom);
        let removed_to = self.log.start().0;
        self.disk = match crash {
            Some(seed) => self.disk.crash(seed),
            None => self.disk.kill(),
        };
        for name in files(&self.disk).iter().filter(|name| name.ends_with(".index")) {
            let path = Path::new(DIR).join(name);
            match harm {
                Harm::None => {}
                Harm::LoseIndexes => self.disk.remove(&path).unwrap(),
                Harm::DamageIndexes => self.disk.cut(&path, length(&self.disk, &path) / 2),
            }
        }
        if older && self.checkpoints.len() > 1 {
            self.checkpoints.pop_back();
        }
        let from = self.checkpoints.back().cloned().flatten();
        self.log = open(&self.disk, from.as_ref(), OPTIONS);
        let checkpointed = from.as_ref().map_or(0, |from| from.end.0);
        assert_eq!(self.log.end().0, checkpointed, "all that was checkpointed is there, and nothing else");
        let start = self.log.start().0;
        assert!(start <= removed_to.min(checkpointed) || start == checkpointed && checkpointed <= self.settled);
        let all = refill == Refill::All;
        self.records.retain(|(first, _)| all || first.0 < checkpointed);
        self.messages.truncate(if all { usize::MAX } else { checkpointed as usize });
        if all {
            for (first, record) in self.records.iter().filter(|(first, _)| first.0 >= checkpointed) {
                self.log.append(Block::open(record, *first).unwrap());
            }
        } else {
            // The older checkpoint tells of the same journal, which has ended before.
            let within = |from: &Option<Checkpointed>| from.as_ref().is_none_or(|from| from.end.0 <= checkpointed);
            self.checkpoints.retain(within);
        }
    }

    fn check(&self, offset: u64) {
        let (read, size) = (self.log.read(Offset(offset)), self.log.size(Offset(offset)));
        let kept = (self.log.start().0..self.log.end().0).contains(&offset);
        match self.messages.get(offset as usize).filter(|_| kept) {
            Some(message) => {
                assert_eq!(&read.unwrap(), message);
                assert!(size >= message.size());
            }
            None => {
                assert!(matches!(read, Err(StorageError::Missing { .. })));
                assert_eq!(size, 0);
            }
        }
    }

    fn check_all(&self) {
        assert_eq!(self.log.end().0, self.messages.len() as u64);
        (0..=self.log.end().0).for_each(|offset| self.check(offset));
        let (found, outcome) = verified(&self.log);
        assert_eq!(outcome, Ok(()));
        let told: Vec<Arc<Message>> =
            found.iter().flat_map(|found| found.messages.as_ref().unwrap().to_vec()).collect();
        assert_eq!(told, self.messages[self.log.start().0 as usize..]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_log_is_the_list_of_what_was_appended(steps in prop::collection::vec(step(), 1..60)) {
        let mut history = History::new();
        for step in steps {
            history.take(step);
        }
        history.check_all();
        history.end(None, Harm::None, Refill::All, false);
        history.check_all();
    }
}
