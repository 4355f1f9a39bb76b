//! Sites that are measured in turns.

use std::time::Duration;

use crate::cpu;
use crate::measure::{MeasureError, Progress, Site};
use crate::steady::{Connection, Load, Summary, Traffic};

/// Connections to each worker.
const CONNECTIONS: usize = 4;

/// One of them: a site, and what is sent to it.
#[derive(Debug)]
pub(super) struct Side {
    site: Site,
    traffic: Traffic,
    connections: Vec<Connection>,
    load: Summary,
}

/// What the rounds came to.
#[derive(Debug)]
pub(super) struct Rounds<const SIDES: usize> {
    /// CPU time of Envoy for each request, by site, in each round.
    pub(super) spent: Vec<[Duration; SIDES]>,
    /// What went wrong at any.
    pub(super) load: Summary,
}

impl Side {
    /// `site`, which serves version 1 or none, under `traffic`.
    pub(super) async fn new(site: Site, traffic: Traffic) -> Result<Self, MeasureError> {
        let connections = site.cover(CONNECTIONS).await?;
        Ok(Self { site, traffic, connections, load: Summary::default() })
    }

    /// Its part of a round: the CPU time of Envoy for each request that it answered in `time`.
    async fn round(&mut self, time: Duration) -> Result<Duration, MeasureError> {
        let pid = self.site.envoy.pid();
        let gone = || MeasureError::Nothing("Envoy has ended");
        let before = cpu::precise(pid).ok_or_else(gone)?;
        let load = Load::start(std::mem::take(&mut self.connections), self.traffic, 1);
        tokio::time::sleep(time).await;
        let (summary, connections) = load.stop().await;
        let spent = cpu::precise(pid).ok_or_else(gone)?.saturating_sub(before);
        self.connections = connections;
        let answers: u64 = summary.answers.iter().sum();
        self.load = std::mem::take(&mut self.load).and(summary);
        let answers = u32::try_from(answers).ok().filter(|answers| *answers > 0);
        Ok(spent / answers.ok_or(MeasureError::Nothing("no request was answered"))?)
    }
}

/// Measures `sides` in `rounds` rounds, after one that warms up. In each, every side has its turn of `time`; the first turn is
/// another's each round.
pub(super) async fn measure<const SIDES: usize>(
    mut sides: [Side; SIDES],
    rounds: u32,
    time: Duration,
    progress: &Progress,
) -> Result<Rounds<SIDES>, MeasureError> {
    let mut all = Vec::new();
    for number in 0..=rounds {
        let mut spent = [Duration::ZERO; SIDES];
        for turn in 0..SIDES {
            let place = (turn + number as usize) % SIDES;
            spent[place] = sides[place].round(time).await?;
        }
        if number > 0 {
            all.push(spent);
            progress.step();
        }
    }
    let load = sides.into_iter().fold(Summary::default(), |load, side| load.and(side.load));
    Ok(Rounds { spent: all, load })
}
