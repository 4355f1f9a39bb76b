//! Which rule holds: by tenant, topic, group and dialect; the first that matches wins.

use e2e::gateway::{Setup, in_both_modes};
use e2e::message::Message;
use e2e::request::Request;
use e2e::upstream::Answer;
use serde_json::{Value, json};
use stack::HostMode;

/// A rule by which a zero ack timeout comes to `clamped`.
fn rule(name: &str, matches: Value, clamped: &str) -> Value {
    json!({ "name": name, "match": matches, "ack_timeout": { "default": clamped } })
}

fn subscribe(group: &str, topic: &str) -> (Request, Vec<u8>) {
    (Request::subscribe(group), format!(r#"{{"topic":"{topic}","ackTimeout":0,"deadLetterTopic":"d"}}"#).into())
}

/// What `x-ackguard` says where `rule` clamps zero to `to`.
fn told(rule: &str, to: u32) -> Option<String> {
    Some(format!("clamp; field=ackTimeout; from=0; to={to}; rule={rule}; policy=1"))
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_and_leaves_the_rest_to_the_defaults() {
    let rules = json!([
        rule("payments", json!({ "tenant": "pay-*", "topic": "orders*" }), "11s"),
        rule("payments-else", json!({ "tenant": "pay-*" }), "12s"),
        rule("one-letter", json!({ "tenant": "app-?" }), "13s"),
        rule("unicode", json!({ "tenant": "zahlung-ä" }), "14s"),
        rule("broken-unicode", json!({ "tenant": "bad-\u{FFFD}*" }), "15s"),
        rule("audit", json!({ "group": "audit*", "dialect": "tmq" }), "16s"),
        rule("stock", json!({ "topic": "stock" }), "17s"),
        rule("stock-again", json!({ "topic": "stock" }), "18s"),
        rule("nobody", json!({ "tenant": "anonymous", "group": "*", "topic": "late" }), "19s"),
    ]);
    let tenant = |value: &[u8]| Some(value.to_vec());
    let cases = [
        (tenant(b"pay-eu"), "g", "orders.eu", "payments", 11_000),
        (tenant(b"pay-eu"), "g", "stock", "payments-else", 12_000),
        (tenant(b"pay-eu"), "audit-1", "x", "payments-else", 12_000),
        (tenant(b"app-1"), "g", "x", "one-letter", 13_000),
        (tenant(b"app-12"), "g", "x", "defaults", 10_000),
        (tenant("zahlung-ä".as_bytes()), "g", "x", "unicode", 14_000),
        (tenant(b"bad-\xFF-1"), "g", "x", "broken-unicode", 15_000),
        (tenant(b""), "g", "late", "nobody", 19_000),
        (tenant(b"x-pay-eu"), "g", "x", "defaults", 10_000),
        (None, "audit-1", "x", "audit", 16_000),
        (None, "audit-1", "stock", "audit", 16_000),
        (None, "g", "stock", "stock", 17_000),
        (None, "g", "late", "nobody", 19_000),
        (None, "g", "x", "defaults", 10_000),
    ];
    in_both_modes(
        |setup| setup.policy(|policy| policy["rules"] = rules.clone()),
        async |gateway| {
            for (tenant, group, topic, rule, to) in &cases {
                let (mut request, body) = subscribe(group, topic);
                if let Some(tenant) = tenant {
                    request = request.header("x-dingtalk-mq-appkey", tenant);
                }
                let response = gateway.guarded(&request.body(&body)).await;
                assert_eq!(response.header("x-ackguard"), told(rule, *to), "{tenant:?} {group} {topic}");
                let received = gateway.upstream.take().await;
                assert_eq!(received.head.headers.get("x-dingtalk-mq-appkey"), tenant.as_deref(), "{tenant:?}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_tenant_may_be_a_property_of_the_connection() {
    let gateway = Setup::new(HostMode::Held).policy(|policy| {
        policy["tenant"] = json!([{ "header": "x-tenant" }, { "property": "source.address" }]);
        policy["rules"] = json!([
            rule("header", json!({ "tenant": "named" }), "11s"),
            rule("local", json!({ "tenant": "127.0.0.1:*" }), "12s")
        ]);
    });
    let gateway = gateway.start().await;
    let (request, body) = subscribe("g", "x");
    for (request, told) in
        [(request.clone().header("x-tenant", "named"), told("header", 11_000)), (request, told("local", 12_000))]
    {
        assert_eq!(gateway.guarded(&request.body(&body)).await.header("x-ackguard"), told);
        gateway.upstream.take().await;
    }
    gateway.finish().await;
}

/// The answer to a subscribe names the consumer `c1`, as a broker's does.
fn consumer_c1(request: &Message) -> Answer {
    Answer { trailers: Vec::new(), ..consumer_c1_and_trailers(request) }
}

/// The same with trailers behind it.
fn consumer_c1_and_trailers(_request: &Message) -> Answer {
    Answer {
        headers: Vec::new(),
        body: br#"{"consumerId":"c1","state":"Created"}"#.to_vec(),
        trailers: vec![("x-end", "1")],
    }
}

#[tokio::test]
async fn a_rule_by_topic_holds_at_the_consumers_pulls_on_every_worker() {
    let rules = json!([rule("stock", json!({ "topic": "stock" }), "17s")]);
    in_both_modes(
        |setup| setup.policy(|policy| policy["rules"] = rules.clone()).script(consumer_c1),
        async |gateway| {
            for (group, topic) in [("g", "stock"), ("h", "orders")] {
                let (request, body) = subscribe(group, topic);
                gateway.guarded(&request.body(&body)).await;
                gateway.upstream.take().await;
            }
            let pull = |group| Request::consumer(group, "pull").body(r#"{"ackTimeout":0}"#);
            for (group, told) in [("g", told("stock", 17_000)), ("h", told("defaults", 10_000))] {
                for response in gateway.by_every_worker(&pull(group)).await {
                    assert_eq!(response.header("x-ackguard"), told, "{group}");
                    gateway.upstream.take().await;
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_rule_by_topic_holds_where_the_answer_has_trailers_and_where_the_pull_cannot_be_read() {
    let mut stock = rule("stock", json!({ "topic": "stock" }), "17s");
    stock["undecidable"] = "reject".into();
    in_both_modes(
        |setup| {
            setup.script(consumer_c1_and_trailers).policy(|policy| {
                policy["defaults"]["undecidable"] = "forward".into();
                policy["rules"] = json!([stock]);
            })
        },
        async |gateway| {
            let (request, body) = subscribe("g", "stock");
            gateway.guarded(&request.body(&body)).await;
            gateway.upstream.take().await;
            let pull = Request::consumer("g", "pull");
            let response = gateway.guarded(&pull.body(r#"{"ackTimeout":0}"#)).await;
            assert_eq!(response.header("x-ackguard"), told("stock", 17_000));
            gateway.upstream.take().await;
            for (unreadable, reason) in [
                (pull.body("{"), "reason=malformed"),
                (pull.clone().header("content-encoding", "gzip").body("{}"), "field=Content-Encoding; reason=encoding"),
            ] {
                let response = gateway.guarded(&unreadable).await;
                let told = format!("reject; {reason}; rule=stock; policy=1");
                assert_eq!((response.head.status(), response.header("x-ackguard")), (400, Some(told)));
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_consumer_that_cannot_be_remembered_is_counted() {
    in_both_modes(
        |setup| setup.policy(|policy| policy["rules"] = json!([rule("stock", json!({ "topic": "stock" }), "17s")])),
        async |gateway| {
            // The upstream's answer names no consumer.
            let (request, body) = subscribe("g", "stock");
            gateway.guarded(&request.body(&body)).await;
            gateway.upstream.take().await;
            assert_eq!(gateway.count("ackguard_evictions_total;table=subscriptions").await, 1);
        },
    )
    .await;
}
