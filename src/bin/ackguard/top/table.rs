//! Tables as text: which rows, in which order, in which columns.

use ackguard::telemetry::Decision;
use ratatui::layout::Constraint;

use super::figures::{UNKNOWN, millis, rate, total};
use super::report::{DECISIONS, Limit, Operation, Report, Violation};
use super::track::Tally;
use super::view::{Pane, Sort};

/// How much a row or a line asks for attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// Something is held back or goes wrong now and then.
    Warn,
    /// Something is broken.
    Bad,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) width: Constraint,
    /// Figures stand at the right of their column.
    pub(super) is_figure: bool,
    /// The order in which the table goes by this column.
    pub(super) sort: Option<Sort>,
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) cells: Vec<String>,
    pub(super) tone: Tone,
}

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// What is said where there is no row.
    pub(super) empty: &'static str,
}

fn text(name: &'static str, width: Constraint) -> Column {
    Column { name, width, is_figure: false, sort: None }
}

fn figure(name: &'static str, width: u16) -> Column {
    Column { name, width: Constraint::Length(width), is_figure: true, sort: None }
}

fn sorted(column: Column, sort: Sort) -> Column {
    Column { sort: Some(sort), ..column }
}

/// The table of a pane that has this width.
pub(super) fn table(report: &Report, pane: Pane, sort: Sort, width: u16) -> Table {
    match pane {
        Pane::Operations => operations(report, sort, width),
        Pane::Tenants => tenants(report, sort, width),
        Pane::Violations => violations(report, sort),
        Pane::Limits => limits(report, sort, width),
    }
}

/// From this width on, operations have their totals and their time-outs too.
const WIDE: u16 = 100;
/// Under this width, they have none of the columns about shadow.
const NARROW: u16 = 76;
/// Under this width, tenants and limits have no totals, so that their names can be told apart.
const ROOM_FOR_TOTALS: u16 = 23;

fn operations(report: &Report, sort: Sort, width: u16) -> Table {
    let mut columns = vec![
        sorted(text("OPERATIONS", Constraint::Fill(1)), Sort::Name),
        sorted(figure("/s", 7), Sort::Rate),
        figure("pass", 6),
        figure("edit", 6),
        figure("reject", 6),
    ];
    if width >= NARROW {
        columns.extend([figure("w.edit", 6), figure("w.rej", 6)]);
    }
    columns.extend([figure("p50", 6), figure("p99", 6)]);
    if width >= WIDE {
        columns.extend([figure("time-outs", 9), sorted(figure("total", 8), Sort::Total)]);
    }
    let rows = ordered(&report.operations, sort, |operation| (operation.name.clone(), operation.all));
    let rows = rows.into_iter().map(|operation| {
        let Operation { name, all, decisions, half, p99, timeouts } = operation;
        let mut cells = vec![name.clone(), rate(all.rate)];
        let told = DECISIONS.iter().zip(decisions).filter(|(decision, _)| width >= NARROW || !is_shadow(**decision));
        cells.extend(told.map(|(_, tally)| rate(tally.rate)));
        cells.extend([millis(*half), millis(*p99)]);
        if width >= WIDE {
            cells.extend([timeouts.map_or_else(|| UNKNOWN.to_owned(), total), total(all.total)]);
        }
        let rejects = DECISIONS
            .iter()
            .zip(decisions)
            .any(|(decision, tally)| *decision == Decision::Reject && tally.rate.is_some_and(|rate| rate > 0.0));
        let tone = match timeouts {
            Some(1..) => Tone::Bad,
            _ if rejects => Tone::Warn,
            _ => Tone::Plain,
        };
        Row { cells, tone }
    });
    Table { columns, rows: rows.collect(), empty: "no request that a dialect reads, so far" }
}

fn is_shadow(decision: Decision) -> bool {
    matches!(decision, Decision::WouldEdit | Decision::WouldReject)
}

fn tenants(report: &Report, sort: Sort, width: u16) -> Table {
    let rows = ordered(&report.tenants, sort, Clone::clone);
    let rows = rows.into_iter().map(|(name, tally)| Row {
        cells: vec![name.clone(), rate(tally.rate), total(tally.total)],
        tone: moving(*tally),
    });
    let mut columns =
        vec![sorted(text("TENANTS", Constraint::Fill(1)), Sort::Name), sorted(figure("/s", 5), Sort::Rate)];
    if width >= ROOM_FOR_TOTALS {
        columns.push(sorted(figure("total", 6), Sort::Total));
    }
    Table { columns, rows: rows.collect(), empty: "no violation so far" }
}

fn violations(report: &Report, sort: Sort) -> Table {
    let rows = ordered(&report.violations, sort, |violation| {
        let Violation { field, kind, action, rule, tally } = violation;
        (format!("{field} {kind} {action} {rule}"), *tally)
    });
    let rows = rows.into_iter().map(|Violation { field, kind, action, rule, tally }| Row {
        cells: vec![field.clone(), kind.clone(), action.clone(), rule.clone(), rate(tally.rate), total(tally.total)],
        tone: moving(*tally),
    });
    Table {
        columns: vec![
            sorted(text("VIOLATIONS", Constraint::Fill(3)), Sort::Name),
            text("kind", Constraint::Fill(2)),
            text("action", Constraint::Fill(2)),
            text("rule", Constraint::Fill(2)),
            sorted(figure("/s", 5), Sort::Rate),
            sorted(figure("total", 6), Sort::Total),
        ],
        rows: rows.collect(),
        empty: "none so far",
    }
}

fn limits(report: &Report, sort: Sort, width: u16) -> Table {
    let rows = ordered(&report.limits, sort, |limit| (limit.name.clone(), limit.limited + limit.shadow));
    let rows = rows.into_iter().map(|Limit { name, limited, shadow }| Row {
        cells: vec![
            name.clone(),
            rate(limited.rate),
            rate(shadow.rate),
            total(limited.total.saturating_add(shadow.total)),
        ],
        tone: moving(*limited),
    });
    let mut columns = vec![
        sorted(text("LIMITS", Constraint::Fill(1)), Sort::Name),
        sorted(figure("/s", 5), Sort::Rate),
        figure("shadow", 6),
    ];
    if width >= ROOM_FOR_TOTALS {
        columns.push(sorted(figure("total", 6), Sort::Total));
    }
    Table { columns, rows: rows.collect(), empty: "nothing was over one so far" }
}

/// What happens now is told apart from what has happened.
fn moving(tally: Tally) -> Tone {
    if tally.rate.is_some_and(|rate| rate > 0.0) { Tone::Warn } else { Tone::Plain }
}

/// Things in an order; those that are equal in it stand by their totals, then by their names.
fn ordered<T>(things: &[T], sort: Sort, key: impl Fn(&T) -> (String, Tally)) -> Vec<&T> {
    let mut keyed: Vec<_> = things.iter().map(|thing| (key(thing), thing)).collect();
    keyed.sort_by(|((name, tally), _), ((other_name, other), _)| {
        let by_total = || other.total.cmp(&tally.total);
        let by_name = || name.cmp(other_name);
        match sort {
            Sort::Rate => {
                let rates = other.rate.unwrap_or(0.0).total_cmp(&tally.rate.unwrap_or(0.0));
                rates.then_with(by_total).then_with(by_name)
            }
            Sort::Total => by_total().then_with(by_name),
            Sort::Name => by_name(),
        }
    });
    keyed.into_iter().map(|(_, thing)| thing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_that_was_asked_for() {
        let tenant = |name: &str, total, rate| (name.to_owned(), Tally { total, rate });
        let report = Report {
            tenants: vec![
                tenant("a", 5, Some(0.0)),
                tenant("b", 9, None),
                tenant("c", 5, Some(2.0)),
                tenant("d", 5, Some(0.0)),
            ],
            ..Report::default()
        };
        for (sort, names) in [(Sort::Rate, "cbad"), (Sort::Total, "bacd"), (Sort::Name, "abcd")] {
            let table = table(&report, Pane::Tenants, sort, 80);
            let told: String = table.rows.iter().filter_map(|row| row.cells.first().cloned()).collect();
            assert_eq!(told, names, "{sort:?}");
        }
    }
}
