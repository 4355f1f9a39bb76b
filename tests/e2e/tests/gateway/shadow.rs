//! Shadow mode decides and counts, and changes nothing.

use std::time::Instant;

use e2e::case::check_identical;
use e2e::client::Http1Client;
use e2e::gateway::{Setup, in_both_modes};
use e2e::request::Request;
use stack::HostMode;

#[tokio::test]
async fn what_would_be_done_is_counted_and_logged_and_not_done() {
    let violating = r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#;
    let refused = r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d","autoAck":true}"#;
    let in_bounds = r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d"}"#;
    let large = "x".repeat(300 * 1024);
    let subscribe = Request::subscribe("g");
    let coded = subscribe.clone().header("content-encoding", "gzip");
    let chunks = large.as_bytes().chunks(32 * 1024);
    let requests = [
        ("edit", subscribe.body(violating)),
        ("reject", subscribe.body(refused)),
        ("pass", subscribe.body(in_bounds)),
        ("reject", subscribe.body("{")),
        ("reject", coded.body(violating)),
        ("reject", subscribe.body(&large)),
        ("edit", Request::consumer("g", "pull").body(r#"{"ackTimeout":0}"#)),
    ];
    in_both_modes(
        |setup| setup.policy(|policy| policy["mode"] = "shadow".into()),
        async |gateway| {
            for (decision, request) in &requests {
                let response = gateway.guarded(request).await;
                assert_eq!((response.head.status(), response.header("x-ackguard")), (200, None), "{decision}");
                let received = gateway.upstream.take().await;
                check_identical(decision, &received, &gateway.reference(request).await);
            }
            gateway.guarded(&subscribe.chunked(chunks.clone())).await;
            assert_eq!(gateway.upstream.take().await.body, large.as_bytes());

            let count = async |operation: &str, decision: &str| {
                let name = format!("ackguard_requests_total;dialect=tmq;operation={operation};decision={decision}");
                gateway.count(&name).await
            };
            assert_eq!(count("subscribe", "would_edit").await, 1);
            assert_eq!(count("subscribe", "would_reject").await, 5);
            assert_eq!(count("subscribe", "pass").await, 1);
            assert_eq!(count("pull", "would_edit").await, 1);
            for done in ["edit", "reject"] {
                assert_eq!(count("subscribe", done).await, 0, "{done}");
            }
            let violation =
                "ackguard_violations_total;dialect=tmq;field=ack_timeout;kind=zero;action=clamp;rule=defaults";
            assert_eq!(gateway.count(violation).await, 2);
            for line in [
                "ackguard: shadow: subscribe: clamp; field=ackTimeout; from=0; to=10000; rule=defaults; policy=1",
                "ackguard: shadow: subscribe: reject; field=autoAck; from=true; rule=defaults; policy=1",
                "ackguard: shadow: subscribe: reject; reason=too_large; rule=defaults; policy=1",
                "ackguard: shadow: pull: clamp; field=ackTimeout; from=0; to=10000; rule=defaults; policy=1",
            ] {
                gateway.envoy.log_contains(line).await.unwrap_or_else(|error| panic!("{error}"));
            }
        },
    )
    .await;
}

#[tokio::test]
async fn many_violations_write_few_lines_and_are_all_counted() {
    const REQUESTS: u64 = 300;
    let violating = Request::subscribe("g").body(r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#);
    let shadow = Setup::new(HostMode::Held).policy(|policy| policy["mode"] = "shadow".into());
    let gateway = shadow.start().await;
    let mut client = Http1Client::open(gateway.envoy.guarded()).await;
    let began = Instant::now();
    for _ in 0..REQUESTS {
        client.send(&violating).await;
        assert_eq!(client.response_to("POST").await.head.status(), 200);
        gateway.upstream.take().await;
    }
    let seconds = began.elapsed().as_secs() + 2;
    let counted = "ackguard_requests_total;dialect=tmq;operation=subscribe;decision=would_edit";
    assert_eq!(gateway.count(counted).await, REQUESTS);
    let lines = gateway.envoy.log().lines().filter(|line| line.contains("ackguard: shadow: ")).count() as u64;
    // One connection is on one worker, which writes ten lines a second.
    assert!((1..=10 * seconds).contains(&lines), "{lines} lines in {seconds} s");
    gateway.finish().await;
}

#[tokio::test]
async fn a_rule_in_shadow_is_counted_beside_the_one_that_decides() {
    let rules = serde_json::json!([
        { "name": "strict", "mode": "shadow", "match": { "group": "g*" }, "ack_timeout": { "zero": "reject" } },
        { "name": "wide", "match": { "group": "g" }, "ack_timeout": { "default": "12s" } },
    ]);
    let violating = r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#;
    in_both_modes(
        |setup| setup.policy(|policy| policy["rules"] = rules.clone()),
        async |gateway| {
            let response = gateway.guarded(&Request::subscribe("g").body(violating)).await;
            let told = "clamp; field=ackTimeout; from=0; to=12000; rule=wide; policy=1";
            assert_eq!(response.header("x-ackguard").as_deref(), Some(told));
            let edited = r#"{"topic":"orders","ackTimeout":12000,"deadLetterTopic":"d"}"#;
            assert_eq!(gateway.upstream.take().await.text(), edited);
            let labels = "dialect=tmq;operation=subscribe;decision";
            let violation = "dialect=tmq;field=ack_timeout;kind=zero;action";
            for (name, count) in [
                (format!("ackguard_requests_total;{labels}=edit"), 1),
                (format!("ackguard_requests_total;{labels}=reject"), 0),
                (format!("ackguard_violations_total;{violation}=clamp;rule=wide"), 1),
                (format!("ackguard_shadow_requests_total;scope=rule;{labels}=would_reject"), 1),
                (format!("ackguard_shadow_violations_total;scope=rule;{violation}=reject;rule=strict"), 1),
            ] {
                assert_eq!(gateway.count(&name).await, count, "{name}");
            }
            let line = "ackguard: shadow rule: subscribe: reject; field=ackTimeout; from=0; rule=strict; policy=1";
            gateway.envoy.log_contains(line).await.unwrap_or_else(|error| panic!("{error}"));
        },
    )
    .await;
}
