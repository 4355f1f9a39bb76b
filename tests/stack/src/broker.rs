//! A running broker.

use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use crate::admin::{self, AdminError};
use crate::failure::StartFailure;
use crate::place;
use crate::ports::local;
use crate::process::Process;

/// The broker's program, and what it is called in errors.
pub(crate) const NAME: &str = "tmq-broker";

/// Which of the protocol's two behaviours the broker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Semantics {
    /// 2.7, which loses messages at an ack timeout of 0.
    Legacy,
    /// 2.8, which refuses it.
    Fixed,
}

/// How a broker is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerOptions {
    /// Its behaviour.
    pub semantics: Semantics,
    /// Where it listens; port 0 is any free one.
    pub listen: SocketAddr,
    /// Where its admin listens; port 0 is any free one.
    pub admin: SocketAddr,
    /// Further arguments of `tmq-broker`.
    pub arguments: Vec<String>,
}

impl Default for BrokerOptions {
    /// The behaviour that loses messages, on free ports.
    fn default() -> Self {
        Self { semantics: Semantics::Legacy, listen: local(0), admin: local(0), arguments: Vec::new() }
    }
}

/// A running broker. It ends when this is dropped.
#[derive(Debug)]
pub struct Broker {
    process: Process,
    addresses: BrokerAddresses,
    _folder: TempDir,
}

/// The addresses that a broker listens at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokerAddresses {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Broker {
    /// Starts `tmq-broker` and waits until it listens.
    ///
    /// # Errors
    /// Where it is not built, or refuses its options.
    pub async fn start(options: BrokerOptions) -> Result<Self, StartFailure> {
        let program = place::program(NAME)?;
        let folder =
            TempDir::with_prefix("ackguard-broker-").map_err(|source| StartFailure::System { name: NAME, source })?;
        let log = folder.path().join("log");
        let mut process = Process::start(NAME, &program, &arguments(&options), &log)?;
        let addresses = process
            .ready("the broker's addresses in its log", async || addresses(&crate::process::read_log(&log)))
            .await?;
        Ok(Self { process, addresses, _folder: folder })
    }

    /// Where it serves T-MQ.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses.listen
    }

    /// Its admin.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.addresses.admin
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Everything that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The ledger: what became of each message, by topic and group.
    ///
    /// # Errors
    /// Where the admin port gives no answer.
    pub async fn ledger(&self) -> Result<Value, AdminError> {
        admin::get_json(self.admin(), "/admin/ledger").await
    }
}

/// `tmq-broker`'s arguments for `options`.
pub(crate) fn arguments(options: &BrokerOptions) -> Vec<String> {
    let semantics = match options.semantics {
        Semantics::Legacy => "legacy",
        Semantics::Fixed => "fixed",
    };
    let (listen, admin) = (options.listen.to_string(), options.admin.to_string());
    let mut arguments = ["--listen", &listen, "--admin", &admin, "--semantics", semantics].map(str::to_owned).to_vec();
    arguments.extend_from_slice(&options.arguments);
    arguments
}

/// The addresses in the line that the broker writes when it listens.
pub(crate) fn addresses(log: &str) -> Option<BrokerAddresses> {
    let line = log.lines().find(|line| line.starts_with("tmq-broker listening"))?;
    let field = |name| line.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok());
    Some(BrokerAddresses { listen: field("broker=")?, admin: field("admin=")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_tells_the_addresses_is_found_among_others() {
        let log = "INFO tenants=2\ntmq-broker listening broker=127.0.0.1:81 admin=127.0.0.1:82 semantics=Fixed\n";
        assert_eq!(addresses(log), Some(BrokerAddresses { listen: local(81), admin: local(82) }));
    }

    #[test]
    fn a_half_written_line_is_none_yet() {
        for log in ["", "tmq-broker listening broker=127.0.0.1:81", "tmq-broker listening broker=x admin=y"] {
            assert_eq!(addresses(log), None, "{log}");
        }
    }
}
