//! One run: a directory, a load, and a broker that is ended again and again.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;
use tmq_broker::Semantics;

use crate::client::{Api, Halt};
use crate::ledger::{Ledger, check_end};
use crate::process::{Running, interrupt_start};
use crate::program;
use crate::stage::Phase;
use crate::workload::{CHURN, TRANSACTION_TIMEOUT, Workload};

/// The rest of a failed message, in milliseconds, so that some rest while the broker is ended.
const BACK_OFF: &str = "15";

/// No consumer of a run is silent for three of these, in milliseconds.
const HEARTBEAT_PERIOD: &str = "20000";

/// With it, consumers whose subscribe was not answered leave soon.
const SHORT_HEARTBEAT_PERIOD: &str = "200";

/// Far longer than the drain takes: what is left then is never delivered.
const DRAIN: Duration = Duration::from_secs(90);

/// The broker looks this long after its start whether a snapshot is due; many kills are to come while it is taken.
const SNAPSHOT: Duration = Duration::from_millis(100);

/// Between two looks at the ledger.
const LOOK: Duration = Duration::from_millis(20);

/// Where the broker keeps messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Disk,
    /// In memory, so that the end of the process loses everything: a run must find that out.
    Memory,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    /// How often the broker is killed under load.
    pub(crate) cycles: u32,
    pub(crate) semantics: Semantics,
    pub(crate) keep: Keep,
}

/// What a run has seen.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    cycles: u32,
    orderly_ends: u32,
    killed_starts: u32,
    published: u64,
    acked: u64,
    dead_lettered: u64,
    redeliveries: u64,
    longest_start: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cycles, orderly_ends, killed_starts, published, acked, dead_lettered, redeliveries, longest_start } =
            self;
        write!(
            f,
            "{cycles} kills under load, {killed_starts} at a start, {orderly_ends} orderly ends; {published} messages \
             published, {acked} acks, {dead_lettered} dead letters, {redeliveries} redeliveries; the longest start \
             took {} ms",
            longest_start.as_millis()
        )
    }
}

struct Run<'a> {
    options: Options,
    dir: &'a Path,
    rng: Rng,
    summary: Summary,
    /// What the ledger said last.
    ledger: Option<Ledger>,
}

/// Runs it. A violation is told with the seed and the cycle, and the directory is kept.
pub(crate) async fn run(options: Options) -> Result<Summary, String> {
    let Options { seed, cycles, semantics, .. } = options;
    eprintln!("crash, {semantics} semantics: {cycles} cycles, TMQ_CRASH_SEED={seed}");
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let rng = Rng::with_seed(seed);
    let mut run = Run { options, dir: dir.path(), rng, summary: Summary::default(), ledger: None };
    let ended = run.cycles().await;
    let summary = run.summary;
    let violation = match ended {
        Ok(()) => return Ok(summary),
        Err(Halt::Violation(violation)) => violation,
        Err(Halt::Unanswered) => "the broker did not answer while nobody ended it".to_owned(),
    };
    let kept = match options.keep {
        Keep::Disk => format!("; its directory is {}", dir.keep().display()),
        Keep::Memory => String::new(),
    };
    Err(format!("seed {seed}, {semantics} semantics, after {} kills: {violation}{kept}", summary.cycles))
}

impl Run<'_> {
    async fn cycles(&mut self) -> Result<(), Halt> {
        let mut broker = self.start(HEARTBEAT_PERIOD).await?;
        let mut workload = Workload::set_up(&broker.api, self.options.semantics, &mut self.rng).await?;
        while self.summary.cycles < self.options.cycles {
            if self.rng.u8(..12) == 0 {
                self.summary.orderly_ends += 1;
                broker = self.cycle(broker, &mut workload, Signal::TERM).await?;
            }
            self.summary.cycles += 1;
            workload.history().cycle = self.summary.cycles;
            broker = self.cycle(broker, &mut workload, Signal::KILL).await?;
            if self.summary.cycles.is_multiple_of(20) {
                let (published, _) = workload.history().published_count();
                let Summary { cycles, longest_start, .. } = &self.summary;
                eprintln!(
                    "{} semantics: {cycles} kills, {published} messages, longest start {} ms",
                    self.options.semantics,
                    longest_start.as_millis()
                );
            }
        }
        self.drain(broker, workload).await
    }

    /// Has a broker work for a while, ends it, and starts the next.
    async fn cycle(&mut self, broker: Running, workload: &mut Workload, signal: Signal) -> Result<Running, Halt> {
        let length = match self.rng.u8(..3) {
            0 => SNAPSHOT + Duration::from_micros(self.rng.u64(..25_000)),
            _ => Duration::from_micros(self.rng.u64(15_000..180_000)),
        };
        let mut working = workload.start(&broker.api, Phase::Load);
        working.go_on(workload, length).await?;
        broker.end(signal).await?;
        workload.join(working).await?;
        while self.rng.u8(..5) == 0 {
            self.summary.killed_starts += 1;
            let longest = self.summary.longest_start.as_micros() as u64;
            let after = Duration::from_micros(self.rng.u64(..=longest));
            interrupt_start(&self.arguments(HEARTBEAT_PERIOD), after).await;
        }
        let broker = self.start(HEARTBEAT_PERIOD).await?;
        self.look(&broker.api, workload).await?;
        Ok(broker)
    }

    /// Holds the ledger against what it was and what was answered.
    async fn look(&mut self, api: &Api, workload: &Workload) -> Result<(), Halt> {
        let ledger = Ledger::read(api).await?;
        ledger.check_answered(&workload.history())?;
        if let Some(before) = &self.ledger {
            ledger.check_grown(before)?;
        }
        self.ledger = Some(ledger);
        Ok(())
    }

    /// Brings every message to its end, and accounts for it.
    async fn drain(&mut self, broker: Running, mut workload: Workload) -> Result<(), Halt> {
        workload.finish_producing(&broker.api).await?;
        self.drain_groups(&broker.api, &mut workload, |group| group != CHURN).await?;
        broker.end(Signal::TERM).await?;
        let broker = self.start(SHORT_HEARTBEAT_PERIOD).await?;
        self.drain_groups(&broker.api, &mut workload, |_| true).await?;
        let ledger = Ledger::read(&broker.api).await?;
        check_end(&ledger, &workload.history())?;
        broker.end(Signal::TERM).await?;
        self.reconcile()?;
        let broker = self.start(HEARTBEAT_PERIOD).await?;
        let again = Ledger::read(&broker.api).await?;
        if again != ledger {
            return Err(format!("the ledger was {ledger:?} and is {again:?} after an orderly end").into());
        }
        broker.end(Signal::KILL).await?;
        self.reconcile()?;
        self.summarize(&ledger);
        Ok(())
    }

    /// Has everyone consume until these groups have nothing left.
    async fn drain_groups(
        &mut self,
        api: &Api,
        workload: &mut Workload,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), Halt> {
        let end = tokio::time::Instant::now() + DRAIN;
        let mut working = workload.start(api, Phase::Drain);
        // What one group gives up, another one reads: nothing must be left at two looks in a row.
        let mut drained = 0;
        while drained < 2 {
            working.go_on(workload, LOOK).await?;
            let ledger = Ledger::read(api).await?;
            let left: Vec<String> = ledger.left(&wanted).map(|entry| format!("{entry:?}")).collect();
            drained = if left.is_empty() { drained + 1 } else { 0 };
            if tokio::time::Instant::now() > end {
                return Err(format!("not delivered within {DRAIN:?}: {left:?}").into());
            }
        }
        working.stage.finish();
        workload.join(working).await?;
        Ok(())
    }

    fn reconcile(&self) -> Result<(), String> {
        let output = program::run(&["reconcile", "--data", &self.dir.to_string_lossy()]);
        let said = String::from_utf8_lossy(&output.stdout);
        match output.status.success() && said.contains("every message is accounted for") {
            true => Ok(()),
            false => Err(format!(
                "reconcile ended with {}: {said}{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }

    async fn start(&mut self, heartbeat_period: &str) -> Result<Running, String> {
        let arguments = self.arguments(heartbeat_period);
        let broker = Running::start(&arguments).await?;
        self.summary.longest_start = self.summary.longest_start.max(broker.start_up);
        Ok(broker)
    }

    /// A command line. Sizes are often small, so that kills meet snapshots and the ends of segments.
    fn arguments(&mut self, heartbeat_period: &str) -> Vec<String> {
        let mut one_of = |choices: &[&str]| self.rng.choice(choices.iter().copied()).unwrap_or_default().to_owned();
        let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
        let semantics = self.options.semantics.to_string();
        let mut arguments = vec![
            ("--semantics", semantics),
            ("--back-off", BACK_OFF.to_owned()),
            ("--heartbeat-period", heartbeat_period.to_owned()),
            ("--transaction-timeout", timeout),
        ];
        if self.options.keep == Keep::Disk {
            arguments.extend([
                ("--data", self.dir.to_string_lossy().into_owned()),
                ("--fsync", one_of(&["always", "always", "always", "interval", "never"])),
                ("--checkpoint-bytes", one_of(&["4096", "32768", "262144", "67108864"])),
                ("--segment-bytes", one_of(&["4096", "65536", "67108864"])),
                // What is removed are messages that every group has settled.
                ("--retention-bytes", one_of(&["8192", "1073741824"])),
                ("--cache", one_of(&["16384", "67108864"])),
            ]);
        }
        arguments.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    fn summarize(&mut self, ledger: &Ledger) {
        let Summary { published, acked, dead_lettered, redeliveries, .. } = &mut self.summary;
        (*published, *acked, *dead_lettered, *redeliveries) = ledger.totals();
    }
}
