//! The command line of `tmq-broker`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use spans::{Endpoint, NoEndpoint};

use crate::clock::Millis;
use crate::config::{ClientTimeouts, Config, DiskConfig, StorageConfig};
use crate::group::settings::{BackOff, Semantics};
use crate::http::Credentials;
use crate::limits::MAX_PARTITIONS;
use crate::storage::wal::Fsync;

const EXAMPLES: &str = "\
Examples:
  tmq-broker
      the fixed semantics on 127.0.0.1:8080, the admin port on 8081, messages in memory
  tmq-broker --data /var/lib/tmq
      the same, but what was answered survives a crash
  tmq-broker reconcile --data /var/lib/tmq
      after it ended: is every message accounted for?
  tmq-broker --semantics legacy --listen 127.0.0.1:0 --admin 127.0.0.1:0
      the legacy semantics on free ports, which the line on stderr names
  tmq-broker --credentials-file tenants.txt
      only requests that a tenant of the file (APPKEY=SECRET lines) has signed
  curl -X POST localhost:8081/admin/faults \\
      -d '{\"operation\":\"ack\",\"kind\":\"status\",\"status\":503,\"probability\":0.15}'
      let 15 % of all acks fail

RUST_LOG sets what is logged, such as RUST_LOG=tmq_broker=debug.";

/// A T-MQ message broker: topics, consumer groups, leases and dead letters over HTTP.
// Not `Debug`: it would show the secrets.
#[derive(Parser)]
#[command(name = "tmq-broker", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<CliCommand>,

    #[command(flatten)]
    serve: Serve,
}

/// What is done instead of serving.
#[derive(Subcommand)]
enum CliCommand {
    /// Compare the messages on a disk with what became of them in each group. Lists every message whose fate is not
    /// accounted for; exit code 0 if there is none, 1 if there is one, 2 if it cannot be told
    Reconcile {
        /// The directory of a broker that does not run; it is recovered first, as a start would
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

/// What the program is to do.
#[derive(Debug)]
pub enum Command {
    /// To serve.
    Serve(Box<Config>),
    /// To compare the messages in this directory with what became of them.
    Reconcile(PathBuf),
}

/// How to serve.
#[derive(Args)]
struct Serve {
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

    /// How long a client of version 2.7 waits for an answer: its long polls are answered before
    #[arg(long, value_name = "MS", default_value_t = 800, value_parser = clap::value_parser!(u64).range(1..))]
    fallback_timeout: u64,

    /// Partitions of a topic that is made without a number of them
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PARTITIONS)))]
    partitions: u32,

    /// Largest body of a request
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20, value_parser = clap::value_parser!(u64).range(..=MAX_BODY_BYTES))]
    max_body: u64,

    /// Memory for messages where there is no --data; a publish beyond it is answered 503
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    memory: usize,

    #[command(flatten)]
    patience: Patience,

    #[command(flatten)]
    disk: Disk,

    /// host:port that routes tell instead of the address listened on
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,

    /// Send a span of each request to the OpenTelemetry collector at this address, by OTLP over gRPC
    // Text, since an error of the parser would repeat it: it may hold a password.
    #[arg(long, value_name = "http://HOST:PORT", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true)]
    otlp: Option<String>,

    /// Seed of the faults' chances
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// How long slow clients are borne with.
#[derive(Args)]
#[command(next_help_heading = "Slow clients")]
struct Patience {
    /// For the head of a request, from its first byte on; a connection without one may idle for two hours
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    head_timeout: u64,

    /// For the body of a request
    #[arg(long, value_name = "MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..))]
    body_timeout: u64,

    /// Without reading anything of an answer
    #[arg(long, value_name = "MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..))]
    answer_timeout: u64,
}

/// Whether and how a disk is used.
#[derive(Args)]
#[command(next_help_heading = "Durability")]
struct Disk {
    /// Keep messages and groups in this directory, so that they survive the process; without it, in memory
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    data: Option<PathBuf>,

    /// When what was written is made durable: before it is answered, soon after, or when the system likes. All three
    /// survive the end of the process; only the first survives that of the machine
    #[arg(long, value_enum, default_value = "always", requires = "data")]
    fsync: FsyncMode,

    /// With --fsync interval: at most this long after it is answered
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..), requires = "data")]
    fsync_interval: u64,

    /// Take a snapshot whenever the journal has grown by this much; a start reads at most about this much of it
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, value_parser = clap::value_parser!(u64).range(4096..), requires = "data")]
    checkpoint_bytes: u64,

    /// Close a segment of a partition at this size; messages are removed by whole segments
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, value_parser = clap::value_parser!(u64).range(4096..=MAX_SEGMENT_BYTES), requires = "data")]
    segment_bytes: u64,

    /// Remove a partition's oldest messages beyond this size; never those that a group has not settled
    #[arg(long, value_name = "BYTES", requires = "data")]
    retention_bytes: Option<u64>,

    /// Remove messages older than this; never those that a group has not settled
    #[arg(long, value_name = "MS", requires = "data")]
    retention_age: Option<u64>,

    /// Memory for messages that were read from the disk
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, requires = "data")]
    cache: usize,
}

/// The names of [`Fsync`] on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FsyncMode {
    Always,
    Interval,
    Never,
}

/// Positions in a segment are kept in four bytes.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// The largest body that `--max-body` takes: what one publish brings has to fit a record of the journal.
const MAX_BODY_BYTES: u64 = 32 << 20;

impl Disk {
    fn config(self, memory: usize) -> StorageConfig {
        let Some(dir) = self.data else { return StorageConfig::Memory { limit: memory } };
        StorageConfig::Disk(DiskConfig {
            dir,
            fsync: match self.fsync {
                FsyncMode::Always => Fsync::Always,
                FsyncMode::Interval => Fsync::Interval(Millis(self.fsync_interval)),
                FsyncMode::Never => Fsync::Never,
            },
            checkpoint_bytes: self.checkpoint_bytes,
            segment_bytes: self.segment_bytes,
            retention_bytes: self.retention_bytes,
            retention_age: self.retention_age.map(Millis),
            cache_bytes: self.cache,
        })
    }
}

/// A command line that is well-formed and cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The collector's address is malformed.
    #[error("--otlp or OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Otlp(#[from] NoEndpoint),
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
    /// If the credentials cannot be read, or the collector's address is malformed.
    pub fn command(self) -> Result<Command, UsageError> {
        match self.command {
            Some(CliCommand::Reconcile { data }) => Ok(Command::Reconcile(data)),
            None => self.serve.config().map(|config| Command::Serve(Box::new(config))),
        }
    }
}

impl Serve {
    fn config(self) -> Result<Config, UsageError> {
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
            fallback_timeout: Millis(self.fallback_timeout),
            client_timeouts: ClientTimeouts {
                head: Millis(self.patience.head_timeout),
                body: Millis(self.patience.body_timeout),
                answer: Millis(self.patience.answer_timeout),
            },
            credentials,
            seed: self.seed,
            default_partitions: self.partitions,
            // Within MAX_BODY_BYTES.
            max_body_bytes: self.max_body as usize,
            storage: self.disk.config(self.memory),
            advertise: self.advertise,
            otlp: Endpoint::given(self.otlp.as_deref())?,
        })
    }
}
