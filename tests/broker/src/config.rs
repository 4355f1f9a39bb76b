//! What a broker is started with.

use std::net::SocketAddr;

use crate::clock::Millis;
use crate::group::settings::{BackOff, Semantics};
use crate::http::Credentials;

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
    /// Tenants' secrets; none for a broker that is open to all.
    pub credentials: Credentials,
    /// The seed of the faults' chances.
    pub seed: u64,
    /// The partitions of a topic that is made without a number of them.
    pub default_partitions: u32,
    /// The largest body of a request, in bytes.
    pub max_body_bytes: usize,
    /// How much memory messages may take together, in bytes.
    pub memory_limit: usize,
    /// The `host:port` that routes tell; the address listened on where there is none.
    pub advertise: Option<String>,
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
            credentials: Credentials::default(),
            seed: 0,
            default_partitions: 4,
            max_body_bytes: 4 << 20,
            memory_limit: 1 << 30,
            advertise: None,
        }
    }
}
