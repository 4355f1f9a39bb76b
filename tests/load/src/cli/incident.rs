//! `tmq-load incident`: starts broker and Envoy, or uses those that run, makes both runs, shows and writes the figures, and
//! judges them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use indicatif::HumanCount;
use spans::Spans;
use stack::{Bootstrap, Broker, BrokerOptions, Envoy, Ports, Semantics, Workers};
use tmq_load::address::resolve;
use tmq_load::cpu::Watched;
use tmq_load::incident::{Endpoints, Incident, IncidentError, IncidentOptions};
use tmq_load::progress::Progress;
use tmq_load::report::Report;
use tmq_load::verdict::{Deviation, deviations};
use tmq_load::workload::{EmptyWorkRange, Workload};
use tmq_load::{output, table};

use super::traced::{self, Traced};

/// Envoy's workers: with one alone, nothing would show that a subscribe and its acks may meet different ones.
const WORKERS: Workers = Workers(2);

/// The options of the incident.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 when the broker's ledger says that every message was lost without AckGuard and none with it; 1 when it \
says anything else, or a run did not come to its end; 2 for a command line that cannot be read; 130 when interrupted.")]
pub(crate) struct Args {
    /// Messages to publish in each run.
    #[arg(long, default_value_t = IncidentOptions::default().messages, value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,
    /// Consumers of the group.
    #[arg(long, default_value_t = IncidentOptions::default().consumers, value_parser = clap::value_parser!(u32).range(1..=1024))]
    consumers: u32,
    /// Messages that each consumer works on at once.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Draws how long the work on each message takes.
    #[arg(long, default_value_t = Workload::default().seed())]
    seed: u64,
    /// The shortest work on a message.
    #[arg(long, value_name = "DURATION", default_value = "20ms", value_parser = humantime::parse_duration)]
    work_min: Duration,
    /// The longest work on a message.
    #[arg(long, value_name = "DURATION", default_value = "150ms", value_parser = humantime::parse_duration)]
    work_max: Duration,
    /// How long each run may take.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = humantime::parse_duration)]
    time_limit: Duration,
    /// How the broker treats an ack timeout of 0.
    #[arg(long, value_enum, default_value_t = Semantics::Legacy, conflicts_with = "Running")]
    semantics: Semantics,
    #[command(flatten)]
    running: Option<Running>,
    /// Where result.json and report.html go.
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    out: PathBuf,
    #[command(flatten)]
    traced: Traced,
}

/// A stack that runs already, whose broker has the semantics that lose messages and has not seen the incident before.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "A stack that runs already, instead of one of its own")]
struct Running {
    /// Its gateway with AckGuard.
    #[arg(long, value_name = "HOST:PORT", required = false, requires_all = ["bare", "admin"])]
    guarded: String,
    /// Its gateway without AckGuard.
    #[arg(long, value_name = "HOST:PORT", required = false, requires_all = ["guarded", "admin"])]
    bare: String,
    /// Its broker's admin port.
    #[arg(long, value_name = "HOST:PORT", required = false, requires_all = ["guarded", "bare"])]
    admin: String,
}

/// Replays the incident as `args` say.
///
/// # Errors
/// Where the stack does not start, a run does not end, a file cannot be written, or the truth is another one.
pub(crate) async fn perform(args: Args) -> anyhow::Result<()> {
    let options = args.options()?;
    let spans = args.traced.spans()?;
    let replayed = match &args.running {
        Some(running) => running.replay(options, spans.as_ref()).await,
        None => replay_alone(&args, options, spans.as_ref()).await,
    };
    traced::end(spans).await;
    let Replayed { incident, policy } = replayed?;

    let deviations = deviations(&incident.result());
    let report = Report { incident: &incident, policy: policy.as_deref(), deviations: &deviations };
    let written = output::write(&args.out, &report)?;
    println!("{}", table::summary(&incident));
    println!("{}\n{}", written.result.display(), written.report.display());
    if !deviations.is_empty() {
        let said: Vec<_> = deviations.iter().map(Deviation::to_string).collect();
        bail!("not what the incident is to show: {}", said.join("; "));
    }
    println!(
        "As it must be: all {} messages lost without AckGuard, none with it.",
        HumanCount(incident.options.messages)
    );
    Ok(())
}

/// Both runs, and what the guarded gateway's policy was, where that is known.
struct Replayed {
    incident: Incident,
    policy: Option<String>,
}

/// Replays through a stack that is there for this alone.
async fn replay_alone(args: &Args, options: IncidentOptions, spans: Option<&Spans>) -> anyhow::Result<Replayed> {
    let bootstrap = Bootstrap::load("static.yaml")?;
    let policy = serde_saphyr::to_string(&bootstrap.current_policy())?;
    let (broker, envoy) = start(bootstrap, args.semantics, args.traced.of_broker()?).await?;
    let endpoints = Endpoints { bare: envoy.bare(), guarded: envoy.guarded(), admin: broker.admin() };
    let processes = [Watched { name: "envoy", pid: envoy.pid() }, Watched { name: "broker", pid: broker.pid() }];
    Ok(Replayed { incident: replay(endpoints, options, &processes, spans).await?, policy: Some(policy) })
}

/// Both runs, shown as they go on.
async fn replay(
    endpoints: Endpoints,
    options: IncidentOptions,
    processes: &[Watched],
    spans: Option<&Spans>,
) -> Result<Incident, IncidentError> {
    let mut progress = Progress::new(options.messages);
    Incident::replay(endpoints, options, processes, spans, |side, sample| progress.observe(side, sample)).await
}

/// The broker, and Envoy before it, on the ports that the environment names.
async fn start(bootstrap: Bootstrap, semantics: Semantics, arguments: Vec<String>) -> anyhow::Result<(Broker, Envoy)> {
    let ports = Ports::from_env(|name| std::env::var(name).ok())?;
    ports.check_free()?;
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let options = BrokerOptions { semantics, listen: local(ports.broker), admin: local(ports.broker_admin), arguments };
    let broker = Broker::start(options).await?;
    let envoy = Envoy::start(bootstrap.ports(&ports), WORKERS).await?;
    Ok((broker, envoy))
}

impl Running {
    async fn replay(&self, options: IncidentOptions, spans: Option<&Spans>) -> anyhow::Result<Replayed> {
        let endpoints = Endpoints {
            bare: resolve(&self.bare).await?,
            guarded: resolve(&self.guarded).await?,
            admin: resolve(&self.admin).await?,
        };
        Ok(Replayed { incident: replay(endpoints, options, &[], spans).await?, policy: None })
    }
}

impl Args {
    fn options(&self) -> Result<IncidentOptions, EmptyWorkRange> {
        Ok(IncidentOptions {
            messages: self.messages,
            consumers: self.consumers,
            concurrency: usize::from(self.concurrency),
            workload: Workload::new(self.seed, self.work_min..=self.work_max)?,
            time_limit: self.time_limit,
        })
    }
}
