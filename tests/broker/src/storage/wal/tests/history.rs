//! Random histories with crashes: what somebody was told is durable is replayed, in order.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append {
        bytes: usize,
    },
    /// Waits for one of the entries.
    Await {
        which: u64,
    },
    Rotate,
    /// As after a snapshot: everything so far is known from elsewhere.
    Cut,
    Crash {
        seed: u64,
    },
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..2_000_usize).prop_map(|bytes| Step::Append { bytes }),
        3 => any::<u64>().prop_map(|which| Step::Await { which }),
        2 => Just(Step::Rotate),
        1 => Just(Step::Cut),
        2 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
        1 => Just(Step::Kill),
    ]
}

struct History {
    disk: SimulatedDisk,
    wal: Wal,
    /// The entries by their marks, from the first on.
    entries: Vec<Vec<u8>>,
    appended: usize,
    /// Up to where somebody was told that the log is durable.
    durable: Mark,
    /// Up to where the entries are known from elsewhere.
    known: Mark,
}

impl History {
    fn new() -> Self {
        let disk = SimulatedDisk::default();
        let (wal, _) = open(&disk, Fsync::Always);
        Self { disk, wal, entries: Vec::new(), appended: 0, durable: Mark(0), known: Mark(0) }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Append { bytes } => {
                self.appended += 1;
                let mut entry = self.appended.to_string().into_bytes();
                entry.resize(entry.len() + bytes, b'.');
                let mark = self.wal.append(&[&entry[..1], &entry[1..]]).unwrap();
                self.entries.push(entry);
                assert_eq!(mark, Mark(self.entries.len() as u64));
            }
            Step::Await { which } => {
                let mark = Mark(which % (self.wal.end().0 + 1));
                reached(&self.wal, mark).await.unwrap();
                self.durable = self.durable.max(mark);
            }
            Step::Rotate => assert_eq!(self.wal.rotate(), self.wal.end()),
            Step::Cut => {
                let through = self.wal.rotate();
                reached(&self.wal, through).await.unwrap();
                (self.durable, self.known) = (through, through);
                self.wal.remove_through(through).unwrap();
            }
            Step::Crash { seed } => self.start(self.disk.crash(seed)),
            Step::Kill => self.start(self.disk.kill()),
        }
    }

    fn start(&mut self, disk: SimulatedDisk) {
        let (wal, replayed) = try_open(&disk, self.known.0, Fsync::Always).unwrap();
        (self.disk, self.wal) = (disk, wal);
        let end = self.wal.end();
        assert!(end >= self.durable, "the log ends at {end:?}, and was durable up to {:?}", self.durable);
        self.entries.truncate(end.0 as usize);
        let known = self.known.0 as usize;
        let expected = (known as u64 + 1..).map(Mark).zip(self.entries[known..].iter().cloned());
        assert!(replayed.into_iter().eq(expected));
        // Whatever was found has been made durable.
        self.durable = end;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_durable_is_replayed_in_order(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut history = History::new();
            for step in steps {
                history.take(step).await;
            }
            history.take(Step::Crash { seed: 0 }).await;
        });
    }
}
