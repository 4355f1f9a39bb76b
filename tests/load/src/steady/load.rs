//! The load itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use stack::{PATIENCE, TimedOut, until};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::connection::{Connection, Response};
use super::fault::Fault;
use super::record::Record;

/// Makes the request number `n` of a connection.
pub type Numbered = fn(n: u64) -> Request<Full<Bytes>>;

/// How an answer must be.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// A success, and the response header that ends in `=` and the version that the answer was made by.
    Version(&'static str),
    /// Of this status, by whatever version.
    Status(u16),
}

/// What is sent, how fast, and how it must be answered.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    /// What each connection sends.
    pub request: Numbered,
    /// What each must be answered.
    pub expected: Expected,
    /// From one request of a connection to its next. Zero sends the next as soon as the answer is here.
    pub every: Duration,
}

/// A load that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Load {
    record: Arc<Record>,
    stopped: Arc<AtomicBool>,
    tasks: JoinSet<Connection>,
}

/// What became of a load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests that were answered as they must be, by worker.
    pub answers: Vec<u64>,
    /// Requests that went wrong.
    pub failed: u64,
    /// The first of those.
    pub faults: Vec<Fault>,
}

impl Summary {
    /// What became of this load and of `other`, which was on other connections, together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.answers.extend(other.answers);
        self.failed += other.failed;
        self.faults.extend(other.faults);
        self
    }
}

impl Load {
    /// Starts `traffic` on each of `connections`, whose gateway has the policy `version` in force.
    #[must_use]
    pub fn start(connections: Vec<Connection>, traffic: Traffic, version: u64) -> Self {
        let workers: Vec<usize> = connections.iter().map(Connection::worker).collect();
        let record = Arc::new(Record::new(&workers, version));
        let stopped = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for (lane, connection) in connections.into_iter().enumerate() {
            tasks.spawn(run(connection, lane, traffic, Arc::clone(&record), Arc::clone(&stopped)));
        }
        Self { record, stopped, tasks }
    }

    /// Allows answers by `version`, which is about to come into force.
    pub fn expect(&self, version: u64) {
        self.record.expect(version);
    }

    /// Waits until every connection was answered by `version`, and returns when the last of them was.
    ///
    /// # Errors
    /// Where one is not, or all have broken.
    pub async fn served(&self, version: u64) -> Result<Instant, TimedOut> {
        let condition = || format!("version {version} on every connection");
        self.record.all_at(version).await.ok_or_else(|| TimedOut { condition: condition() })
    }

    /// Waits until every connection has sent a request after this call and got its answer.
    ///
    /// # Errors
    /// Where one does not.
    pub async fn another_round(&self) -> Result<(), TimedOut> {
        let now = Instant::now();
        let fresh = || self.record.lanes().iter().filter(|lane| lane.open).all(|lane| lane.sent > now);
        until("an answer on every connection", async || fresh().then_some(())).await
    }

    /// How many requests were answered as they must be so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.record.answers().into_iter().sum()
    }

    /// How many requests went wrong so far, and the first of them.
    #[must_use]
    pub fn faults(&self) -> (u64, Vec<Fault>) {
        self.record.faults()
    }

    /// Ends the load when every request under way is answered. Returns the connections too, for another load.
    pub async fn stop(self) -> (Summary, Vec<Connection>) {
        self.stopped.store(true, Ordering::Relaxed);
        let connections = self.tasks.join_all().await;
        let (failed, faults) = self.record.faults();
        (Summary { answers: self.record.answers(), failed, faults }, connections)
    }
}

/// Sends one request after the other on `connection`.
async fn run(
    mut connection: Connection,
    lane: usize,
    traffic: Traffic,
    record: Arc<Record>,
    stopped: Arc<AtomicBool>,
) -> Connection {
    let mut pace = (traffic.every > Duration::ZERO).then(|| interval(traffic.every));
    if let Some(pace) = &mut pace {
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut number = 0;
    while !stopped.load(Ordering::Relaxed) {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let (sent, least) = (Instant::now(), record.least(lane));
        let request = (traffic.request)(number);
        number += 1;
        match answer(&mut connection, request).await {
            Ok(answer) => match traffic.expected.version(&answer) {
                Ok(version) => record.answered(lane, sent, least, version),
                Err(fault) => record.fault(lane, fault),
            },
            Err(fault) => {
                record.fault(lane, fault);
                break;
            }
        }
    }
    connection
}

/// The whole answer to `request`.
pub(crate) async fn answer(connection: &mut Connection, request: Request<Full<Bytes>>) -> Result<Response, Fault> {
    let reason = match timeout(PATIENCE, connection.exchange(request)).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => format!("within {} s", PATIENCE.as_secs()),
    };
    Err(Fault::NoAnswer { reason })
}

impl Expected {
    /// The version that `answer` was made by; 0, which is older than any, where it need not tell.
    fn version(self, answer: &Response) -> Result<u64, Fault> {
        let status = answer.status();
        let as_it_must_be = match self {
            Self::Version(_) => status.is_success(),
            Self::Status(expected) => status == expected,
        };
        if !as_it_must_be {
            let body = String::from_utf8_lossy(answer.body()).into_owned();
            return Err(Fault::Status { status: status.as_u16(), body });
        }
        let Self::Version(header) = self else { return Ok(0) };
        let told = answer.headers().get(header).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let version = told.as_deref().and_then(|told| told.rsplit('=').next()?.parse().ok());
        version.ok_or(Fault::NoVersion { told })
    }
}
