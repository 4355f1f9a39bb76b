//! The screen that goes on, and the frame of `--once`.

use rustix::process::Signal;

use super::admin::{Admin, Manner};
use super::terminal::Terminal;
use crate::program::{Run, ackguard, assert_golden, folder};

const FIRST: Manner = Manner::Answers("first.json");
const SECOND: Manner = Manner::Answers("second.json");

fn top(admin: &Admin, variables: &[(&str, &str)]) -> Terminal {
    let arguments = ["top", "--every", "200ms", "--admin", &admin.url()];
    Terminal::start(env!("CARGO_BIN_EXE_ackguard"), &arguments, variables)
}

/// A terminal that shows the statistics of the first file.
fn begun(admin: &Admin) -> Terminal {
    let terminal = top(admin, &[]);
    terminal.shows("first figures", |screen| screen.contains("acks 1200"));
    terminal
}

fn once(admin: &str) -> Run {
    ackguard("", &["top", "--once", "--every", "200ms", "--admin", admin])
}

#[test]
fn figures_follow_envoy_in_a_terminal_of_any_size_until_q() {
    let admin = Admin::start(FIRST);
    let terminal = begun(&admin);
    let figures = [
        "Envoy 1.40.0, up 2h 1m",
        "policy 2026-11-24.1 enforce",
        "tmq publish",
        "消息队列",
        "broker-eu OPEN",
        "? help",
    ];
    let screen = terminal.shows("the whole screen", |screen| figures.iter().all(|figure| screen.contains(figure)));
    assert!(screen.starts_with("ackguard top  http://127.0.0.1:"), "{screen}");

    admin.becomes(SECOND);
    terminal.shows("the next figures", |screen| screen.contains("acks 1218") && screen.contains("419 in flight"));
    // Envoy may count on while the screen stands still.
    terminal.press("p");
    terminal.shows("a pause", |screen| screen.contains("PAUSED"));
    terminal.press("p");
    terminal.shows("its end", |screen| !screen.contains("PAUSED"));

    terminal.resize(200, 60);
    let long = "a-tenant-with-a-very-long-name-a-tenant-with-…";
    terminal.shows("a large screen", |screen| screen.contains(long) && screen.contains("time-outs"));
    terminal.resize(40, 10);
    terminal.shows("a screen that is too small", |screen| screen.contains("too small: 60×13 at least"));
    terminal.resize(80, 24);
    terminal.shows("the old size", |screen| screen.contains("a-tenant-…"));

    terminal.press("?");
    terminal.shows("help", |screen| screen.contains("Tab, ← →"));
    terminal.press("?s");
    terminal.shows("another order", |screen| screen.contains("order: total") && screen.contains("▾total"));
    terminal.press("\tss");
    terminal.shows("another table", |screen| screen.contains("order: rate"));
    terminal.press("q");
    let ended = terminal.ends();
    assert_eq!(ended.status, 0);
    assert_eq!(admin.most_under_way(), 1);
}

#[test]
fn control_c_ends_it_too() {
    let admin = Admin::start(FIRST);
    let terminal = begun(&admin);
    terminal.press("\x03");
    assert_eq!(terminal.ends().status, 0);
}

#[test]
fn an_envoy_that_is_gone_or_slow_is_told_of_and_comes_back() {
    let admin = Admin::start(Manner::Gone);
    let terminal = top(&admin, &[]);
    terminal.shows("no answer at the start", |screen| screen.contains("no answer: /stats: "));
    for fault in [Manner::Gone, Manner::Status(503), Manner::Babbles] {
        admin.becomes(FIRST);
        terminal.shows("figures", |screen| screen.contains("Envoy 1.40.0") && screen.contains("acks 1200"));
        admin.becomes(fault);
        let screen = terminal.shows("no answer", |screen| screen.contains("no answer for "));
        assert!(screen.contains("acks 1200"), "the last figures stay: {screen}");
    }
    admin.becomes(FIRST);
    terminal.shows("figures", |screen| screen.contains("Envoy 1.40.0"));
    admin.becomes(Manner::Silent);
    terminal.shows("that it waits", |screen| screen.contains("no answer yet, for "));
    terminal.shows("that it waits no more", |screen| screen.contains("timeout"));
    admin.becomes(SECOND);
    terminal.shows("figures", |screen| screen.contains("Envoy 1.40.0") && screen.contains("acks 1218"));
    terminal.press("q");
    assert_eq!(terminal.ends().status, 0);
}

#[test]
fn keys_are_obeyed_while_envoy_is_silent() {
    let admin = Admin::start(Manner::Silent);
    let terminal = top(&admin, &[]);
    terminal.shows("that it waits", |screen| screen.contains("no answer yet, for "));
    terminal.press("?");
    terminal.shows("help", |screen| screen.contains("Tab, ← →"));
    terminal.press("q");
    assert_eq!(terminal.ends().status, 0);
    admin.becomes(Manner::Gone);
}

#[test]
fn a_signal_ends_it_as_it_ends_others_and_the_terminal_is_given_back() {
    let admin = Admin::start(FIRST);
    for (signal, number) in [(Signal::TERM, 15), (Signal::HUP, 1), (Signal::INT, 2), (Signal::QUIT, 3)] {
        let terminal = begun(&admin);
        terminal.signal(signal);
        assert_eq!(terminal.ends().status, 128 + number);
    }
}

#[test]
fn it_sleeps_and_wakes_as_a_shell_wants() {
    let admin = Admin::start(FIRST);
    let terminal = begun(&admin);
    for is_key in [true, false] {
        if is_key {
            terminal.press("\x1a");
        } else {
            terminal.signal(Signal::TSTP);
        }
        terminal.sleeps();
        terminal.is_given_back();
        terminal.signal(Signal::CONT);
        terminal.shows("the screen", |screen| screen.starts_with("ackguard top  http") && screen.contains("? help"));
    }
    terminal.press("q");
    assert_eq!(terminal.ends().status, 0);
}

#[test]
fn a_terminal_is_sent_no_escape_but_the_programs_own() {
    let admin = Admin::start(FIRST);
    let terminal = begun(&admin);
    terminal.resize(200, 60);
    terminal.shows("the hostile name", |screen| screen.contains("\\u{1b}[2Jowned\\u{7}\\u{202e}gone"));
    terminal.press("q");
    let ended = terminal.ends();
    assert!(!ended.raw.contains("\x1b[2Jowned") && !ended.raw.contains(['\x07', '\u{202e}']), "{:?}", ended.raw);
    assert!(ended.raw.contains("\x1b[38;5;"), "there are colours");

    let terminal = top(&admin, &[("NO_COLOR", "1")]);
    terminal.shows("first figures", |screen| screen.contains("acks 1200"));
    terminal.press("q");
    let raw = terminal.ends().raw;
    assert!(!raw.contains("\x1b[38;5;"), "{raw:?}");
}

#[test]
fn once_prints_a_frame_as_plain_text() {
    let admin = Admin::start(FIRST);
    let told = once(&format!("http://user:secret@{}/", admin.url().trim_start_matches("http://")));
    assert_eq!((told.status, told.stderr.as_str()), (0, ""));
    // The port is another one each time.
    assert_golden(&folder().join("top/once.txt"), &told.stdout.replace(&admin.url(), "http://127.0.0.1:9901"));
    assert!(!told.stdout.contains(|character: char| character != '\n' && character.is_control()));
}

#[test]
fn once_tells_why_there_is_no_frame() {
    let admin = Admin::start(Manner::Gone);
    for (manner, why) in [
        (Manner::Gone, "/stats: "),
        (Manner::Status(404), "/stats: http status: 404"),
        (Manner::Babbles, "/stats: not Envoy's statistics: expected value at line 1 column 1"),
    ] {
        admin.becomes(manner);
        let told = once(&admin.url());
        assert_eq!((told.status, told.stdout.as_str()), (2, ""), "{manner:?}");
        assert!(told.stderr.starts_with(&format!("error: {}: {why}", admin.url())), "{}", told.stderr);
    }
}

#[test]
fn without_a_terminal_there_is_no_screen() {
    let told = ackguard("", &["top"]);
    assert_eq!((told.status, told.stdout.as_str()), (2, ""));
    assert_eq!(told.stderr, "error: standard output: no terminal; --once prints one frame\n");
}

#[test]
fn an_interval_must_be_one_that_makes_sense() {
    for every in ["0s", "100ms", "2h", "1", "1d", "-1s"] {
        let told = ackguard("", &["top", &format!("--every={every}")]);
        assert_eq!(told.status, 2, "{every}");
        assert!(told.stderr.contains("expected a duration from 200ms to 1h"), "{}", told.stderr);
    }
}
