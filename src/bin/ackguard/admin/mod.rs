//! Envoy's admin endpoint: where it is, and what it answers.

mod stats;

use std::fmt;
use std::time::Duration;

pub(crate) use stats::{Bin, Series, Stats};

/// Where a running Envoy is asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AdminArgs {
    /// Envoy's admin endpoint
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9901", env = "ACKGUARD_ENVOY_ADMIN")]
    pub(crate) admin: String,
}

impl AdminArgs {
    /// The address as it may be shown: without a user's name and password.
    pub(crate) fn shown(&self) -> String {
        let (scheme, rest) = self.admin.split_once("://").unwrap_or(("http", &self.admin));
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        crate::output::visible(format!("{scheme}://{host}{}", path.trim_end_matches('/')).as_bytes())
    }
}

/// An admin endpoint.
pub(crate) struct Admin {
    address: String,
    agent: ureq::Agent,
}

/// Why there is no answer that could be used.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// What was asked for, without its query.
    path: String,
    /// What went wrong.
    reason: String,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

impl Unanswered {
    pub(crate) fn new(path: &str, reason: &impl fmt::Display) -> Unanswered {
        let path = path.split('?').next().unwrap_or_default();
        Unanswered { path: path.to_owned(), reason: reason.to_string() }
    }
}

impl Admin {
    /// The endpoint at an address. An answer must be whole within `patience`.
    pub(crate) fn new(args: &AdminArgs, patience: Duration) -> Admin {
        let agent = ureq::Agent::config_builder().timeout_global(Some(patience)).build().into();
        Admin { address: args.admin.trim_end_matches('/').to_owned(), agent }
    }

    /// What stands at a path; at most so many bytes.
    ///
    /// # Errors
    /// When there is no answer in time, one with another status than 200, or one that is too large.
    pub(crate) fn get(&self, path: &str, most: u64) -> Result<String, Unanswered> {
        let unanswered = |fault: ureq::Error| Unanswered::new(path, &fault);
        let answer = self.agent.get(format!("{}{path}", self.address)).call().map_err(unanswered)?;
        let body = answer.into_body().with_config().limit(most).read_to_vec().map_err(unanswered)?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The statistics whose names match a regular expression.
    ///
    /// # Errors
    /// As [`Admin::get`], and when the answer is none of Envoy's.
    pub(crate) fn stats(&self, filter: &str) -> Result<Stats, Unanswered> {
        let filter: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/stats?format=json&histogram_buckets=detailed&filter={filter}");
        let answer = self.get(&path, stats::MOST_BYTES)?;
        Stats::read(&answer).map_err(|fault| Unanswered::new(&path, &format!("not Envoy's statistics: {fault}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (admin, shown) in [
            ("http://127.0.0.1:9901/", "http://127.0.0.1:9901"),
            ("http://me:secret@envoy:1/a@b", "http://envoy:1/a@b"),
            ("127.0.0.1:9901", "http://127.0.0.1:9901"),
            ("http://a\u{1b}[2J", "http://a\\u{1b}[2J"),
        ] {
            assert_eq!(AdminArgs { admin: admin.to_owned() }.shown(), shown);
        }
    }
}
