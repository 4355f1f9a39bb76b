//! The stack that tests, demo and benchmark run against: a T-MQ broker and a real Envoy with AckGuard in it.
//!
//! [`Bootstrap`] reads the configuration that users load from `envoy/` and puts ports, policy and paths into it;
//! [`Envoy`], [`Broker`], [`Redis`] and [`Prometheus`] are the running processes, ended by pid when dropped, or when this process dies.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use stack::{Bootstrap, Broker, BrokerOptions, Envoy, HostMode, Protocol, Workers};
//!
//! let broker = Broker::start(BrokerOptions::default()).await?;
//! let bootstrap = Bootstrap::load("static.yaml")?
//!     .host_mode(HostMode::Streamed)
//!     .edit_policy(|policy| policy["defaults"]["auto_ack"] = "rewrite".into())
//!     .upstream(broker.address(), Protocol::Http1);
//! let envoy = Envoy::start(bootstrap, Workers(2)).await?;
//! println!("guarded http://{}, bare http://{}", envoy.guarded(), envoy.bare());
//! # Ok(())
//! # }
//! ```
//!
//! What waits is async, since its callers run on Tokio; what ends a process is not, so that `Drop` can do it, in a
//! panic too. Every wait is for a condition, with [`PATIENCE`] as its limit, and an error carries the end of the log.
//!
//! It needs what `make wasm`, `make envoy`, `make redis`, `make prometheus` and `cargo build` make, and says which of them is missing.

mod admin;
mod bootstrap;
mod broker;
mod clock;
mod detached;
mod envoy;
mod failure;
mod module;
mod place;
mod ports;
mod process;
mod prometheus;
mod redis;
mod wait;

pub use admin::AdminError;
pub use bootstrap::{
    Bootstrap, BootstrapError, HostMode, Protocol, cluster, http_connection_manager, listener, move_into_place,
};
pub use broker::{Broker, BrokerOptions, Semantics};
pub use clock::Clock;
pub use detached::{Detached, DetachedError, Endpoints};
pub use envoy::{Envoy, Workers};
pub use failure::{Log, StartFailure};
pub use module::copy_of_module;
pub use place::{MissingProgram, program, root, wasm};
pub use ports::{PortError, Ports};
pub use prometheus::{Prometheus, promtool};
pub use redis::Redis;
pub use wait::{PATIENCE, TimedOut, until};
