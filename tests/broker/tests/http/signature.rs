//! Signed requests over the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::Request;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tmq_broker::Semantics::Fixed;

use crate::client::Broker;

fn signed(broker: &Broker, path: &str, secret: &str, date: u128, body: &'static str) -> Request<Body> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("POST\n{path}\n{date}").as_bytes());
    Request::post(format!("http://{}{path}", broker.server.listen()))
        .header("X-DingTalk-MQ-AppKey", "app-a")
        .header("X-DingTalk-MQ-Date", date.to_string())
        .header("X-DingTalk-MQ-Signature", hex::encode(mac.finalize().into_bytes()))
        .body(body.into())
        .unwrap()
}

#[tokio::test]
async fn only_the_tenants_own_signature_is_let_in() {
    let broker = Broker::start_with(Fixed, |config| config.credentials.add("app-a=hidden").unwrap()).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let path = "/tmq/v1/topics/none/messages?trace=1";
    let send = async |secret, date, body| broker.send_request(signed(&broker, path, secret, date, body)).await;

    broker.get("/topics/none/route").await.refused(401, "SignatureDoesNotMatch", Some("X-DingTalk-MQ-AppKey"));
    send("wrong", now, "{}").await.refused(401, "SignatureDoesNotMatch", Some("X-DingTalk-MQ-Signature"));
    send("hidden", now - 400_000, "{}").await.refused(401, "SignatureDoesNotMatch", Some("X-DingTalk-MQ-Date"));
    // The body is not signed: whatever it is, the broker reads it.
    for body in [r#"{"messages":[{"body":"one"}]}"#, r#"{"messages":[{"body":"two"}]}"#] {
        send("hidden", now, body).await.refused(404, "TopicNotFound", Some("topic"));
    }
    // Nor is how it is compressed.
    let mut compressed = signed(&broker, path, "hidden", now, "")
        .map(|_| Body::from(zstd::bulk::compress(br#"{"messages":[{"body":"three"}]}"#, 0).unwrap()));
    compressed.headers_mut().insert("content-encoding", "zstd".parse().unwrap());
    broker.send_request(compressed).await.refused(404, "TopicNotFound", Some("topic"));
}
