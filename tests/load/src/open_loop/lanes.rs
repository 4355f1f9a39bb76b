//! The load itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::lane::{Asked, Lane};
use crate::measure::MeasureError;
use crate::steady::{Fault, Summary};

/// Latencies above this are counted as this: longer than any answer is waited for.
const MAX: Duration = Duration::from_secs(600);
/// Three digits: a latency is off by a thousandth at most.
const DIGITS: u8 = 3;
/// Faults that are kept in words; all are counted.
const KEPT: usize = 10;

/// Connections to one address, each of which carries one request at a time, the same ever again.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    asked: Asked,
}

/// What came of a schedule.
#[derive(Debug)]
pub(crate) struct Turn {
    /// From when a request was planned to the last byte of its answer, in nanoseconds.
    latencies: Histogram<u64>,
    /// From the begin to the last answer.
    took: Duration,
    /// How many were answered, and what went wrong.
    pub(crate) load: Summary,
}

impl Turn {
    /// The latency that the share `quantile` of all does not exceed, in milliseconds.
    pub(crate) fn millis(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e6
    }

    /// How many requests were answered, a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

impl Lanes {
    /// Opens `count` connections, on which this is to be asked.
    ///
    /// # Errors
    /// Where nobody listens.
    pub(crate) async fn open(address: SocketAddr, count: usize, asked: Asked) -> std::io::Result<Self> {
        let mut lanes = Vec::new();
        for _ in 0..count {
            lanes.push(Lane::open(address).await?);
        }
        Ok(Self { lanes, asked })
    }

    /// Sends a request at each time of `schedule`, or as soon after it as a connection is free, until all are answered. It keeps
    /// the thread busy: whoever waits in the kernel is woken late, and a timer's clock is too coarse. What else is done on the
    /// thread has its turn in between.
    ///
    /// # Errors
    /// Where all connections are broken.
    pub(crate) async fn turn(&mut self, schedule: impl Iterator<Item = Duration>) -> Result<Turn, MeasureError> {
        // What is due and finds no connection stays in it.
        let mut schedule = schedule.peekable();
        let mut record = Record::new();
        let begin = Instant::now();
        while schedule.peek().is_some() || !self.lanes.iter().all(Lane::is_free) {
            let now = begin.elapsed();
            self.lanes.retain_mut(|lane| {
                if lane.is_free() {
                    let Some(planned) = schedule.next_if(|planned| *planned <= now) else { return true };
                    lane.take(planned, now);
                }
                match lane.proceed(&self.asked, now) {
                    Ok(None) => true,
                    Ok(Some(planned)) => record.answered(begin.elapsed().saturating_sub(planned)),
                    Err(fault) => record.fault(fault),
                }
            });
            if self.lanes.is_empty() {
                let first = record.load.faults.first().map(ToString::to_string);
                return Err(MeasureError::Unanswered(first.unwrap_or_else(|| "no connection".to_owned())));
            }
            tokio::task::yield_now().await;
        }
        Ok(record.turn(begin.elapsed()))
    }
}

/// What has come of a schedule so far.
struct Record {
    latencies: Histogram<u64>,
    load: Summary,
}

impl Record {
    fn new() -> Self {
        let latencies =
            Histogram::new_with_max(nanos(MAX), DIGITS).expect("the bounds are constants within the library's");
        Self { latencies, load: Summary::default() }
    }

    /// Notes an answer. The connection is of further use.
    fn answered(&mut self, took: Duration) -> bool {
        self.latencies.saturating_record(nanos(took));
        true
    }

    /// Notes a fault. Says whether the connection is of further use.
    fn fault(&mut self, fault: Fault) -> bool {
        let is_open = !fault.ends_the_connection();
        self.load.failed += 1;
        if self.load.faults.len() < KEPT {
            self.load.faults.push(fault);
        }
        is_open
    }

    fn turn(self, took: Duration) -> Turn {
        let load = Summary { answers: vec![self.latencies.len()], ..self.load };
        Turn { latencies: self.latencies, took, load }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};

    use super::super::{at_once, even};
    use super::*;
    use crate::http1;

    const CONNECTIONS: usize = 4;
    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    const SORRY: &[u8] = b"HTTP/1.1 503 Sorry\r\ncontent-length: 0\r\n\r\n";
    const RATE: f64 = 1_000.0;

    /// What answers request number `n` of all connections together; with nothing, it closes the connection.
    type Answer = Box<dyn FnMut(u64) -> Option<&'static [u8]> + Send>;

    /// Connections to something that answers so, one request at a time.
    async fn lanes(answer: impl FnMut(u64) -> Option<&'static [u8]> + Send + 'static) -> Lanes {
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let answer: Arc<Mutex<(u64, Answer)>> = Arc::new(Mutex::new((0, Box::new(answer))));
        std::thread::spawn(move || {
            for stream in socket.incoming().take(CONNECTIONS) {
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(stream.unwrap(), &answer));
            }
        });
        Lanes::open(address, CONNECTIONS, Asked { request: REQUEST.to_vec(), status: 200 }).await.unwrap()
    }

    fn serve(mut stream: TcpStream, answer: &Mutex<(u64, Answer)>) {
        let mut held = [0; REQUEST.len()];
        while stream.read_exact(&mut held).is_ok() {
            assert_eq!(http1::request(&held), Ok(Some(("/", held.len()))));
            let mut answer = answer.lock().unwrap();
            let (number, answer) = &mut *answer;
            let bytes = answer(*number);
            *number += 1;
            let Some(bytes) = bytes else { return };
            stream.write_all(bytes).unwrap();
        }
    }

    #[tokio::test]
    async fn whatever_is_planned_while_nothing_is_answered_takes_as_long_as_that_lasts() {
        const STALL: Duration = Duration::from_millis(300);
        const BEFORE: u64 = 300;
        let stalling = |number| {
            if number == BEFORE {
                std::thread::sleep(STALL);
            }
            Some(OK)
        };
        let turn = lanes(stalling).await.turn(even(RATE, Duration::from_secs(1))).await.unwrap();
        assert_eq!((turn.latencies.len(), turn.load.failed), (1_000, 0));
        // When it begins, the last of the 300 before was planned, and of all behind, but for as many as there are connections,
        // none is answered until it ends. Whoever counts from the writing finds it at those alone that were under way.
        for least in [30, 100, 200, 270].map(Duration::from_millis) {
            let planned = ((STALL - least).as_secs_f64() * RATE) as u64;
            let counted = turn.latencies.count_between(nanos(least), nanos(MAX));
            assert!(counted >= planned - CONNECTIONS as u64, "{least:?}: {counted} of {planned}");
        }
    }

    #[tokio::test]
    async fn faults_are_counted_and_a_connection_that_is_left_carries_on() {
        let faulty = |number| match number {
            10 => Some(SORRY),
            20..23 => None,
            _ => Some(OK),
        };
        let mut lanes = lanes(faulty).await;
        let turn = lanes.turn(even(RATE, Duration::from_millis(100))).await.unwrap();
        assert_eq!((turn.load.answers.as_slice(), turn.load.failed), ([96].as_slice(), 4));
        let status = Fault::Status { status: 503, body: String::from_utf8_lossy(SORRY).into_owned() };
        let closed = Fault::NoAnswer { reason: "the connection was closed".to_owned() };
        assert_eq!(turn.load.faults, [status, closed.clone(), closed.clone(), closed]);
        assert_eq!(lanes.lanes.len(), 1);
    }

    #[tokio::test]
    async fn where_every_connection_is_broken_nothing_is_measured() {
        let broken = lanes(|_| None).await.turn(even(RATE, Duration::from_millis(100))).await;
        assert_eq!(broken.unwrap_err().to_string(), "no request was answered: no answer: the connection was closed");
    }

    #[tokio::test]
    async fn what_is_due_at_once_is_sent_until_the_time_is_over_and_answered() {
        let time = Duration::from_millis(50);
        let mut lanes = lanes(|_| Some(OK)).await;
        // The schedule begins a little before the turn does.
        let begin = Instant::now();
        let turn = lanes.turn(at_once(time)).await.unwrap();
        let lasted = begin.elapsed();
        assert!(lasted >= time && turn.took <= lasted, "{lasted:?}, {:?}", turn.took);
        assert!(!turn.latencies.is_empty());
    }
}
