//! Load on a T-MQ broker, direct or through a gateway.
//!
//! - [`client`] speaks the protocol, at what [`address`] finds; [`latency`] holds how long the answers took.
//! - [`workload`] says what is published and how long each message's work takes, by a seed.
//! - [`run`](mod@run) brings consumers and producers together until the broker's ledger is drained.
//! - [`incident`] makes two runs, bare and guarded; [`result`] has their figures, [`verdict`] judges them.
//! - [`bench`](mod@bench) measures the filter; [`steady`] is constant load on a gateway whose policy changes under it;
//!   `open_loop` is one that waits for nothing; [`limits`] measures how exactly limits hold; [`measure`](mod@measure) is
//!   what all are made of.
//! - [`traffic`](mod@traffic) goes on for ever, for whoever watches a gateway.
//! - [`progress`], [`table`] and [`report`] show them: while they run, on the terminal, as a page; [`output`] writes
//!   the files.

pub mod address;
pub mod bench;
pub mod client;
mod consumer;
pub mod cpu;
mod http1;
pub mod incident;
pub mod latency;
pub mod limits;
pub mod measure;
mod open_loop;
pub mod output;
pub mod progress;
pub mod report;
pub mod result;
pub mod run;
pub mod steady;
pub mod table;
pub mod traffic;
pub mod verdict;
pub mod workload;

pub use consumer::Tally;
