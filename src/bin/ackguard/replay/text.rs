//! What was found in a capture, for people.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::rc::Rc;

use ackguard::policy::limit::{Cost, Limit, Reach};
use ackguard::telemetry::Decision;
use anstyle::Style;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Style as Frame};

use super::Replayed;
use super::changes::{Cases, Changes, Kind};
use super::tally::{Counts, DECISIONS, Tally};
use crate::loaded::Loaded;
use crate::output;

/// How many rows of each table people are shown; machines get all.
const SHOWN: usize = 40;

const NAME: Style = Style::new().bold();

pub(super) fn write(replayed: &Replayed<'_>, out: &mut impl Write) -> io::Result<()> {
    let Replayed { records, foreign, unread, format, .. } = replayed;
    let requests = output::count(clamped(*records), "request");
    writeln!(out, "{requests}, {foreign} of them foreign; {} could not be read", format.count(*unread))?;
    let Some(other) = &replayed.other else {
        heading(out, &name(replayed.loaded, replayed.stage))?;
        tally(&replayed.tally, out)?;
        return unasked(replayed, out);
    };
    let mut table = vec![["policy"].into_iter().chain(DECISIONS.map(Decision::name)).map(str::to_owned).collect()];
    for (name, tally) in
        [(name(replayed.loaded, replayed.stage), &replayed.tally), (name(other.loaded, other.stage), &other.tally)]
    {
        table.push(std::iter::once(name).chain(tally.sum().map(|count| count.to_string())).collect());
    }
    writeln!(out)?;
    print(table, None, 1, out)?;
    heading(out, &format!("{} would fare otherwise", output::count(clamped(other.changes.count), "request")))?;
    changes(&other.changes, format.unit(), out)?;
    unasked(replayed, out)
}

/// A policy's name, and how far its roll-out has come.
fn name(loaded: &Loaded<'_>, stage: Option<usize>) -> String {
    let version = &loaded.policy.current.version;
    match (&loaded.policy.rollout, stage) {
        (Some(rollout), Some(stage)) => {
            format!("{} {version}, at stage {stage} of {}", loaded.file(), rollout.candidate.version)
        }
        _ => format!("{} {version}", loaded.file()),
    }
}

fn clamped(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn heading(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{NAME}{text}{NAME:#}")
}

fn tally(tally: &Tally, out: &mut impl Write) -> io::Result<()> {
    let sum = tally.sum();
    let columns: Vec<usize> =
        (0..DECISIONS.len()).filter(|column| *column < 3 || sum.get(*column) > Some(&0)).collect();
    let heads = columns.iter().filter_map(|column| DECISIONS.get(*column)).map(|decision| decision.name());
    let mut rows: Vec<_> = tally.rows.iter().collect();
    rows.sort_by_key(|(_, counts)| Reverse(changed(counts)));
    let mut table =
        vec![["tenant", "operation", "rule", "requests"].into_iter().chain(heads).map(str::to_owned).collect()];
    for (key, counts) in &rows {
        let mut row: Vec<String> = vec![key.tenant.clone(), key.operation.clone(), key.rule.clone()];
        row.extend(cells(counts, &columns));
        table.push(row);
    }
    let mut total: Vec<String> = vec!["all".to_owned(), String::new(), String::new()];
    total.extend(cells(&sum, &columns));
    print(table, Some(total), 3, out)?;
    if !tally.violations.is_empty() {
        let mut violations: Vec<_> = tally.violations.iter().collect();
        violations.sort_by_key(|(_, count)| Reverse(**count));
        let heads = ["tenant", "operation", "rule", "field", "violation", "action", "count"];
        let mut table = vec![heads.map(str::to_owned).to_vec()];
        for ((key, (field, violation, action)), count) in violations {
            let names = [&key.tenant, &key.operation, &key.rule].map(Clone::clone).into_iter();
            let violation = [field, violation, action].map(|name| (*name).to_owned());
            table.push(names.chain(violation).chain([count.to_string()]).collect());
        }
        writeln!(out)?;
        print(table, None, 6, out)?;
    }
    if !tally.tried.is_empty() {
        let columns = [0, 3, 4];
        let mut table =
            vec![["only tried", "rule", "requests", "pass", "would_edit", "would_reject"].map(str::to_owned).to_vec()];
        for ((scope, rule), counts) in &tally.tried {
            let names = [(*scope).to_owned(), rule.clone()].into_iter();
            table.push(names.chain(cells(counts, &columns)).collect());
        }
        writeln!(out)?;
        print(table, None, 2, out)?;
    }
    if !tally.limits.is_empty() {
        // Only a pull is cut to what its group may have in flight.
        let some = |column: usize| tally.limits.values().any(|counts| counts.get(column) > Some(&0));
        let columns: Vec<usize> =
            (0..DECISIONS.len()).filter(|column| matches!(column, 0 | 2) || some(*column)).collect();
        let mut rows: Vec<_> = tally.limits.iter().collect();
        rows.sort_by_key(|(_, counts)| Reverse(changed(counts)));
        let decisions = columns.iter().filter_map(|column| DECISIONS.get(*column)).map(|decision| decision.name());
        let heads = ["limit", "tenant", "operation", "requests"].into_iter().chain(decisions);
        let mut table = vec![heads.map(str::to_owned).collect::<Vec<_>>()];
        for (names, counts) in rows {
            table.push(names.iter().cloned().chain(cells(counts, &columns)).collect());
        }
        writeln!(out)?;
        print(table, None, 3, out)?;
    }
    Ok(())
}

/// What of the limits was not replayed, or not in full.
fn unasked(replayed: &Replayed<'_>, out: &mut impl Write) -> io::Result<()> {
    let policies = std::iter::once(replayed.loaded).chain(replayed.other.as_ref().map(|other| other.loaded));
    let bounds = policies.clone().any(|loaded| loaded.policy.bounds_leases());
    let limits = policies.flat_map(|loaded| loaded.policy.limits()).map(Rc::as_ref);
    let (local, fleet): (Vec<&Limit>, Vec<&Limit>) =
        limits.partition(|limit| matches!(limit.reach, Reach::Local { .. }));
    let reads_answers = bounds || local.iter().any(|limit| limit.cost != Cost::Requests);
    if (bounds || !local.is_empty()) && replayed.untimed > 0 {
        let untimed = output::count(clamped(replayed.untimed), "request");
        let of = if replayed.untimed == replayed.records { "the capture has no times" } else { "they have no time" };
        writeln!(out, "\nLimits were not asked for {untimed}: {of}.")?;
    }
    if reads_answers && replayed.cut > 0 {
        let cut = output::count(clamped(replayed.cut), "answer");
        writeln!(out, "\nLimits count only what the recorder has left of {cut}.")?;
    }
    if !fleet.is_empty() {
        let names: BTreeSet<&str> = fleet.iter().map(|limit| &*limit.name).collect();
        let names: Vec<&str> = names.into_iter().collect();
        writeln!(out, "\nLimits that a service counts were not asked: {}.", names.join(", "))?;
    }
    Ok(())
}

/// How many requests do not pass as they came.
fn changed(counts: &Counts) -> u64 {
    counts.iter().skip(1).sum()
}

fn cells(counts: &Counts, columns: &[usize]) -> Vec<String> {
    let all: u64 = counts.iter().sum();
    let columns = columns.iter().filter_map(|column| counts.get(*column));
    std::iter::once(&all).chain(columns).map(u64::to_string).collect()
}

/// A table whose columns from `numbers` on are figures, with a last row of sums.
fn print(
    mut rows: Vec<Vec<String>>,
    total: Option<Vec<String>>,
    numbers: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    let left_out = rows.len().saturating_sub(SHOWN + 1);
    rows.truncate(SHOWN + 1);
    rows.extend(total);
    let mut table = Builder::from_iter(rows).build();
    table.with(Frame::psql()).modify(Columns::new(numbers..), Alignment::right());
    for line in table.to_string().lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    if left_out > 0 {
        writeln!(out, "and {} more; --json tells all", output::count(left_out, "row"))?;
    }
    Ok(())
}

fn changes(changes: &Changes, unit: &str, out: &mut impl Write) -> io::Result<()> {
    let mut kinds: Vec<(&Kind, &Cases)> = changes.kinds.iter().collect();
    kinds.sort_by_key(|(_, cases)| Reverse(cases.count));
    for (kind, cases) in kinds.iter().take(SHOWN) {
        let fates = [&kind.before, &kind.after].map(|fate| match (&fate.limit, fate.rule.as_str()) {
            (Some(limit), _) => format!("{} by limit {limit}", fate.decision),
            (None, "") => fate.decision.to_owned(),
            (None, rule) => format!("{} by {rule}", fate.decision),
        });
        let [before, after] = fates;
        writeln!(out, "{} × {} of {}: {before}, then {after}", cases.count, kind.operation, kind.tenant)?;
        for example in &cases.examples {
            let told = |told: &Option<String>| told.clone().unwrap_or_else(|| "nothing".to_owned());
            writeln!(out, "  {unit} {}", example.number)?;
            writeln!(out, "    - {}", told(&example.before))?;
            writeln!(out, "    + {}", told(&example.after))?;
        }
    }
    if kinds.len() > SHOWN {
        writeln!(out, "and {} more; --json tells all", output::count(kinds.len() - SHOWN, "kind"))?;
    }
    Ok(())
}
