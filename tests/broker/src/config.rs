//! What a broker is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use spans::Endpoint;

use crate::clock::Millis;
use crate::group::settings::{BackOff, Semantics};
use crate::http::Credentials;
use crate::storage::wal::Fsync;

/// Where messages are kept.
#[derive(Clone, Debug)]
pub enum StorageConfig {
    /// In memory, gone with the process.
    Memory {
        /// How much memory messages may take together, in bytes.
        limit: usize,
    },
    /// On a disk.
    Disk(DiskConfig),
}

/// How a disk is used.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// The directory, which one broker alone may use.
    pub dir: PathBuf,
    /// When what was written is made durable.
    pub fsync: Fsync,
    /// A snapshot is taken once the journal has grown by this many bytes since the last.
    pub checkpoint_bytes: u64,
    /// A segment of a partition's log is closed once it has this many bytes.
    pub segment_bytes: u64,
    /// The oldest settled messages of a partition are removed once its closed segments are more than this many bytes.
    pub retention_bytes: Option<u64>,
    /// Settled messages are removed once they are older than this.
    pub retention_age: Option<Millis>,
    /// Memory for messages that were read from the disk, in bytes.
    pub cache_bytes: usize,
}

impl DiskConfig {
    /// A directory with the command line's defaults.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            fsync: Fsync::Always,
            checkpoint_bytes: 64 << 20,
            segment_bytes: 64 << 20,
            retention_bytes: None,
            retention_age: None,
            cache_bytes: 64 << 20,
        }
    }
}

/// How long a client may take over its part of a request before its connection is ended.
#[derive(Clone, Copy, Debug)]
pub struct ClientTimeouts {
    /// From the first byte of a request's head to its last (HTTP/1.1).
    pub head: Millis,
    /// For the body, once the head is there.
    pub body: Millis,
    /// Without reading anything of an answer that is being sent.
    pub answer: Millis,
}

impl Default for ClientTimeouts {
    /// The command line's defaults.
    fn default() -> Self {
        Self { head: Millis(10_000), body: Millis(30_000), answer: Millis(30_000) }
    }
}

/// What a broker is started with.
#[derive(Debug)]
pub struct Config {
    /// The broker's address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The admin port's address; port 0 takes a free one.
    pub admin: SocketAddr,
    /// Which of the protocol's semantics.
    pub semantics: Semantics,
    /// The rest of failed messages under the fixed semantics.
    pub back_off: BackOff,
    /// A consumer that is silent for three of these has left its group; at least a millisecond.
    pub heartbeat_period: Millis,
    /// A transaction that is pending for longer is compensated.
    pub transaction_timeout: Millis,
    /// How long a client of version 2.7 waits for an answer: its long polls are answered before.
    pub fallback_timeout: Millis,
    /// What clients may take their time for.
    pub client_timeouts: ClientTimeouts,
    /// Tenants' secrets; none for a broker that is open to all.
    pub credentials: Credentials,
    /// The seed of the faults' chances.
    pub seed: u64,
    /// The partitions of a topic that is made without a number of them.
    pub default_partitions: u32,
    /// The largest body of a request, in bytes.
    pub max_body_bytes: usize,
    /// Where messages are kept.
    pub storage: StorageConfig,
    /// The `host:port` that routes tell; the address listened on where there is none.
    pub advertise: Option<String>,
    /// The collector that is sent a span of each request; without one, nothing is traced.
    pub otlp: Option<Endpoint>,
}

impl Config {
    /// Both ports free ones of 127.0.0.1, no credentials, and the command line's defaults.
    #[must_use]
    pub fn local(semantics: Semantics) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: any,
            admin: any,
            semantics,
            back_off: BackOff { base: Millis(1_000) },
            heartbeat_period: Millis(10_000),
            transaction_timeout: Millis(60_000),
            fallback_timeout: Millis(800),
            client_timeouts: ClientTimeouts::default(),
            credentials: Credentials::default(),
            seed: 0,
            default_partitions: 4,
            max_body_bytes: 4 << 20,
            storage: StorageConfig::Memory { limit: 1 << 30 },
            advertise: None,
            otlp: None,
        }
    }
}
