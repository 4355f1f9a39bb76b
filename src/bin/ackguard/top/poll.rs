//! What is asked of Envoy at each look.

use std::time::Duration;

use serde::Deserialize;

use super::screen::Server;
use crate::admin::{Admin, AdminArgs, Stats, Unanswered};
use crate::output::visible;

/// How long Envoy may take to answer: less than a person would wait before they look elsewhere.
const PATIENCE: Duration = Duration::from_secs(5);

/// The filter's statistics, and Envoy's own uptime and state.
const FILTER: &str = r"^(wasmcustom\.ackguard_|server\.(uptime|state)$)";

/// The largest answer of `/server_info` that is read, in bytes: it names every extension, some hundred kilobytes.
const MOST_INFO: u64 = 4 << 20;

/// What Envoy has said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) stats: Stats,
    /// Where it was asked too: at the first look, and when Envoy has begun anew.
    pub(super) server: Option<Server>,
}

/// Asks an Envoy again and again, one request at a time.
pub(super) struct Poll {
    admin: Admin,
    /// The uptime that Envoy told last, where it has answered.
    uptime: Option<u64>,
}

#[derive(Deserialize)]
struct ServerInfo {
    version: String,
    uptime_all_epochs: String,
}

impl Poll {
    /// Nothing is asked yet.
    pub(super) fn new(admin: &AdminArgs) -> Poll {
        Poll { admin: Admin::new(admin, PATIENCE), uptime: None }
    }

    /// Asks once.
    ///
    /// # Errors
    /// When Envoy gives no answer in time, or none that could be read.
    pub(super) fn ask(&mut self) -> Result<Answer, Unanswered> {
        let known = self.uptime.take();
        let stats = self.admin.stats(FILTER)?;
        let uptime = stats.value("server.uptime");
        // It is long, and all but the uptime stays as it is.
        let is_new = known.is_none_or(|known| uptime < known);
        let server = if is_new { Some(self.server()?) } else { None };
        self.uptime = Some(uptime);
        Ok(Answer { stats, server })
    }

    fn server(&self) -> Result<Server, Unanswered> {
        const PATH: &str = "/server_info";
        let answer = self.admin.get(PATH, MOST_INFO)?;
        let info: ServerInfo = serde_json::from_str(&answer).map_err(|fault| Unanswered::new(PATH, &fault))?;
        let seconds: f64 = info.uptime_all_epochs.trim_end_matches('s').parse().unwrap_or_default();
        Ok(Server { version: version(&info.version), uptime_seconds: seconds as u64 })
    }
}

/// The number in a version such as `9e55809/1.40.0/Clean/RELEASE/BoringSSL`; all of another one.
fn version(told: &str) -> String {
    visible(told.split('/').nth(1).unwrap_or(told).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_number() {
        let told = ["9e55809/1.40.0/Clean/RELEASE/BoringSSL", "1.40.0-dev", "a/\u{1b}[2J"];
        assert_eq!(told.map(version), ["1.40.0", "1.40.0-dev", "\\u{1b}[2J"]);
    }
}
