//! The table of both runs' figures, for the terminal and for the page.

use indicatif::HumanCount;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Style};

use crate::incident::Incident;
use crate::latency::{Latencies, Operation};
use crate::result::{IncidentResult, RunResult};
use crate::run::RunOutcome;
use crate::verdict::Side;

/// One line: what it is, without AckGuard, with AckGuard.
pub(crate) type Row = [String; 3];

/// The heads of the columns.
pub(crate) const HEAD: [&str; 3] = ["", "bare", "guarded"];

/// What the table's figures are, for a reader of `result.json` as well.
const FOOTNOTE: &str =
    "Fates are the broker's ledger's. Latencies are through the gateway; p50Ms and p99Ms of result.json are the acks'.";

/// The fate of the messages, by the broker's ledger.
pub(crate) fn fate_rows(result: &IncidentResult) -> Vec<Row> {
    let count = |name: &str, figure: fn(&RunResult) -> u64| {
        [name.to_owned(), HumanCount(figure(&result.bare)).to_string(), HumanCount(figure(&result.guarded)).to_string()]
    };
    vec![
        count("published", |run| run.published),
        count("acked", |run| run.acked),
        count("lost", |run| run.lost),
        count("· archived without a dead letter", |run| run.archived),
        count("· forgotten at a rebalance", |run| run.forgotten),
        count("dead-lettered", |run| run.dead_lettered),
        [
            "redeliveries per message".to_owned(),
            format!("{:.2}", result.bare.redeliveries_per_message),
            format!("{:.2}", result.guarded.redeliveries_per_message),
        ],
    ]
}

/// Latencies through the gateway. Pulls that waited in vain are left out: they measure the wait that was asked for.
pub(crate) fn latency_rows(bare: &Latencies, guarded: &Latencies) -> Vec<Row> {
    [Operation::Publish, Operation::Subscribe, Operation::Pull, Operation::Ack]
        .into_iter()
        .map(|operation| {
            let name = match operation {
                Operation::Pull => "pull with messages",
                other => other.name(),
            };
            let quantiles = |latencies: &Latencies| match latencies.summary(operation) {
                Some(found) => format!("{:.1} / {:.1}", found.p50_ms, found.p99_ms),
                None => "–".to_owned(),
            };
            [format!("{name}, p50 / p99 ms"), quantiles(bare), quantiles(guarded)]
        })
        .collect()
}

/// What a run took of the machine, in one line.
pub(crate) fn effort(outcome: &RunOutcome) -> String {
    let seconds = outcome.took.as_secs_f64();
    let requests = outcome.latencies.requests();
    let mut line =
        format!("{seconds:.1} s, {} requests, {:.0}/s; cores used:", HumanCount(requests), requests as f64 / seconds);
    for (number, cpu) in outcome.cpu.iter().enumerate() {
        let separator = if number == 0 { "" } else { "," };
        line += &format!("{separator} {} {:.2}", cpu.name, cpu.spent.as_secs_f64() / seconds);
    }
    line
}

/// Both runs' figures for a terminal.
#[must_use]
pub fn summary(incident: &Incident) -> String {
    let mut rows = fate_rows(&incident.result());
    rows.extend(latency_rows(&incident.bare.latencies, &incident.guarded.latencies));
    let efforts = [(Side::Bare, &incident.bare), (Side::Guarded, &incident.guarded)]
        .map(|(side, outcome)| format!("{:>8}: {}", side.name(), effort(outcome)));
    format!("{}\n{}\n{FOOTNOTE}", text(&rows), efforts.join("\n"))
}

/// `rows` as text for a terminal.
fn text(rows: &[Row]) -> String {
    let mut table = Builder::new();
    table.push_record(HEAD);
    for row in rows {
        table.push_record(row);
    }
    table.build().with(Style::rounded()).modify(Columns::new(1..), Alignment::right()).to_string()
}
