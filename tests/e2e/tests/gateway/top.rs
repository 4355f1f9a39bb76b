//! `ackguard top --once` tells what the filter of a running Envoy has counted, and how fast.

use std::process::Output;

use e2e::gateway::{Gateway, Setup};
use e2e::request::Request;
use serde_json::json;
use stack::{HostMode, until};
use tokio::process::Command;

/// A frame over an interval of half a second.
fn top(admin: &str) -> Command {
    let program = stack::program("ackguard").unwrap_or_else(|missing| panic!("{missing}"));
    let mut command = Command::new(program);
    command.args(["top", "--once", "--every", "500ms", "--admin", admin]);
    command
}

/// A subscription whose ack timeout is zero, of a tenant whose name the filter has to encode.
async fn subscribe(gateway: &Gateway) {
    let request = Request::subscribe("g").header("x-dingtalk-mq-appkey", "消息 7");
    let body = json!({ "topic": "orders", "ackTimeout": 0, "deadLetterTopic": "d" }).to_string();
    let response = gateway.guarded(&request.body(body)).await;
    assert_eq!(response.head.status(), 200, "{response:?}");
    gateway.upstream.take().await;
}

/// The frame that is printed while subscriptions arrive.
async fn frame_under_traffic(gateway: &Gateway, admin: &str) -> String {
    let mut program = top(admin);
    let frame = tokio::spawn(async move { program.output().await.expect("the program runs") });
    while !frame.is_finished() {
        subscribe(gateway).await;
    }
    let Output { status, stdout, stderr } = frame.await.expect("no panic");
    assert_eq!((status.code(), String::from_utf8_lossy(&stderr).as_ref()), (Some(0), ""));
    String::from_utf8(stdout).expect("UTF-8")
}

/// The cells of the row that begins with these, without them.
fn row<'f>(frame: &'f str, begin: &[&str]) -> Vec<&'f str> {
    let cells = |line: &'f str| line.split_whitespace().collect::<Vec<_>>();
    let found = frame.lines().map(cells).find_map(|cells| {
        let at = cells.windows(begin.len()).position(|window| window == begin)?;
        Some(cells[at + begin.len()..].to_vec())
    });
    found.unwrap_or_else(|| panic!("no {begin:?} in {frame}"))
}

fn is_counted(rate: &str) -> bool {
    rate.parse::<f64>().is_ok_and(|rate| rate > 0.0)
}

#[tokio::test]
async fn a_frame_has_what_the_filter_counts_and_how_fast() {
    let gateway = Setup::new(HostMode::Streamed).start().await;
    let admin = format!("http://{}", gateway.envoy.admin());
    subscribe(&gateway).await;
    // Envoy hands over durations some seconds later.
    let frame = until("durations in a frame", async || {
        let frame = frame_under_traffic(&gateway, &admin).await;
        row(&frame, &["tmq", "subscribe"])[6].ends_with('s').then_some(frame)
    });
    let frame = frame.await.expect("a frame");
    assert!(frame.starts_with(&format!("ackguard top  {admin}  Envoy 1.")), "{frame}");
    assert!(frame.contains("policy 1 enforce  no roll-out\n"), "{frame}");
    let operation = row(&frame, &["tmq", "subscribe"]);
    let [all, pass, edit, reject, would_edit, would_reject, half, p99, timeouts, total] = operation[..] else {
        panic!("{operation:?}");
    };
    assert!(is_counted(all) && all == edit, "{operation:?}");
    assert_eq!([pass, reject, would_edit, would_reject, timeouts], ["0"; 5], "{operation:?}");
    assert!(half.ends_with('s') && p99.ends_with('s'), "{operation:?}");
    let violation = row(&frame, &["ack_timeout", "zero", "clamp", "defaults"]);
    assert!(is_counted(violation[0]) && violation[1] == total, "{frame}");
    let tenant = row(&frame, &["消息", "7"]);
    assert!(is_counted(tenant[0]) && tenant[1] == total, "{frame}");
    gateway.finish().await;

    let output = top(&admin).output().await.expect("the program runs");
    assert_eq!(output.status.code(), Some(2), "Envoy is gone: {output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with(&format!("error: {admin}: /stats: ")), "{stderr}");
}
