//! The incident: the same work with the same settings twice, through a bare gateway and through a guarded one.

use std::net::SocketAddr;
use std::time::Duration;

use spans::Spans;

use crate::cpu::Watched;
use crate::result::{IncidentResult, RunResult};
use crate::run::{RunError, RunOptions, RunOutcome, Sample, run};
use crate::verdict::Side;
use crate::workload::Workload;

/// The setting that lost the messages.
pub const ACK_TIMEOUT: Duration = Duration::ZERO;

/// The retries of the incident's consumers.
pub const MAX_RECONSUME_TIMES: u32 = 3;

/// The addresses of a running stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// The gateway without AckGuard.
    pub bare: SocketAddr,
    /// The gateway with AckGuard.
    pub guarded: SocketAddr,
    /// The broker's admin port.
    pub admin: SocketAddr,
}

/// What the incident is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentOptions {
    /// Messages of each run.
    pub messages: u64,
    /// Consumers of each run's group.
    pub consumers: u32,
    /// Workers of each consumer.
    pub concurrency: usize,
    /// What the messages are and the work that they make; the same in both runs.
    pub workload: Workload,
    /// How long each run may take.
    pub time_limit: Duration,
}

impl Default for IncidentOptions {
    /// The incident at its full size. 2,048 workers do the bare run's 400,000 deliveries of 85 ms each in some 17 s
    /// where the machine keeps up, and in less than a minute on 2 cores.
    fn default() -> Self {
        Self {
            messages: 100_000,
            consumers: 16,
            concurrency: 128,
            workload: Workload::default(),
            time_limit: Duration::from_secs(300),
        }
    }
}

/// Both runs of the incident.
#[derive(Debug)]
pub struct Incident {
    /// What was asked.
    pub options: IncidentOptions,
    /// The run without AckGuard.
    pub bare: RunOutcome,
    /// The run with AckGuard.
    pub guarded: RunOutcome,
}

/// A run that did not come to its end, so that there is no incident to judge.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", side.name())]
pub struct IncidentError {
    /// Which run.
    pub side: Side,
    /// Why.
    pub source: RunError,
}

impl Incident {
    /// Makes both runs, one after the other, telling each sample of the ledger to `observe`. The CPU time of
    /// `processes` is measured, and requests are traced by `spans`.
    ///
    /// # Errors
    /// [`IncidentError`] for the first run that fails; the other one is not made then.
    pub async fn replay(
        endpoints: Endpoints,
        options: IncidentOptions,
        processes: &[Watched],
        spans: Option<&Spans>,
        mut observe: impl FnMut(Side, &Sample),
    ) -> Result<Self, IncidentError> {
        let mut side = async |side: Side, gateway| {
            let options = RunOptions {
                gateway,
                admin: endpoints.admin,
                topic: format!("orders-{}", side.name()),
                group: format!("workers-{}", side.name()),
                ack_timeout: ACK_TIMEOUT,
                max_reconsume_times: MAX_RECONSUME_TIMES,
                messages: options.messages,
                consumers: options.consumers,
                concurrency: options.concurrency,
                workload: options.workload.clone(),
                time_limit: options.time_limit,
                processes: processes.to_vec(),
                spans: spans.cloned(),
            };
            run(&options, |sample| observe(side, sample)).await.map_err(|source| IncidentError { side, source })
        };
        let bare = side(Side::Bare, endpoints.bare).await?;
        let guarded = side(Side::Guarded, endpoints.guarded).await?;
        Ok(Self { options, bare, guarded })
    }

    /// The figures of both runs.
    #[must_use]
    pub fn result(&self) -> IncidentResult {
        IncidentResult {
            messages: self.options.messages,
            bare: RunResult::of(&self.bare),
            guarded: RunResult::of(&self.guarded),
        }
    }
}
