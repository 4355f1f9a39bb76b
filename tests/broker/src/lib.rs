//! A T-MQ broker: topics, consumer groups, leases and dead letters over HTTP, in both of the protocol's semantics.
//!
//! The way of a request, from the outside in:
//!
//! | module | what it does |
//! |---|---|
//! | `server` | listens, keeps connections, ends in time |
//! | `http` | reads a request into an operation, writes its outcome; signatures, faults, metrics, the admin port |
//! | `broker` | finds the topic or the group, takes its lock, waits for storage and for messages |
//! | `group` | the state machine of a consumer group: synchronous, driven by a clock value that is passed in |
//! | `storage` | where messages and the groups' history are kept |
//!
//! `ledger` is the account of every message, `reconcile` checks it on a disk, and `limits` is the bound of everything that
//! clients can make grow.

mod broker;
pub mod cli;
mod clock;
mod config;
mod connection;
mod error;
mod group;
mod http;
mod ledger;
mod limits;
mod message;
mod names;
mod reconcile;
mod server;
mod storage;

pub use clock::Millis;
pub use config::{ClientTimeouts, Config, DiskConfig, StorageConfig};
pub use group::settings::{BackOff, Semantics};
pub use http::Credentials;
pub use reconcile::{ReconcileError, Reconciliation, reconcile};
pub use server::{Server, StartError};
pub use storage::wal::Fsync;
