//! `tmq-load traffic`: publishes and consumes until it is told to end, and tells of each session.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tmq_load::client::TENANT;
use tmq_load::traffic::{Session, SessionError, TrafficOptions, traffic};
use tmq_load::workload::Workload;

use super::traced::Traced;

/// The options of the traffic.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A session that fails is told and tried again a second later, with the gateway's host looked up anew.

Exit status: 130 when told to end; 1 when what was asked cannot be done; 2 for a command line that cannot be read.")]
pub(crate) struct Args {
    /// The gateway or broker.
    #[arg(long, value_name = "HOST:PORT")]
    gateway: String,
    /// The tenant that producer and consumers call themselves.
    #[arg(long, default_value = TENANT, value_parser = header_value)]
    tenant: String,
    /// The topic, made where it is missing.
    #[arg(long, default_value = "orders")]
    topic: String,
    /// The consumer group.
    #[arg(long, default_value = "workers")]
    group: String,
    /// Messages to publish in a second, rounded up to a multiple of five.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long the consumers stay. Then all finish their work, leave, and join anew with the same settings.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    session: Duration,
    /// Consumers of the group.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    consumers: u32,
    /// Messages that each consumer works on at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// The ack timeout that the consumers ask for.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    ack_timeout: Duration,
    /// The retries that the consumers ask for.
    #[arg(long, value_name = "N", default_value_t = 3)]
    max_reconsume_times: u32,
    /// Draws how long the work on each message takes.
    #[arg(long, default_value_t = Workload::default().seed())]
    seed: u64,
    /// The shortest work on a message.
    #[arg(long, value_name = "DURATION", default_value = "20ms", value_parser = humantime::parse_duration)]
    work_min: Duration,
    /// The longest work on a message.
    #[arg(long, value_name = "DURATION", default_value = "150ms", value_parser = humantime::parse_duration)]
    work_max: Duration,
    /// A file that is written after each session without a fault: its age tells whether all is well.
    #[arg(long, value_name = "FILE")]
    alive: Option<PathBuf>,
    #[command(flatten)]
    traced: Traced,
}

/// Makes traffic as `args` say, for ever.
///
/// # Errors
/// Where there is no such work.
pub(crate) async fn perform(args: Args) -> anyhow::Result<()> {
    let alive = args.alive.clone();
    match traffic(&args.options()?, |ended| tell(ended, alive.as_deref())).await {}
}

/// Prints a line of what a session came to.
fn tell(ended: Result<Session, SessionError>, alive: Option<&Path>) {
    match ended {
        Ok(session) => {
            let tally = session.tally;
            println!(
                "{} published, {} delivered, {} acked, {} acks refused; ack timeout {}; gateway: {}",
                session.published,
                tally.deliveries,
                tally.acks_accepted,
                tally.acks_refused,
                humantime::format_duration(session.subscription.ack_timeout),
                session.subscription.ackguard.as_deref().unwrap_or("let the settings pass")
            );
            if let Some(path) = alive
                && let Err(fault) = std::fs::write(path, "")
            {
                eprintln!("tmq-load: {}: {fault}", path.display());
            }
        }
        Err(fault) => eprintln!("tmq-load: {fault}"),
    }
}

/// What a header can carry as it is.
fn header_value(value: &str) -> Result<String, &'static str> {
    let fit = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    if fit { Ok(value.to_owned()) } else { Err("expected printable ASCII without spaces") }
}

impl Args {
    fn options(self) -> anyhow::Result<TrafficOptions> {
        Ok(TrafficOptions {
            gateway: self.gateway,
            tenant: self.tenant,
            topic: self.topic,
            group: self.group,
            rate: self.rate,
            session: self.session,
            consumers: self.consumers,
            concurrency: usize::from(self.concurrency),
            ack_timeout: self.ack_timeout,
            max_reconsume_times: self.max_reconsume_times,
            workload: Workload::new(self.seed, self.work_min..=self.work_max)?,
            spans: self.traced.spans()?,
        })
    }
}
