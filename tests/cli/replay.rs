//! `ackguard replay`, on traffic that `captures/record.py` recorded at the real broker.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::program::{ackguard, assert_golden, command, folder, run};

const CAPTURE: &str = "../captures/tmq.jsonl";
const HAR: &str = "../captures/tmq.har";
const TAP: &str = "../captures/envoy-tap.json";

fn golden(name: &str, arguments: &[&str]) -> String {
    let told = ackguard("replay", &[&["replay"], arguments].concat()).told();
    assert_golden(&folder().join(format!("replay/{name}.txt")), &told);
    told
}

#[test]
fn a_capture_tells_what_a_policy_would_do() {
    golden("one", &["before.yaml", CAPTURE]);
}

#[test]
fn two_policies_tell_what_a_change_would_change() {
    golden("two", &["before.yaml", CAPTURE, "--against", "after.yaml"]);
    let same = golden("same", &["before.yaml", CAPTURE, "--against", "before.yaml"]);
    assert!(same.contains("\n0 requests would fare otherwise\n"));
}

#[test]
fn a_roll_out_is_tried_stage_by_stage() {
    golden("stage-tried", &["after.yaml", CAPTURE, "--stage", "1"]);
    golden("stage-on", &["after.yaml", CAPTURE, "--against", "after.yaml", "--against-stage", "2"]);
}

/// The same day, as three recorders write it.
#[test]
fn every_format_says_the_same() {
    let of = |policy: &str, capture: &str, unit: &str| {
        let run = ackguard("replay", &["replay", policy, capture, "--against", "after.yaml", "--json"]);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""));
        let mut report: Value =
            serde_json::from_str(&run.stdout.replace(&format!("\"{unit}\":"), "\"line\":")).expect("JSON");
        (report["without_time"].take(), report)
    };
    let (timed, lines) = of("before.yaml", CAPTURE, "line");
    assert_eq!(of("before.yaml", HAR, "entry"), (timed, lines.clone()));
    // The tap filter was not asked for the times.
    assert_eq!(of("before.yaml", TAP, "trace"), (json!(35), lines));
    let limits = |capture: &str, unit: &str| {
        let (_, report) = of("limited.yaml", capture, unit);
        let mut rows = report["policy"]["limits"].as_array().expect("a list").clone();
        // The body of the only request of anonymous is no text, of which a browser saves nothing.
        rows.retain(|row| row["tenant"] != "anonymous");
        rows
    };
    assert_eq!((limits(HAR, "entry"), limits(HAR, "entry").len()), (limits(CAPTURE, "line"), 3));
}

#[test]
fn limits_are_asked_at_the_times_of_the_capture() {
    golden("limits", &["limited.yaml", CAPTURE]);
    golden("limits-against", &["before.yaml", CAPTURE, "--against", "limited.yaml"]);
    golden("limits-untimed", &["limited.yaml", TAP]);
}

/// A line for each publish of so many messages, so many milliseconds after 12 o'clock, on behalf of a tenant.
fn publishes(publishes: &[(u32, &str, usize)]) -> String {
    let line = |(millis, tenant, messages): &(u32, &str, usize)| {
        let body = json!({"messages": vec![json!({"body": "x"}); *messages]}).to_string();
        let headers = json!([["x-dingtalk-mq-appkey", tenant], ["x-forwarded-for", "10.0.0.1, 10.0.0.2"]]);
        let request =
            json!({"method": "POST", "target": "/tmq/v1/topics/a/messages", "headers": headers, "body_text": body});
        let time = format!("2026-11-24T14:00:{:02}.{:03}+02:00", millis / 1_000, millis % 1_000);
        format!("{}\n", json!({"time": time, "request": request}))
    };
    publishes.iter().map(line).collect()
}

/// What `publish` of limited.yaml, 5 messages a second, makes of a capture: who passes and who does not.
fn published(capture: &str) -> Vec<(String, u64, u64)> {
    let run = run(command("replay", &["replay", "limited.yaml", "-", "--json"]), capture.as_bytes());
    let report = run.json();
    let rows = report["policy"]["limits"].as_array().expect("a list").clone();
    let figure = |row: &Value, name: &str| row[name].as_u64().expect("a number");
    rows.iter()
        .filter(|row| row["limit"] == "publish")
        .map(|row| (row["tenant"].as_str().expect("a name").to_owned(), figure(row, "pass"), figure(row, "reject")))
        .collect()
}

#[test]
fn tokens_come_back_as_time_passes_in_the_capture() {
    let steady: Vec<(u32, &str, usize)> = (0..40).map(|index| (index * 200, "a", 1)).collect();
    assert_eq!(published(&publishes(&steady)), [("a".to_owned(), 40, 0)], "five in a second");
    let hasty: Vec<(u32, &str, usize)> = (0..40).map(|index| (index * 100, "a", 1)).collect();
    let [(_, passed, refused)] = published(&publishes(&hasty)).try_into().expect("one tenant");
    assert_eq!((passed, refused), (24, 16), "a burst of 5, and 5 in each of 3.9 seconds");
    let two = publishes(&[(0, "a", 5), (1, "b", 5), (2, "a", 1), (1_002, "a", 5), (1_003, "b", 6)]);
    assert_eq!(published(&two), [("a".to_owned(), 2, 1), ("b".to_owned(), 1, 1)]);
    // One that stands behind a later one is asked at that one's time.
    let unordered = publishes(&[(5_000, "a", 5), (0, "a", 1), (6_000, "a", 5)]);
    assert_eq!(published(&unordered), [("a".to_owned(), 2, 1)]);
}

/// A line of an exchange of the group `g`, so many seconds after 12 o'clock.
fn exchange(second: u32, action: &str, request: Value, response: Value) -> String {
    let time = format!("2026-11-24T12:00:{second:02}Z");
    let target = format!("/tmq/v1/groups/g/consumers/c:{action}");
    let request = json!({"method": "POST", "target": target, "body_text": request.to_string()});
    let response = json!({"status": 200, "body_text": response.to_string()});
    format!("{}\n", json!({"time": time, "request": request, "response": response}))
}

/// A pull of so many messages that brought these receipts.
fn pull(second: u32, messages: u32, receipts: &[&str]) -> String {
    let message = |receipt: &&str| json!({"receipt": receipt, "ackTimeout": 10_000});
    let brought: Vec<Value> = receipts.iter().map(message).collect();
    exchange(second, "pull", json!({"maxMessages": messages, "waitMs": 0}), json!({"messages": brought}))
}

fn ack(second: u32, receipt: &str) -> String {
    exchange(second, "ack", json!({"receipts": [receipt]}), json!({"acked": [receipt], "failed": []}))
}

/// The rows of the limits that a policy with `fields` has for a capture.
fn limits_of(fields: &str, capture: &[String]) -> Value {
    let policy = format!("apiVersion: ackguard/v1\ntraffic: [{{ match: {{ path: '/*' }}, dialect: tmq }}]\n{fields}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, policy).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let report = run(command("replay", &["replay", file, "-", "--json"]), capture.concat().as_bytes()).json();
    report["policy"]["limits"].clone()
}

/// What is in flight comes from the answers: pulls begin leases, acks and time end them.
#[test]
fn a_group_is_held_to_its_bound_by_what_the_capture_s_answers_say() {
    let capture = [
        pull(0, 2, &["a", "b"]),
        pull(1, 2, &["c"]),
        pull(2, 1, &[]),
        ack(3, "a"),
        pull(4, 1, &["d"]),
        pull(20, 3, &[]),
    ];
    let expected = json!([{
        "limit": "max_in_flight", "tenant": "anonymous", "operation": "tmq pull",
        "pass": 3, "edit": 1, "reject": 1, "would_edit": 0, "would_reject": 0,
    }]);
    assert_eq!(limits_of("defaults: { max_in_flight: 3 }\n", &capture), expected);
}

#[test]
fn an_ack_that_the_policy_refuses_frees_nothing() {
    let fields = "defaults: { max_in_flight: 2 }\n\
                  limits: [{ name: acks, operations: [ack], rate: 1/h, burst: 1 }]\n";
    let capture = [pull(0, 2, &["a", "b"]), ack(1, "a"), ack(2, "b"), pull(3, 1, &["c"]), pull(4, 1, &["d"])];
    let row = |limit: &str, operation: &str, pass: u32| {
        json!({"limit": limit, "tenant": "anonymous", "operation": operation,
               "pass": pass, "edit": 0, "reject": 1, "would_edit": 0, "would_reject": 0})
    };
    let expected = json!([row("acks", "tmq ack", 1), row("max_in_flight", "tmq pull", 2)]);
    assert_eq!(limits_of(fields, &capture), expected);
}

#[test]
fn a_limit_by_client_takes_the_address_that_the_last_proxy_noted() {
    let policy = "apiVersion: ackguard/v1\ntraffic: [{ match: { path: '/*' }, dialect: tmq }]\n\
                  limits: [{ name: c, operations: [publish], key: [client], rate: 1/s }]\n";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, policy).expect("a file");
    let from = |addresses: &str, body: &str| {
        let time = "2026-11-24T14:00:00.5Z";
        let headers = [(":method", "POST"), (":path", "/tmq/v1/topics/a/messages"), ("x-forwarded-for", addresses)];
        let headers: Vec<Value> = headers.map(|(key, value)| json!({"key": key, "value": value})).into();
        let request = json!({"headers": headers, "headers_received_time": time, "body": {"as_string": body}});
        format!("{}\n", json!({"http_buffered_trace": {"request": request}}))
    };
    // Of an IPv6 address its /64.
    let addresses = ["10.0.0.9, 10.0.0.1", "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"];
    let capture = addresses.map(|addresses| from(addresses, "{}"));
    let file = file.to_str().expect("UTF-8");
    let report = run(command("replay", &["replay", file, "-", "--json"]), capture.concat().as_bytes()).json();
    assert_eq!((&report["without_time"], &report["requests"]), (&json!(0), &json!(6)));
    let row = &report["policy"]["limits"][0];
    assert_eq!((&row["pass"], &row["reject"]), (&json!(4), &json!(2)), "{row}");
}

/// What a recorder cut short is judged where its body counts for nothing, and told where it would count.
#[test]
fn a_body_that_was_cut_short_is_not_judged() {
    let trace = |path: &str| {
        let header = |key: &str, value: &str| json!({"key": key, "value": value});
        let headers = [header(":method", "POST"), header(":path", path)];
        json!({"http_buffered_trace": {"request": {"headers": headers, "body": {"as_string": "{", "truncated": true}}}})
    };
    let paths = ["/tmq/v1/topics/a/messages", "/tmq/v1/groups/a/consumers", "/healthz"];
    let text = paths.map(|path| format!("{:#}\n", trace(path))).concat();
    let told = run(command("replay", &["replay", "before.yaml", "-"]), text.as_bytes());
    assert_eq!((told.status, told.stderr.as_str()), (0, "trace 2: the recorder cut the request's body short\n"));
    assert!(told.stdout.starts_with("2 requests, 1 of them foreign; 1 trace could not be read\n"), "{}", told.stdout);
    // One of two policies counts the messages of a publish.
    let told = run(command("replay", &["replay", "before.yaml", "-", "--against", "limited.yaml"]), text.as_bytes());
    let cut = "the recorder cut the request's body short";
    assert_eq!((told.status, told.stderr), (0, format!("trace 1: {cut}\ntrace 2: {cut}\n")));
    assert!(told.stdout.starts_with("1 request, 1 of them foreign; 2 traces could not be read\n"), "{}", told.stdout);
}

/// What is left of an answer is charged, and that there was more is told where it would count.
#[test]
fn answers_that_were_cut_short_are_told() {
    let header = |key: &str, value: &str| json!({"key": key, "value": value});
    let headers = [header(":method", "POST"), header(":path", "/tmq/v1/groups/g/consumers/c:pull")];
    let request = json!({"headers": headers, "headers_received_time": "2026-11-24T12:00:00Z"});
    let body = json!({"as_string": "{\"messages\":[{\"receipt\":", "truncated": true});
    let response = json!({"headers": [header(":status", "200")], "body": body});
    let text = json!({"http_buffered_trace": {"request": request, "response": response}}).to_string();
    let told = |policy: &str| run(command("replay", &["replay", policy, "-"]), text.as_bytes());
    let line = "Limits count only what the recorder has left of 1 answer.";
    assert!(told("limited.yaml").stdout.contains(line), "{:?}", told("limited.yaml"));
    assert!(!told("before.yaml").stdout.contains(line), "{:?}", told("before.yaml"));
    let report = run(command("replay", &["replay", "before.yaml", "-", "--json"]), text.as_bytes()).json();
    assert_eq!(report["answers_cut_short"], 1);
}

#[test]
fn machines_get_the_same_as_people() {
    let report = ackguard("replay", &["replay", "before.yaml", CAPTURE, "--against", "after.yaml", "--json"]).json();
    assert_eq!((&report["requests"], &report["foreign"], &report["unreadable"]), (&json!(35), &json!(1), &json!(0)));
    let changes = report["against"]["changes"].as_array().expect("a list");
    let zero = changes.iter().find(|change| change["after"]["decision"] == "reject").expect("the incident");
    assert_eq!(zero["before"], json!({"rule": "payments", "limit": null, "decision": "edit"}));
    assert_eq!((&zero["tenant"], &zero["examples"][0]["line"]), (&json!("pay-1"), &json!(8)));
    let rows = report["policy"]["rows"].as_array().expect("a list");
    let sum = |decision: &str| rows.iter().filter_map(|row| row[decision].as_u64()).sum::<u64>();
    assert_eq!(json!(sum("edit")), report["policy"]["decisions"]["edit"]);
    assert_eq!(sum("pass") + sum("edit") + sum("reject"), 34, "all but the foreign one");
}

/// A pull names no topic; the answer to its consumer's subscription came before.
#[test]
fn answered_subscriptions_teach_the_topics_of_pulls() {
    let capture = std::fs::read_to_string(folder().join("captures/tmq.jsonl")).expect("the capture");
    let pulls_of_payments = |text: &str| {
        let run = run(command("replay", &["replay", "before.yaml", "-", "--json"]), text.as_bytes());
        let report = run.json();
        let rows = report["policy"]["rows"].as_array().expect("a list").clone();
        let rule = |row: &Value| row["operation"] == "tmq pull" && row["rule"] == "payments";
        rows.iter().filter(|row| rule(row)).count()
    };
    assert_eq!(pulls_of_payments(&capture), 1);
    let without: Vec<&str> = capture.lines().filter(|line| !line.contains("\"state\\\":\\\"Created")).collect();
    assert_eq!(pulls_of_payments(&without.join("\n")), 0);
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    let good = r#"{"request":{"method":"GET","target":"/healthz"}}"#;
    let text = format!(
        "{good}\n\nno json\n{good}\n{{\"request\":{{\"method\":\"GET\",\"target\":\"/\",\"body_b64\":\"?\"}}}}\n"
    );
    let told = run(command("replay", &["replay", "before.yaml", "-"]), text.as_bytes());
    assert_eq!(told.status, 0);
    let lines: Vec<&str> = told.stderr.lines().collect();
    assert!(
        matches!(lines.as_slice(), [one, two] if one.starts_with("line 3: ") && two.starts_with("line 5: request.body_b64: ")),
        "{lines:?}"
    );
    assert!(told.stdout.starts_with("2 requests, 2 of them foreign; 2 lines could not be read\n"), "{}", told.stdout);
    for nothing in [
        "",
        "no json\n",
        r#"{"log": {"entries": [{}]}}"#,
        r#"{"log": {"#,
        r#"{"log": {"entries": 1}}"#,
        r#"{"http_buffered_trace": 1"#,
    ] {
        let told = run(command("replay", &["replay", "before.yaml", "-"]), nothing.as_bytes());
        assert_eq!((told.status, told.stdout.as_str()), (2, ""), "{nothing}");
        assert!(told.stderr.ends_with("error: -: no record in it can be read\n"), "{}", told.stderr);
    }
    let many =
        run(command("replay", &["replay", "before.yaml", "-"]), format!("{good}\n{}", "x\n".repeat(15)).as_bytes());
    assert_eq!((many.status, many.stderr.lines().last()), (0, Some("and 5 more that cannot be read")));
}

/// 32 MiB of capture through a program that may have 24 MiB of memory.
#[test]
fn a_capture_may_be_larger_than_memory() {
    const RECORDS: usize = 128;
    let body = "x".repeat(256 * 1024);
    let jsonl = format!(
        "{{\"request\":{{\"method\":\"POST\",\"target\":\"/tmq/v1/topics/a/messages\",\"body_text\":\"{body}\"}}}}\n"
    );
    let entry =
        format!("{{\"request\":{{\"method\":\"POST\",\"url\":\"http://a/\",\"postData\":{{\"text\":\"{body}\"}}}}}}");
    let har = |index: usize| format!("{}{entry}", if index == 0 { "{\"log\":{\"entries\":[" } else { "," });
    let formats: [(&dyn Fn(usize) -> String, &str); 2] = [(&|_| jsonl.clone(), ""), (&har, "]}}")];
    for (record, end) in formats {
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -v 24576 && exec \"$0\" replay before.yaml -", env!("CARGO_BIN_EXE_ackguard")])
            .current_dir(folder().join("replay"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut stdin = child.stdin.take().expect("a pipe");
        for index in 0..RECORDS {
            stdin.write_all(record(index).as_bytes()).expect("a reader");
        }
        stdin.write_all(end.as_bytes()).expect("a reader");
        drop(stdin);
        let output = child.wait_with_output().expect("its end");
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success() && told.starts_with(&format!("{RECORDS} requests, ")), "{told}");
    }
}
