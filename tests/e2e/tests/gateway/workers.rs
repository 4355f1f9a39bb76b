//! Both workers take part.

use e2e::gateway::{WORKERS, in_both_modes};
use e2e::request::Request;

#[tokio::test]
async fn every_worker_decides_alike() {
    let requests = [
        (
            r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#,
            200,
            "clamp; field=ackTimeout; from=0; to=10000",
        ),
        (r#"{"topic":"orders","ackTimeout":10000,"autoAck":true}"#, 400, "reject; field=autoAck; from=true"),
        ("{", 400, "reject; reason=malformed"),
    ];
    in_both_modes(
        |setup| setup,
        async |gateway| {
            for (body, status, told) in requests {
                let responses = gateway.by_every_worker(&Request::subscribe("g").body(body)).await;
                assert!(responses.len() >= WORKERS as usize);
                for response in responses {
                    assert_eq!(response.head.status(), status);
                    let told = format!("{told}; rule=defaults; policy=1");
                    assert_eq!(response.header("x-ackguard"), Some(told));
                }
                let counted = gateway.envoy.stats("ackguard_requests_total.*subscribe").await.expect("Envoy's admin");
                assert!(counted.values().sum::<u64>() >= u64::from(WORKERS), "{counted:?}");
            }
            gateway.upstream.forget();
        },
    )
    .await;
}
