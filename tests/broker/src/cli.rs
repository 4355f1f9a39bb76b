//! The command line of `tmq-broker`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::clock::Millis;
use crate::config::Config;
use crate::group::settings::{BackOff, Semantics};
use crate::http::Credentials;
use crate::limits::MAX_PARTITIONS;

const EXAMPLES: &str = "\
Examples:
  tmq-broker
      the fixed semantics on 127.0.0.1:8080, the admin port on 8081
  tmq-broker --semantics legacy --listen 127.0.0.1:0 --admin 127.0.0.1:0
      the legacy semantics on free ports, which the line on stderr names
  tmq-broker --credentials-file tenants.txt
      only requests that a tenant of the file (APPKEY=SECRET lines) has signed
  curl -X POST localhost:8081/admin/faults \\
      -d '{\"operation\":\"ack\",\"kind\":\"status\",\"status\":503,\"probability\":0.15}'
      let 15 % of all acks fail

RUST_LOG sets what is logged, such as RUST_LOG=tmq_broker=debug.";

/// A T-MQ message broker that keeps its messages in memory.
// Not `Debug`: it would show the secrets.
#[derive(Parser)]
#[command(name = "tmq-broker", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Address of the broker's port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Address of the admin port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    admin: SocketAddr,

    /// legacy is 2.7, which loses messages whose ack timeout is 0; fixed is 2.8
    #[arg(long, value_enum, default_value = "fixed")]
    semantics: Semantics,

    /// A tenant, may be repeated; other users of the machine can read a command line, so prefer a file
    #[arg(long = "credential", value_name = "APPKEY=SECRET", hide_default_value = true)]
    credentials: Vec<String>,

    /// File of tenants, one APPKEY=SECRET a line; # starts a comment
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<PathBuf>,

    /// A consumer that is silent for three of these has left its group
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    heartbeat_period: u64,

    /// Rest of a message after its first failure under the fixed semantics, doubled with each; 0 for none
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    back_off: u64,

    /// A transaction that is pending for longer is compensated
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    transaction_timeout: u64,

    /// Partitions of a topic that is made without a number of them
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PARTITIONS)))]
    partitions: u32,

    /// Largest body of a request
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20)]
    max_body: usize,

    /// Memory for messages; a publish beyond it is answered 503
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    memory: usize,

    /// host:port that routes tell instead of the address listened on
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,

    /// Seed of the faults' chances
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// A command line that is well-formed and cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A `--credential` is malformed. Its text is not repeated: it may hold the secret.
    #[error("--credential: a credential is APPKEY=SECRET, neither of them empty")]
    Credential,
    /// The credentials' file cannot be read.
    #[error("--credentials-file {}: {source}", path.display())]
    CredentialsFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The credentials' file names no tenant: the broker would be open to all.
    #[error("--credentials-file {}: it has no line of APPKEY=SECRET", path.display())]
    NoCredentials {
        /// The file.
        path: PathBuf,
    },
    /// A line of the credentials' file is malformed.
    #[error("--credentials-file {}: line {line} is not APPKEY=SECRET", path.display())]
    CredentialsLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

impl Cli {
    /// What the command line asks for.
    ///
    /// # Errors
    /// If the credentials cannot be read.
    pub fn config(self) -> Result<Config, UsageError> {
        let mut credentials = Credentials::default();
        if let Some(path) = self.credentials_file {
            let text = std::fs::read_to_string(&path)
                .map_err(|source| UsageError::CredentialsFile { path: path.clone(), source })?;
            credentials.add_lines(&text).map_err(|line| UsageError::CredentialsLine { path: path.clone(), line })?;
            if credentials.is_empty() {
                return Err(UsageError::NoCredentials { path });
            }
        }
        for credential in &self.credentials {
            credentials.add(credential).map_err(|_| UsageError::Credential)?;
        }
        Ok(Config {
            listen: self.listen,
            admin: self.admin,
            semantics: self.semantics,
            back_off: BackOff { base: Millis(self.back_off) },
            heartbeat_period: Millis(self.heartbeat_period),
            transaction_timeout: Millis(self.transaction_timeout),
            credentials,
            seed: self.seed,
            default_partitions: self.partitions,
            max_body_bytes: self.max_body,
            memory_limit: self.memory,
            advertise: self.advertise,
        })
    }
}
