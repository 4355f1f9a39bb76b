//! What each kind of traffic asks of the host, once everything is cached: stated in `calls.txt`, call by call, and in
//! `docs/performance.md`. `UPDATE_EXPECT=1` writes both anew.

use std::fmt::Write as _;
use std::fs;

use e2e::gateway::MODES;
use host_double::calls::{Calls, Tally, nanos};
use host_double::plugin::{Outcome, Plugin};
use host_double::traffic::{self, Expected, Policy, Traffic};
use stack::HostMode;

/// Between these lines of the page stands what is stated.
const BEGIN: &str = "<!-- calls: written by `UPDATE_EXPECT=1 cargo test --package host-double --test calls` -->\n";
const END: &str = "<!-- /calls -->";

/// How many exchanges go before the one that is stated. The first defines metrics and makes shared data; a limit lends one
/// token, then two, four and eight, so that those after the eighth have them in hand.
const WARM_UP: usize = 8;

/// What has work to do at a tick.
const TICKING: [(&str, Policy); 3] = [
    ("a second of a worker's ticks, with a limit that nobody uses", Policy::WithinLimit),
    ("a second of a worker's ticks, with a limit of the fleet", Policy::Fleet),
    ("a second of a worker's ticks, with `max_in_flight`", Policy::InFlight),
];

/// What was counted.
struct Row {
    name: &'static str,
    /// In which host modes.
    modes: Vec<HostMode>,
    calls: Calls,
}

#[test]
fn every_kind_of_traffic_makes_the_calls_that_are_stated() {
    let mut rows = Vec::new();
    for traffic in traffic::all() {
        rows.extend(in_both_modes(traffic.name, |mode| steady(&traffic, mode)));
    }
    for (name, policy) in TICKING {
        rows.extend(in_both_modes(name, |mode| ticking(policy, mode)));
    }
    expect_test::expect_file!["calls.txt"].assert_eq(&listed(&rows));
    let page = stack::root().join("docs/performance.md");
    let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let (before, rest) = text.split_once(BEGIN).expect("the place of the table");
    let (_, after) = rest.split_once(END).expect("the end of the table");
    expect_test::expect_file![page].assert_eq(&format!("{before}{BEGIN}\n{}\n{END}{after}", table(&rows)));
}

/// A row for each host mode, or one for both where they do not differ.
fn in_both_modes(name: &'static str, count: impl Fn(HostMode) -> Calls) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for mode in MODES {
        let calls = count(mode);
        match rows.iter_mut().find(|row| row.calls == calls) {
            Some(row) => row.modes.push(mode),
            None => rows.push(Row { name, modes: vec![mode], calls }),
        }
    }
    rows
}

/// The calls of one exchange, when others of its kind went before it. Checks what becomes of it, too.
fn steady(traffic: &Traffic, mode: HostMode) -> Calls {
    let what = format!("{}, {mode:?}", traffic.name);
    let mut plugin = Plugin::start(mode, &traffic.policy.document(mode));
    let mut play = || traffic.exchanges().map(|exchange| plugin.play(exchange)).last().expect("an exchange");
    for _ in 0..WARM_UP {
        play();
    }
    let outcomes = [play(), play()];
    for outcome in &outcomes {
        check(&what, traffic, outcome);
    }
    let [before, last] = outcomes.map(|outcome| outcome.calls);
    assert_eq!(before, last, "{what}: one time and the next");
    last
}

fn check(what: &str, traffic: &Traffic, outcome: &Outcome) {
    let Outcome { upstream, response, details, .. } = outcome;
    let decision = match traffic.expected {
        Expected::Untouched if traffic.policy == Policy::Shadow => "would_edit",
        Expected::Untouched => "pass",
        Expected::Edited(..) => "edit",
        Expected::Refused(..) => "reject",
    };
    let is_told = traffic.policy != Policy::Counted && traffic.exchange.request.path.starts_with("/tmq/");
    let tells = |details: &String| details.contains(&format!(r#""decision":"{decision}""#));
    assert_eq!(details.as_ref().map(tells), is_told.then_some(true), "{what}: {details:?}");
    let told = response.header("x-ackguard");
    let (request, answer) = (&traffic.exchange.request.body, &traffic.exchange.answer);
    let (body, expected) = match traffic.expected {
        Expected::Untouched => (request.as_slice(), None),
        Expected::Edited(body, told) => (body.as_bytes(), Some(told)),
        Expected::Refused(status, body) => {
            assert!(upstream.is_none(), "{what}: it went on: {upstream:?}");
            assert_eq!(response.header(":status"), Some(status.to_string()), "{what}");
            let text = String::from_utf8_lossy(&response.body);
            assert!(text.starts_with(body), "{what}: {text}");
            assert!(told.is_some_and(|told| told.starts_with("reject; ")), "{what}");
            return;
        }
    };
    let upstream = upstream.as_ref().unwrap_or_else(|| panic!("{what}: it did not go on: {response:?}"));
    assert_eq!(String::from_utf8_lossy(&upstream.body), String::from_utf8_lossy(body), "{what}");
    let length = upstream.header("content-length").filter(|_| !body.is_empty());
    assert!(length.is_none_or(|length| length == body.len().to_string()), "{what}: {upstream:?}");
    assert_eq!(told.as_deref(), expected, "{what}");
    assert_eq!((response.header(":status").as_deref(), &response.body), (Some("200"), &answer.body()), "{what}");
}

/// The calls of the second second.
fn ticking(policy: Policy, mode: HostMode) -> Calls {
    let mut plugin = Plugin::start(mode, &policy.document(mode));
    plugin.second_of_ticks();
    plugin.second_of_ticks()
}

/// All rows, call by call.
fn listed(rows: &[Row]) -> String {
    let mut text = line("", ["calls", "re-entries", "bytes out", "bytes in", "ns"]);
    for row in rows {
        let _ = write!(text, "\n{}: {}\n", row.name, modes(row));
        for (call, tally) in row.calls.iter() {
            text.push_str(&line(&format!("  {call}"), figures(tally, nanos(call, tally))));
        }
        text.push_str(&line("  all", figures(row.calls.total(), row.calls.nanos())));
    }
    text
}

fn line(name: &str, figures: [impl std::fmt::Display; 5]) -> String {
    let [calls, reentries, bytes_out, bytes_in, nanos] = figures;
    format!("{name:32}{calls:>6}{reentries:>12}{bytes_out:>11}{bytes_in:>10}{nanos:>9}\n")
}

fn figures(tally: Tally, nanos: u64) -> [u64; 5] {
    [tally.calls, tally.reentries, tally.bytes_out, tally.bytes_in, nanos]
}

/// All rows, in Markdown.
fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| traffic | [headers](policy.md#the-two-host-modes) | calls | of them return bytes | bytes out | bytes in | about |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let Tally { calls, reentries, bytes_out, bytes_in } = row.calls.total();
        let (name, modes, micros) = (row.name, modes(row), row.calls.nanos() as f64 / 1_000.0);
        let _ =
            writeln!(table, "| {name} | {modes} | {calls} | {reentries} | {bytes_out} | {bytes_in} | {micros:.1} µs |");
    }
    table
}

fn modes(row: &Row) -> String {
    let modes = row.modes.iter().map(|mode| match mode {
        HostMode::Held => "held",
        HostMode::Streamed => "streamed",
    });
    modes.collect::<Vec<_>>().join(", ")
}
