//! Demand that does not wait for what becomes of it: requests at their times, on connections to every worker.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::header::CONNECTION;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::Case;
use super::accuracy::Sample;
use crate::measure::{MeasureError, Progress};
use crate::steady::{Connection, Fault, answer};

/// When a connection sends.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// What times are counted from.
    start: Instant,
    /// The first request.
    first: Instant,
    /// From one to the next.
    every: Duration,
    /// None is sent from here on.
    end: Instant,
}

/// Sends what `case` asks for over `connections` for `time`, and waits for the answers.
pub(super) async fn meet(
    case: &Case,
    gateway: SocketAddr,
    connections: Vec<Connection>,
    time: Duration,
    progress: &Progress,
) -> Result<Vec<Sample>, MeasureError> {
    let count = u32::try_from(connections.len()).unwrap_or(u32::MAX);
    // Each connection has one request under way; together they send evenly.
    let every = Duration::from_secs(1) * count / case.demand;
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for (place, connection) in (0..count).zip(connections) {
        let pace = Pace { start, first: start + every * place / count, every, end: start + time };
        clients.spawn(client(*case, gateway, connection, pace, (u64::from(place)..).step_by(count as usize)));
    }
    for second in 1..=time.as_secs() {
        sleep_until(start + Duration::from_secs(second)).await;
        progress.step();
    }
    let mut samples = Vec::new();
    for answered in clients.join_all().await {
        samples.extend(answered?);
    }
    Ok(samples)
}

/// Sends the publishes of these `numbers` on `connection`.
async fn client(
    case: Case,
    gateway: SocketAddr,
    mut connection: Connection,
    pace: Pace,
    numbers: impl Iterator<Item = u64>,
) -> Result<Vec<Sample>, MeasureError> {
    let mut times = interval_at(pace.first, pace.every);
    times.set_missed_tick_behavior(if case.is_over() {
        // What could not be sent in time is sent at once: the demand is never less than it is to be.
        MissedTickBehavior::Burst
    } else {
        // And never more.
        MissedTickBehavior::Delay
    });
    let mut samples = Vec::new();
    for number in numbers {
        times.tick().await;
        let sent = Instant::now();
        if sent >= pace.end {
            break;
        }
        let answer = answer(&mut connection, case.publish(number)).await.map_err(MeasureError::Request)?;
        let admitted = match answer.status().as_u16() {
            200 => true,
            429 => false,
            status => {
                let body = String::from_utf8_lossy(answer.body()).into_owned();
                return Err(MeasureError::Request(Fault::Status { status, body }));
            }
        };
        let answered = Instant::now();
        // Envoy keeps no connection of HTTP/1 on which it has answered before it read the whole request.
        if answer.headers().get(CONNECTION).is_some_and(|value| value == "close") {
            let broken = |reason| MeasureError::Request(Fault::NoAnswer { reason });
            connection = Connection::open(gateway).await.map_err(broken)?;
        }
        let since = |moment: Instant| moment - pace.start;
        samples.push(Sample { tenant: case.tenant(number), sent: since(sent), answered: since(answered), admitted });
    }
    Ok(samples)
}
