//! `ackguard rollout status`: how far a roll-out has come, as a running Envoy tells it at its admin endpoint.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use ackguard::operation::Millis;
use ackguard::policy::rollout::{Rollout, Stage, WHOLE, Who};
use ackguard::policy::{Mode, Policy, write_duration};
use ackguard::rollout::{Acks, State};
use ackguard::telemetry::Gauge;
use serde_json::{Value, json};

use crate::admin::{Admin, AdminArgs, Unanswered};
use crate::document;
use crate::output::{self, REFUSED, UNREAD, complain};
use crate::source::Source;

/// How long Envoy may take to answer. Its admin endpoint is served by the main thread, which may be busy with an update.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest dump of a configuration that is read, in bytes: it holds every listener and cluster.
const MOST_DUMP: u64 = 256 << 20;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Tell how far the roll-out has come, and how the candidate's consumers fare
    Status(Status),
}

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ackguard rollout status
  ackguard rollout status --admin http://127.0.0.1:9901 --json
  kubectl port-forward deploy/gateway 15000 & ackguard rollout status --admin http://127.0.0.1:15000

Exit status: 0 when there is no roll-out or it goes on, 1 when it is held or was rolled back, 2 when Envoy gives no answer.")]
struct Status {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tells how a roll-out goes.
pub(crate) fn perform(args: &Args) -> ExitCode {
    let Action::Status(args) = &args.action;
    let found = match ask(&args.admin) {
        Ok(found) => found,
        Err(why) => {
            complain(Path::new(&args.admin.shown()), &why);
            return ExitCode::from(UNREAD);
        }
    };
    output::perform(|out| {
        if args.json {
            writeln!(out, "{:#}", found.as_ref().map_or(json!({ "state": "none" }), Standing::to_json))?;
        } else {
            match &found {
                Some(standing) => write!(out, "{standing}")?,
                None => writeln!(out, "no roll-out")?,
            }
        }
        let alarming = found.is_some_and(|found| matches!(found.state, State::Held | State::RolledBack));
        Ok(if alarming { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
    })
}

/// What Envoy tells.
struct Standing {
    state: State,
    /// The stage that is served, from 1; 0 for none.
    stage: u64,
    elapsed: Millis,
    acks: Acks,
    /// The roll-out as the policy has it, where it is the one that the gauges tell of.
    rollout: Option<Rollout>,
}

fn ask(args: &AdminArgs) -> Result<Option<Standing>, Unanswered> {
    let admin = Admin::new(args, PATIENCE);
    let gauges = admin.stats("ackguard_rollout")?;
    let value = |gauge: Gauge| gauges.value(&gauge.name());
    let Some(state) = State::of_gauge(value(Gauge::RolloutState)) else {
        return Ok(None);
    };
    let dump = document::settle(Source::new("/config_dump".to_owned(), admin.get("/config_dump", MOST_DUMP)?));
    let policy = document::read(&dump).ok().and_then(|document| Policy::compile(&document.node).ok());
    let candidate = value(Gauge::RolloutCandidate);
    let rollout = policy.and_then(|policy| policy.rollout).filter(|rollout| {
        // The gauge has the low half of the id.
        rollout.id & u64::from(u32::MAX) == candidate
    });
    let count = |gauge| u32::try_from(value(gauge)).unwrap_or(u32::MAX);
    Ok(Some(Standing {
        state,
        stage: value(Gauge::RolloutStage),
        elapsed: Millis(i64::try_from(value(Gauge::RolloutElapsed).saturating_mul(1_000)).unwrap_or(i64::MAX)),
        acks: Acks {
            total: count(Gauge::RolloutAcks),
            failed: count(Gauge::RolloutAcksFailed),
            slow: count(Gauge::RolloutAcksSlow),
        },
        rollout,
    }))
}

impl Standing {
    fn current(&self) -> Option<&Stage> {
        let index = usize::try_from(self.stage.checked_sub(1)?).ok()?;
        self.rollout.as_ref()?.stages.get(index)
    }

    fn to_json(&self) -> Value {
        let Acks { total, failed, slow } = self.acks;
        let mut json = json!({
            "state": self.state.name(), "stage": self.stage, "stageSeconds": self.elapsed.0 / 1_000,
            "acks": { "total": total, "failed": failed, "slow": slow },
        });
        if let (Some(rollout), Some(fields)) = (&self.rollout, json.as_object_mut()) {
            let health = &rollout.health;
            fields.insert("candidate".to_owned(), rollout.candidate.version.as_str().into());
            fields.insert("stages".to_owned(), rollout.stages.len().into());
            fields.insert(
                "holdSeconds".to_owned(),
                self.current().and_then(|stage| stage.hold).map(|hold| hold.0 / 1_000).into(),
            );
            fields.insert(
                "health".to_owned(),
                json!({
                    "ackSuccess": health.ack_success, "p99Ms": health.p99.0,
                    "windowSeconds": health.window.0 / 1_000, "minSamples": health.min_samples,
                }),
            );
        }
        json
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rollout) = &self.rollout else {
            writeln!(f, "roll-out: {}, stage {}", self.state.name().replace('_', " "), self.stage)?;
            return writeln!(
                f,
                "The policy in Envoy's configuration has another candidate; an update may be under way."
            );
        };
        writeln!(f, "roll-out of {}: {}", rollout.candidate.version, self.state.name().replace('_', " "))?;
        for (index, stage) in rollout.stages.iter().enumerate() {
            let mark = if index as u64 + 1 == self.stage { '▸' } else { ' ' };
            write!(f, "{mark} stage {}: {}", index + 1, Named(stage))?;
            if mark != ' ' {
                write!(f, ", for {} so far", write_duration(self.elapsed))?;
            }
            writeln!(f)?;
        }
        let Acks { total, failed, slow } = self.acks;
        let health = &rollout.health;
        let share = |part: u32| f64::from(part) * 100.0 / f64::from(total.max(1));
        writeln!(f, "acks of its consumers in the last {}: {total}", write_duration(health.window))?;
        if total > 0 {
            let (wanted, p99) = (health.ack_success * 100.0, write_duration(health.p99));
            writeln!(f, "  {:.2} % succeeded; wanted {wanted} %", share(total - failed.min(total)))?;
            writeln!(f, "  {:.2} % took longer than {p99}; allowed 1 %", share(slow))?;
        }
        if u64::from(total) < health.min_samples {
            writeln!(f, "  too few to judge by: {} are wanted", health.min_samples)?;
        }
        Ok(())
    }
}

/// A stage in words.
struct Named<'s>(&'s Stage);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Named(Stage { who, mode, hold }) = self;
        match who {
            Who::Share(share) => write!(f, "{} %", f64::from(*share) * 100.0 / f64::from(WHOLE))?,
            Who::Tenants(tenants) => {
                let names: Vec<&str> = tenants.iter().map(|tenant| tenant.glob()).collect();
                write!(f, "tenants {}", names.join(", "))?;
            }
        }
        if *mode == Mode::Shadow {
            f.write_str(", in shadow")?;
        }
        match hold {
            Some(hold) => write!(f, ", at least {}", write_duration(*hold)),
            None => Ok(()),
        }
    }
}
