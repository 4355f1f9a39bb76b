//! Two sites that are measured in turns.

use std::time::Duration;

use crate::cpu;
use crate::steady::{Connection, Load, Summary, Traffic};

use super::site::Site;
use super::{BenchError, Options, Progress};

/// Connections to each worker.
const CONNECTIONS: usize = 4;

/// One of the two: a site, and what is sent to it.
#[derive(Debug)]
pub(super) struct Side {
    site: Site,
    traffic: Traffic,
    connections: Vec<Connection>,
    load: Summary,
}

/// What the rounds came to.
#[derive(Debug)]
pub(super) struct Rounds {
    /// CPU time of Envoy for each request, of the first and of the second site, for each pair of rounds.
    pub(super) pairs: Vec<[Duration; 2]>,
    /// What went wrong at either.
    pub(super) load: Summary,
}

impl Side {
    /// `site`, which serves version 1, under `traffic`.
    pub(super) async fn new(site: Site, traffic: Traffic) -> Result<Self, BenchError> {
        let connections = site.cover(CONNECTIONS).await?;
        Ok(Self { site, traffic, connections, load: Summary::default() })
    }

    /// One round: the CPU time of Envoy for each request that it answered in `time`.
    async fn round(&mut self, time: Duration) -> Result<Duration, BenchError> {
        let pid = self.site.envoy.pid();
        let gone = || BenchError::Nothing("Envoy has ended");
        let before = cpu::precise(pid).ok_or_else(gone)?;
        let load = Load::start(std::mem::take(&mut self.connections), self.traffic, 1);
        tokio::time::sleep(time).await;
        let (summary, connections) = load.stop().await;
        let spent = cpu::precise(pid).ok_or_else(gone)?.saturating_sub(before);
        self.connections = connections;
        let answers: u64 = summary.answers.iter().sum();
        self.load = std::mem::take(&mut self.load).and(summary);
        let answers = u32::try_from(answers).ok().filter(|answers| *answers > 0);
        Ok(spent / answers.ok_or(BenchError::Nothing("no request was answered"))?)
    }
}

/// Measures `first` and `second` in pairs of rounds, which begin with either of them in turn, after a pair that warms up.
pub(super) async fn measure(
    mut first: Side,
    mut second: Side,
    options: &Options,
    progress: &Progress,
) -> Result<Rounds, BenchError> {
    let mut pairs = Vec::new();
    for number in 0..=options.rounds {
        let pair = if number % 2 == 0 {
            let first = first.round(options.round).await?;
            [first, second.round(options.round).await?]
        } else {
            let second = second.round(options.round).await?;
            [first.round(options.round).await?, second]
        };
        if number > 0 {
            pairs.push(pair);
            progress.step();
        }
    }
    Ok(Rounds { pairs, load: first.load.and(second.load) })
}
