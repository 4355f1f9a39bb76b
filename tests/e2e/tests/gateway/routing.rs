//! Which operation a request is: as the broker reads its path, whatever its spelling.

use e2e::gateway::in_both_modes;
use e2e::request::{REQUEST_ID, Request};
use serde_json::json;

const BODY: &str = r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#;
const EDITED: &str = r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d"}"#;

#[tokio::test]
async fn another_spelling_of_a_path_is_no_way_around_the_policy() {
    let cases = [
        ("/tmq/v1/groups/g1/consumers", "g1"),
        ("/tmq/v1/groups/g1/consumers?retry=1", "g1"),
        ("/tmq/v1/groups/g1/consumers?", "g1"),
        ("/tmq/v1/groups/g%31/consumers", "g1"),
        ("/%74mq/v1/groups/g1/consumers", "g1"),
        ("/tmq/v%31/%67roups/%671/consumer%73", "g1"),
        ("/tmq/v1/groups/g1/consumers/c1:pull", "g1"),
        ("/tmq/v1/groups/g1/consumers/c1%3Apull", "g1"),
        ("/tmq/v1/groups/g1/consumers/c1%3apull", "g1"),
        ("/tmq/v1/groups/g1/consumers/c1:%70ull", "g1"),
        ("/tmq/v1/groups/g1/consumers/c:1:pull", "g1"),
        ("/tmq/v1/groups/a%2Fb/consumers", "slash"),
        ("/tmq/v1/groups/gr%C3%BCn/consumers", "unicode"),
        ("/tmq/v1/groups/g%FF/consumers", "defaults"),
        ("http://queue.test/tmq/v1/groups/g1/consumers", "g1"),
    ];
    let rules = json!([
        { "name": "g1", "match": { "group": "g1" } },
        { "name": "slash", "match": { "group": "a/b" } },
        { "name": "unicode", "match": { "group": "grün" } },
    ]);
    in_both_modes(
        |setup| setup.policy(|policy| policy["rules"] = rules.clone()),
        async |gateway| {
            for (path, rule) in cases {
                let response = gateway.guarded(&Request::new("POST", path).body(BODY)).await;
                let told = format!("clamp; field=ackTimeout; from=0; to=10000; rule={rule}; policy=1");
                assert_eq!(response.header("x-ackguard"), Some(told), "{path}: {response:?}");
                let received = gateway.upstream.take().await;
                assert_eq!(received.text(), EDITED, "{path}");
                assert_eq!(received.head.path(), path.trim_start_matches("http://queue.test"), "the path as it came");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn what_the_protocol_does_not_define_passes_untouched_and_is_counted() {
    let unknown = [
        ("POST", "/tmq/v2/groups/g1/consumers"),
        ("POST", "/tmq/v1/groups//consumers"),
        ("POST", "/tmq/v1/groups/g1/consumers/"),
        ("POST", "/tmq/v1/groups/g1/consumers/c1:fly"),
        ("POST", "/tmq/v1/groups/g1/consumers/c1"),
        ("POST", "/tmq/v1//groups/g1/consumers"),
        ("PUT", "/tmq/v1/groups/g1/consumers"),
        ("POST", "/tmq/v1/Groups/g1/consumers"),
        ("DELETE", "/tmq/v1/topics/orders"),
        ("POST", "/tmq/"),
    ];
    let elsewhere = ["/tmqv1/groups/g1/consumers", "/TMQ/v1/groups/g1/consumers", "//tmq/v1/groups/g1/consumers", "/"];
    in_both_modes(
        |setup| setup,
        async |gateway| {
            for (method, path) in unknown.into_iter().chain(elsewhere.map(|path| ("POST", path))) {
                let request = Request::new(method, path).body(BODY);
                let response = gateway.guarded(&request).await;
                assert_eq!(response.header("x-ackguard"), None, "{path}");
                let received = gateway.upstream.take().await;
                e2e::case::check_identical(path, &received, &gateway.reference(&request).await);
            }
            let counted = gateway.count("ackguard_requests_total;dialect=tmq;operation=unknown;decision=pass").await;
            assert_eq!(counted, unknown.len() as u64);
        },
    )
    .await;
}

#[tokio::test]
async fn the_request_id_in_a_refusal_is_the_gateways_own_where_the_client_sent_none() {
    let refused = |head: &str| {
        let body = r#"{"topic":"orders","autoAck":true}"#;
        format!(
            "POST /tmq/v1/groups/g/consumers HTTP/1.1\r\nhost: q\r\n{head}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    in_both_modes(
        |setup| setup,
        async |gateway| {
            let id = async |head: &str| {
                let response = gateway.guarded(refused(head).as_bytes()).await;
                assert_eq!(response.head.status(), 400);
                response.header("x-dingtalk-mq-request-id").expect("an id in every response")
            };
            assert_eq!(id(&format!("x-request-id: {REQUEST_ID}\r\n")).await, REQUEST_ID);
            assert!(!id("x-request-id: \u{e9}\r\n").await.is_empty(), "an id that is no ASCII");
            let latin1 = refused("x-request-id: ?\r\n").into_bytes();
            let latin1: Vec<u8> = latin1.into_iter().map(|byte| if byte == b'?' { 0xE9 } else { byte }).collect();
            let told = gateway.guarded(&latin1).await.header("x-dingtalk-mq-request-id");
            assert!(told.is_some(), "an id that is not UTF-8");
            let (one, other) = (id("").await, id("").await);
            assert!(!one.is_empty() && one != other, "{one} and {other}");
        },
    )
    .await;
}
