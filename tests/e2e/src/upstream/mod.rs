//! An upstream that keeps every byte of every request.

mod http1;
mod http2;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use stack::{PATIENCE, Protocol};

use crate::message::{Message, excerpt};
use crate::wire::Broken;

pub(crate) use http2::Received;

/// What the upstream answers to a request.
pub type Script = fn(&Message) -> Answer;

/// A response of the upstream.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Headers besides the body's length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Trailers behind the body, which then comes in chunks.
    pub trailers: Vec<(&'static str, &'static str)>,
}

/// 200 with an empty object, as good as any broker's answer to the filter.
#[must_use]
pub fn empty_object(_request: &Message) -> Answer {
    let headers = vec![("content-type", "application/json".to_owned())];
    Answer { headers, body: b"{}".to_vec(), trailers: Vec::new() }
}

/// What arrived.
#[derive(Debug, Default)]
struct Log {
    /// Who has connected.
    clients: HashSet<SocketAddr>,
    /// Whole requests that no test has taken yet.
    whole: Vec<Message>,
    /// Requests that broke off.
    broken: Vec<Broken>,
    /// What each connection's request under way has brought so far; by connection.
    under_way: Vec<Vec<u8>>,
}

/// What the connections of an upstream share.
#[derive(Clone)]
struct Record {
    log: Arc<Mutex<Log>>,
    arrivals: Arc<watch::Sender<()>>,
    script: Script,
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.lock());
        self.arrivals.send_replace(());
    }

    /// A place for a new connection's bytes.
    fn connection(&self) -> usize {
        let mut log = self.lock();
        log.under_way.push(Vec::new());
        log.under_way.len() - 1
    }
}

/// What was left when a gateway ended.
#[derive(Debug)]
pub struct Remains {
    /// Whole requests that no test took.
    pub whole: Vec<Message>,
    /// Requests that broke off.
    pub broken: Vec<Broken>,
}

/// A running upstream. It ends when this is dropped.
pub struct Upstream {
    address: SocketAddr,
    record: Record,
    connections: Arc<tokio::sync::Mutex<JoinSet<()>>>,
    acceptor: tokio::task::JoinHandle<()>,
}

impl Upstream {
    /// Listens on a free port and answers as `script` says.
    ///
    /// # Panics
    /// Where there is no port to listen on.
    pub async fn start(protocol: Protocol, script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let record = Record { log: Arc::default(), arrivals: Arc::new(watch::Sender::new(())), script };
        let connections = Arc::new(tokio::sync::Mutex::new(JoinSet::new()));
        let acceptor = tokio::spawn({
            let (record, connections) = (record.clone(), Arc::clone(&connections));
            async move {
                while let Ok((stream, client)) = listener.accept().await {
                    let mut connections = connections.lock().await;
                    match protocol {
                        Protocol::Http1 => connections.spawn(http1::serve(stream, record.clone())),
                        Protocol::Http2 => connections.spawn(http2::serve(stream, record.clone())),
                    };
                    record.note(|log| _ = log.clients.insert(client));
                }
            }
        });
        Upstream { address, record, connections, acceptor }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes the earliest whole request that was not taken yet, waiting for it.
    ///
    /// # Panics
    /// Where none comes.
    pub async fn take(&self) -> Message {
        self.find("a whole request", |log| (!log.whole.is_empty()).then(|| log.whole.remove(0))).await
    }

    /// Waits until a request that is not whole yet has brought `bytes`.
    ///
    /// # Panics
    /// Where they do not come.
    pub async fn sees(&self, bytes: &[u8]) {
        self.find(&excerpt(bytes), |log| (waiting(log, bytes) > 0).then_some(())).await;
    }

    /// Waits until a request has broken off, and takes it.
    ///
    /// # Panics
    /// Where none does.
    pub async fn take_broken(&self) -> Broken {
        self.find("half a request", |log| (!log.broken.is_empty()).then(|| log.broken.remove(0))).await
    }

    /// Drops what has arrived so far, for a test that is not about it.
    pub fn forget(&self) {
        let mut log = self.record.lock();
        log.whole.clear();
        log.broken.clear();
    }

    /// How many requests that are not whole yet have brought `bytes`.
    #[must_use]
    pub fn waiting(&self, bytes: &[u8]) -> usize {
        waiting(&self.record.lock(), bytes)
    }

    /// How many requests are under way, in any part.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.record.lock().under_way.iter().filter(|request| !request.is_empty()).count()
    }

    async fn find<T>(&self, what: &str, mut look: impl FnMut(&mut Log) -> Option<T>) -> T {
        let mut arrivals = self.record.arrivals.subscribe();
        let found = timeout(PATIENCE, async {
            loop {
                if let Some(found) = look(&mut self.record.lock()) {
                    return found;
                }
                arrivals.changed().await.expect("the record outlives its readers");
            }
        });
        found.await.unwrap_or_else(|_| panic!("the upstream did not receive {what}; it has {:?}", self.record.lock()))
    }

    /// What is left after every connection has ended, which whoever connected must see to before.
    ///
    /// # Panics
    /// Where a connection stays open.
    pub async fn end(self) -> Remains {
        // Connections are accepted in their order: after this one, none is left.
        let last = TcpStream::connect(self.address).await.and_then(|stream| stream.local_addr());
        let last = last.expect("the upstream listens");
        self.find("its last connection", |log| log.clients.contains(&last).then_some(())).await;
        let mut connections = self.connections.lock().await;
        let all = async { while connections.join_next().await.is_some() {} };
        timeout(PATIENCE, all).await.expect("every connection ends with the gateway");
        let mut log = self.record.lock();
        Remains { whole: std::mem::take(&mut log.whole), broken: std::mem::take(&mut log.broken) }
    }
}

/// How many requests under way have brought `bytes`.
fn waiting(log: &Log, bytes: &[u8]) -> usize {
    let has = |request: &&Vec<u8>| request.windows(bytes.len()).any(|window| window == bytes);
    log.under_way.iter().filter(has).count()
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}
