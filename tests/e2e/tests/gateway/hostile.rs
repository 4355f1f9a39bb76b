//! No input traps the VM: the same workers, and the same VMs, serve after all of it.

use e2e::client::Http1Client;
use e2e::gateway::in_both_modes;
use e2e::message::excerpt;
use e2e::request::Request;

/// Requests that somebody might send to do harm. Each gets an answer, the gateway's, the upstream's or Envoy's.
fn hostile() -> Vec<Vec<u8>> {
    let subscribe = || Request::subscribe("g");
    let post = |path: &str| Request::new("POST", path);
    let mut requests: Vec<Vec<u8>> = Vec::new();
    let bodies: [&[u8]; 16] = [
        b"",
        b"{",
        b"{}",
        b"null",
        b"\0",
        b"\xFF\xFE\xFD",
        b"{\"topic\":",
        b"{\"topic\":\"\\u\"}",
        b"{\"topic\":\"\\ud800\\ud800\"}",
        b"{\"\\ud800\":1,\"topic\":\"x\"}",
        b"{\"topic\":\"\",\"ackTimeout\":-99999999999999999999999}",
        b"{\"topic\":\"x\",\"ackTimeout\":-}",
        b"{\"topic\":\"x\",\"maxReconsumeTimes\":-9223372036854775808}",
        b"{\"topic\":\"x\",\"ackTimeout\":9223372036854775807}",
        b"{\"topic\":\"\xF0\x9F\x98\"}",
        b"{\"topic\":\"x\",\"ackTimeout\":0}\0",
    ];
    requests.extend(bodies.iter().map(|body| subscribe().body(body)));
    requests.extend(bodies.iter().map(|body| Request::consumer("g", "heartbeat").body(body)));
    for bytes in ["[", "{\"a\":", "\"\\", "-", "\u{feff}"] {
        requests.push(subscribe().body(bytes.repeat(80_000 / bytes.len())));
        requests.push(subscribe().body(format!("{{\"topic\":{}", bytes.repeat(80_000 / bytes.len()))));
    }
    for segment in ["%", "%4", "%zz", "%00", "%FF", "%C3%28", ":", "c1:", ":pull", "%3A", "..", "%2e%2e", "*"] {
        for path in [
            format!("/tmq/v1/groups/{segment}/consumers"),
            format!("/tmq/v1/groups/g/consumers/{segment}"),
            format!("/tmq/v1/topics/{segment}"),
            format!("/tmq/v1/transactions/{segment}"),
            format!("/tmq/{segment}"),
        ] {
            requests.push(post(&path).body("{}"));
        }
    }
    let long = "g".repeat(30_000);
    requests.push(post(&format!("/tmq/v1/groups/{long}/consumers")).body(r#"{"topic":"x"}"#));
    requests.push(post(&format!("/tmq/v1/groups/g/consumers/{long}:pull")).body(r#"{"ackTimeout":0}"#));
    for (name, value) in [
        ("content-encoding", &b"\xFF\xFE"[..]),
        ("x-dingtalk-mq-appkey", b"\xFF\xC0\x80"),
        ("x-request-id", b"\xFF\xFE"),
        ("x-ackguard-\u{7f}", b"1"),
        ("content-length", b"-1"),
        ("content-length", b"99999999999999999999999999"),
        ("transfer-encoding", b"gzip, chunked"),
    ] {
        requests.push(subscribe().header(name, value).body(r#"{"topic":"x","autoAck":true}"#));
    }
    let mut headers = subscribe();
    for index in 0..90 {
        headers = headers.header(&format!("x-ackguard-{index}"), "1");
    }
    requests.push(headers.body(r#"{"topic":"x","ackTimeout":0}"#));
    requests.push(subscribe().chunked([&b"{"[..], b"\xFF", b"}"]));
    requests.push([subscribe().header("transfer-encoding", "chunked").bodiless(), b"zz\r\n".to_vec()].concat());
    requests
}

#[tokio::test]
async fn no_input_traps_a_vm() {
    let requests = hostile();
    in_both_modes(
        |setup| {
            setup.policy(|policy| {
                policy["rules"] = serde_json::json!([
                    { "name": "odd", "match": { "tenant": "*?*", "group": "*g*g*g*g*", "topic": "*x" } },
                ])
            })
        },
        async |gateway| {
            for request in &requests {
                let mut client = Http1Client::open(gateway.envoy.guarded()).await;
                client.send(request).await;
                let status = client.response().await.head.status();
                assert!(status < 500, "{status} to {}", excerpt(request));
                gateway.upstream.forget();
            }
        },
    )
    .await;
}
