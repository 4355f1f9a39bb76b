//! A running Envoy.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::admin::{self, AdminError};
use crate::bootstrap::{BARE, Bootstrap, BootstrapError, GUARDED, move_extension};
use crate::clock::Clock;
use crate::failure::StartFailure;
use crate::place;
use crate::process::Process;
use crate::wait::{TimedOut, until};

/// What an Envoy is called in errors.
const NAME: &str = "envoy";

/// Where the admin port tells of the listeners.
const LISTENERS: &str = "/listeners?format=json";

/// Envoy's worker threads (`--concurrency`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers(pub u32);

/// The addresses that an Envoy listens at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) admin: SocketAddr,
    pub(crate) guarded: SocketAddr,
    pub(crate) bare: SocketAddr,
}

/// A running Envoy. It ends when this is dropped.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    addresses: Addresses,
    folder: TempDir,
}

impl Envoy {
    /// Starts Envoy with `bootstrap` and waits until it is ready to serve.
    ///
    /// # Errors
    /// [`StartFailure::Refused`] with Envoy's log where it does not accept its configuration.
    pub async fn start(bootstrap: Bootstrap, workers: Workers) -> Result<Self, StartFailure> {
        Envoy::start_by(None, bootstrap, workers).await
    }

    /// The same by another clock than the system's, if there is one.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub async fn start_by(clock: Option<&Clock>, bootstrap: Bootstrap, workers: Workers) -> Result<Self, StartFailure> {
        let program = place::envoy()?;
        let folder =
            TempDir::with_prefix("ackguard-envoy-").map_err(|source| StartFailure::System { name: NAME, source })?;
        let arguments = arguments(&bootstrap.write_to(folder.path())?, folder.path(), workers);
        let mut process = Process::start_by(clock, NAME, &program, &arguments, &folder.path().join("log"))?;
        let addresses = process.ready("Envoy's readiness", async || addresses(folder.path()).await).await?;
        Ok(Self { process, addresses, folder })
    }

    /// The listener with AckGuard.
    #[must_use]
    pub fn guarded(&self) -> SocketAddr {
        self.addresses.guarded
    }

    /// The listener without it.
    #[must_use]
    pub fn bare(&self) -> SocketAddr {
        self.addresses.bare
    }

    /// The address of another listener, by its name.
    ///
    /// # Errors
    /// Where the admin port gives no answer.
    pub async fn listener(&self, name: &str) -> Result<Option<SocketAddr>, AdminError> {
        Ok(listener_address(&admin::get_json(self.admin(), LISTENERS).await?, name))
    }

    /// Envoy's admin.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.addresses.admin
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.exit_status().is_none()
    }

    /// Everything that Envoy and its plugins have logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The log's lines at `warning` and above.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let levels = ["[warning]", "[error]", "[critical]"];
        let log = self.log();
        log.lines().filter(|line| levels.iter().any(|level| line.contains(level))).map(str::to_owned).collect()
    }

    /// Waits until the log contains `text`.
    ///
    /// # Errors
    /// Where it does not come.
    pub async fn log_contains(&self, text: &str) -> Result<(), TimedOut> {
        until(&format!("`{text}` in Envoy's log"), async || self.log().contains(text).then_some(())).await
    }

    /// The counters and gauges whose names match the regular expression `filter`.
    ///
    /// # Errors
    /// Where the admin port gives no answer.
    pub async fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>, AdminError> {
        let filter: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = admin::get_json(self.admin(), &format!("/stats?format=json&filter={filter}")).await?;
        let stats = answer["stats"].as_array().into_iter().flatten();
        Ok(stats.filter_map(|stat| Some((stat["name"].as_str()?.to_owned(), stat["value"].as_u64()?))).collect())
    }

    /// The counter or gauge `name`; 0 where it does not exist, as Envoy makes most at their first use.
    ///
    /// # Errors
    /// Where the admin port gives no answer.
    pub async fn stat(&self, name: &str) -> Result<u64, AdminError> {
        let escaped = name.replace('.', "\\.");
        Ok(self.stats(&format!("^{escaped}$")).await?.get(name).copied().unwrap_or(0))
    }

    /// Waits until the counter or gauge `name` is at least `least`.
    ///
    /// # Errors
    /// Where it does not come so far.
    pub async fn stat_reaches(&self, name: &str, least: u64) -> Result<u64, TimedOut> {
        until(&format!("{name} ≥ {least}"), async || self.stat(name).await.ok().filter(|value| *value >= least)).await
    }

    /// What the admin port answers at `path`.
    ///
    /// # Errors
    /// Where it gives no answer, or another status than 200.
    pub async fn admin_get(&self, path: &str) -> Result<String, AdminError> {
        admin::get(self.admin(), path).await
    }

    /// Delivers the filter of `bootstrap` by ECDS to this Envoy, which must have been started from `ecds.yaml`. It takes
    /// effect some time later: `extension_config_discovery.http_filter.ackguard.update_success` or `.update_rejected`
    /// counts it. Returns the moment at which the file was moved into its place.
    ///
    /// # Errors
    /// Where it cannot be written, or `bootstrap` is not one with ECDS.
    pub fn deliver(&self, bootstrap: &Bootstrap) -> Result<Instant, BootstrapError> {
        self.deliver_text(&bootstrap.extension()?)
    }

    /// The same with the text of the file, which need not be one that Envoy can read.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn deliver_text(&self, resource: &str) -> Result<Instant, BootstrapError> {
        move_extension(self.folder.path(), resource)
    }

    /// The memory that the process holds, its resident set, in bytes. `None` where it has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let process = procfs::process::Process::new(i32::try_from(self.pid()).ok()?).ok()?;
        Some(process.statm().ok()?.resident * procfs::page_size())
    }
}

/// Envoy's arguments for the bootstrap at `bootstrap`; it writes the address of its admin into `folder`.
pub(crate) fn arguments(bootstrap: &Path, folder: &Path, Workers(workers): Workers) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    [
        "--config-path",
        &path(bootstrap),
        "--concurrency",
        &workers.to_string(),
        // Any number of Envoys run side by side.
        "--disable-hot-restart",
        "--admin-address-path",
        &path(&folder.join("admin")),
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Where the Envoy that writes into `folder` listens, once it is ready.
pub(crate) async fn addresses(folder: &Path) -> Option<Addresses> {
    let admin = fs::read_to_string(folder.join("admin")).ok()?.trim().parse().ok()?;
    let ready = admin::get(admin, "/ready").await.ok()?;
    let listeners = admin::get_json(admin, LISTENERS).await.ok()?;
    let address = |name| listener_address(&listeners, name);
    (ready.trim() == "LIVE").then_some(Addresses { admin, guarded: address(GUARDED)?, bare: address(BARE)? })
}

fn listener_address(listeners: &Value, name: &str) -> Option<SocketAddr> {
    let listener = listeners["listener_statuses"].as_array()?.iter().find(|listener| listener["name"] == name)?;
    let address = &listener["local_address"]["socket_address"];
    let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
    Some(SocketAddr::new(address["address"].as_str()?.parse().ok()?, port))
}
