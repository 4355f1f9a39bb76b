//! The command line: what cannot be done is said before anything is started.

use std::process::Command;

#[test]
fn what_cannot_be_done_is_named_and_has_its_exit_status() {
    let cases: [(&[&str], i32, &str); 17] = [
        (&[], 2, "Usage: tmq-load <COMMAND>"),
        (&["incident", "--messages", "0"], 2, "'--messages <MESSAGES>': 0 is not in 1.."),
        (&["incident", "--consumers", "1025"], 2, "1025 is not in 1..=1024"),
        (&["incident", "--work-min", "soon"], 2, "'--work-min <DURATION>'"),
        (&["incident", "--semantics", "other"], 2, "[possible values: legacy, fixed]"),
        (&["bench", "--reloads", "0"], 2, "'--reloads <RELOADS>': 0 is not in 1.."),
        (&["bench", "--only", "speed"], 2, "[possible values: cost, growth, latency, limit, memory, reload, "),
        (&["incident", "--guarded", "127.0.0.1:1"], 2, "--bare <HOST:PORT>"),
        (
            &["incident", "--guarded", "a:1", "--bare", "a:1", "--admin", "a:1", "--semantics", "legacy"],
            2,
            "'--semantics <SEMANTICS>' cannot be used with",
        ),
        (
            &["incident", "--guarded", "127.0.0.1:1", "--bare", "127.0.0.1", "--admin", "127.0.0.1:1"],
            1,
            "tmq-load: 127.0.0.1 is no address, expected HOST:PORT: ",
        ),
        (&["traffic"], 2, "--gateway <HOST:PORT>"),
        (&["traffic", "--gateway", "a:1", "--tenant", "a b"], 2, "'--tenant <TENANT>': expected printable ASCII"),
        (&["limits", "--seconds", "0"], 2, "'--seconds <SECONDS>': 0 is not in 1.."),
        (&["limits", "--only", "cold"], 2, "[possible values: hot_1, hot_2, hot_4,"),
        (&["incident", "--otlp-share", "2"], 2, "'--otlp-share <SHARE>': 2 is not in 0..=1"),
        (
            &["incident", "--otlp", "collector"],
            1,
            "tmq-load: --otlp or OTEL_EXPORTER_OTLP_ENDPOINT: expected http://HOST:PORT",
        ),
        (
            &["incident", "--work-min", "2s", "--work-max", "1s"],
            1,
            "tmq-load: work of 2s to 1s is no range: the first must not be the longer\n",
        ),
    ];
    for (arguments, status, said) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_tmq-load")).args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_help_states_every_option_and_the_exit_status() {
    let incident =
        ["messages", "consumers", "concurrency", "seed", "work-min", "work-max", "semantics", "out", "guarded"];
    let bench = [
        "only",
        "reloads",
        "large-reloads",
        "rounds",
        "round",
        "turn",
        "patience",
        "tenants",
        "topics",
        "receipts",
        "swaps",
        "out",
    ];
    let limits = ["seconds", "only", "out", "write"];
    let commands = [("incident", incident.as_slice()), ("bench", bench.as_slice()), ("limits", limits.as_slice())];
    for (command, options) in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_tmq-load")).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success());
        for option in options {
            assert!(help.contains(&format!("--{option} <")), "{option} is missing:\n{help}");
        }
        assert!(help.contains("Exit status: 0 when"), "{help}");
    }
}
