//! A running Prometheus.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::admin::{self, AdminError};
use crate::failure::StartFailure;
use crate::place::{self, MissingProgram};
use crate::process::{Process, read_log};

/// What a Prometheus is called in errors.
const NAME: &str = "prometheus";

/// A Prometheus that keeps its data in a folder of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    _process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts Prometheus with `configuration`, which is YAML or JSON, and waits until it is ready. It listens at any free
    /// port.
    ///
    /// # Errors
    /// Where there is none, or it does not start.
    pub async fn start(configuration: &str) -> Result<Self, StartFailure> {
        let [program, _] = place::prometheus()?;
        let system = |source| StartFailure::System { name: NAME, source };
        let folder = TempDir::with_prefix("ackguard-prometheus-").map_err(system)?;
        let file = folder.path().join("prometheus.yaml");
        fs::write(&file, configuration).map_err(system)?;
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.path().join("data").display()),
            "--web.listen-address=127.0.0.1:0".to_owned(),
        ];
        let log = folder.path().join("log");
        let mut process = Process::start(NAME, &program, &arguments, &log)?;
        let address = process
            .ready("Prometheus's readiness", async || {
                let address = listening(&read_log(&log))?;
                admin::get(address, "/-/ready").await.ok().map(|_| address)
            })
            .await?;
        Ok(Self { _process: process, address, _folder: folder })
    }

    /// The value of `expression` at this moment: the `data` of its answer, with `resultType` and `result`.
    ///
    /// # Errors
    /// Where Prometheus cannot evaluate it, with its reason.
    pub async fn query(&self, expression: &str) -> Result<Value, AdminError> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.get(&format!("/api/v1/query?query={escaped}")).await
    }

    /// The `data` of what its API answers at `path`, such as `/api/v1/targets`.
    ///
    /// # Errors
    /// Where it gives no answer, or another status than 200.
    pub async fn get(&self, path: &str) -> Result<Value, AdminError> {
        Ok(admin::get_json(self.address, path).await?["data"].take())
    }
}

/// `promtool`, which checks and tests Prometheus's rules; found or fetched by `.make/prometheus.sh`.
///
/// # Errors
/// The script's own reason.
pub fn promtool() -> Result<PathBuf, MissingProgram> {
    place::prometheus().map(|[_, promtool]| promtool)
}

/// The address in the line that Prometheus writes when it listens.
fn listening(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("msg=\"Listening on\""))?;
    line.split_whitespace().find_map(|word| word.strip_prefix("address=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::local;

    #[test]
    fn the_address_is_the_one_that_was_given_and_not_the_one_that_was_asked_for() {
        let log = "level=info component=web msg=\"Start listening for connections\" address=127.0.0.1:0\n\
                   level=info component=web msg=\"Listening on\" address=127.0.0.1:46161\n";
        assert_eq!(listening(log), Some(local(46161)));
        assert_eq!(listening(log.lines().next().unwrap()), None);
    }
}
