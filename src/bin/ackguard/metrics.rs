//! `ackguard metrics`: what the filter counts, and how Envoy is told to show its labels.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

use ackguard::telemetry::{Label, METRICS, Metric, MetricKind};

use crate::output;

/// The upper bounds of the histogram's buckets, in milliseconds: fine where brokers answer, with 200 and 400 for the
/// objective and the alert of the p99, and up to the longest wait of a pull.
const BUCKETS: [u32; 14] = [1, 2, 5, 10, 20, 50, 100, 200, 400, 1_000, 2_000, 5_000, 10_000, 30_000];

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ackguard metrics --stats-config >> envoy.yaml")]
pub(crate) struct Args {
    /// Print the `stats_config` of Envoy's bootstrap instead, which takes the labels out of the names
    #[arg(long)]
    stats_config: bool,
}

/// Prints the page of the metrics, in Markdown, or the configuration.
pub(crate) fn perform(args: &Args) -> ExitCode {
    output::perform(|out| if args.stats_config { stats_config(out) } else { page(out) }.map(|()| ExitCode::SUCCESS))
}

fn page(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "# Metrics\n")?;
    writeln!(
        out,
        "This page is printed by `ackguard metrics`, from the code that counts. In Envoy's statistics each name has the\n\
         prefix `wasmcustom.`, and its labels follow it as `;label=value`; with the `stats_config` of the sample\n\
         configurations (`ackguard metrics --stats-config` prints it) `/stats/prometheus` shows them as Prometheus has it.\n\
         A series appears when it was counted the first time. What [alerts.md](alerts.md) wakes you for, it is made of\n\
         these.\n\n\
         Where one Envoy has several policies, their counters add up, but the policies overwrite each other's gauges, also\n\
         where each has a `vm_id` of its own. Where gauges matter, have one policy in an Envoy.\n"
    )?;
    writeln!(out, "| metric | kind | labels | what it tells |\n|---|---|---|---|")?;
    for Metric { name, kind, labels, help } in METRICS {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(out, "| `{name}` | {} | {} | {help} |", kind.name(), labels.join(", "))?;
    }
    writeln!(out, "\n## Labels whose values come from outside\n")?;
    writeln!(
        out,
        "A metrics system keeps each series for ever. So the first values of these labels that an Envoy meets have series\n\
         of their own, counted over all workers and all policies, and the others share the value `other`. A value shows at\n\
         most 64 characters; what is no printable ASCII, and `;`, `\"` and `\\`, is percent-encoded. Every other label's\n\
         values come from the code. Access logs tell of those that are `other` here: [access-log.md](access-log.md).\n"
    )?;
    writeln!(out, "| label | values of their own |\n|---|---|")?;
    for label in Label::ALL {
        writeln!(out, "| `{}` | {} |", label.name(), label.most())?;
    }
    writeln!(out, "\n## Less\n")?;
    writeln!(
        out,
        "With `telemetry: counted` in the policy no request is timed and no answer is read for its own sake: the histogram,\n\
         `ackguard_deliveries_total`, `ackguard_redeliveries_total`, `ackguard_last_attempts_total`,\n\
         `ackguard_late_acks_total` and `ackguard_unread_answers_total` stay empty, and access logs and spans are told\n\
         nothing. Of answers over 64 KiB the rest is not read, but where limits or leases need it: these counters tell of\n\
         the first messages only. A request whose client leaves, or that Envoy itself refuses (408, 413), while its body is\n\
         collected or the fleet's service is asked was not decided on, and is not counted."
    )
}

fn stats_config(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "stats_config:\n  stats_tags:")?;
    let labels: BTreeSet<&str> = METRICS.iter().flat_map(|metric| metric.labels).copied().collect();
    for label in labels {
        let regex = format!(r"^wasmcustom\.ackguard_.*?(;{label}=([^;]+))");
        writeln!(out, "    - {{ tag_name: {label}, regex: '{regex}' }}")?;
    }
    writeln!(out, "  histogram_bucket_settings:")?;
    for metric in METRICS.iter().filter(|metric| metric.kind == MetricKind::Histogram) {
        let buckets = BUCKETS.map(|bound| bound.to_string()).join(", ");
        writeln!(out, "    - match: {{ prefix: wasmcustom.{} }}\n      buckets: [{buckets}]", metric.name)?;
    }
    Ok(())
}
