//! The client against peers that answer in every way but the right one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tmq_load::client::{Admin, Client, ClientError, Message, Subscribe};
use tmq_load::latency::{Latencies, Operation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A peer that answers every connection's first bytes with `answer` and no more.
async fn peer(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 4096];
            assert!(connection.read(&mut request).await.unwrap() > 0);
            connection.write_all(answer.as_bytes()).await.unwrap();
            connection.shutdown().await.unwrap();
            // What is left unread when a connection closes would reset it, and might take the answer with it.
            while connection.read(&mut request).await.is_ok_and(|read| read > 0) {}
        }
    });
    address
}

fn response(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn client(address: SocketAddr) -> (Client, Arc<Latencies>) {
    let latencies = Arc::new(Latencies::new());
    (Client::new(address, Arc::clone(&latencies)), latencies)
}

fn subscribe() -> Subscribe {
    Subscribe {
        topic: "orders".to_owned(),
        ack_timeout: Duration::ZERO,
        max_reconsume_times: 3,
        client_id: "c1".to_owned(),
    }
}

#[tokio::test]
async fn a_refusal_carries_status_code_message_and_field() {
    let body = r#"{"code":"InvalidArgument","message":"ackTimeout is 0, expected 1 or more","field":"ackTimeout"}"#;
    let (client, _) = client(peer(response("400 Bad Request", body)).await);
    let fault = client.subscribe("workers", &subscribe()).await.unwrap_err();
    assert!(matches!(fault, ClientError::Refused { status: 400, .. }), "{fault:?}");
    let said = fault.to_string();
    assert!(said.starts_with("subscribe at http://127.0.0.1:"), "{said}");
    assert!(
        said.ends_with("refused with 400: InvalidArgument: ackTimeout is 0, expected 1 or more (field ackTimeout)"),
        "{said}"
    );
}

#[tokio::test]
async fn a_subscription_carries_the_gateways_header() {
    let body = r#"{"consumerId":"7","state":"Created","ackTimeout":10000,"maxReconsumeTimes":3,"autoAck":false,"deadLetterTopic":"orders.dlq","partitions":[0]}"#;
    let head = "201 Created\r\nx-ackguard: clamp; field=ackTimeout; from=0; to=10000";
    let (client, _) = client(peer(response(head, body)).await);
    let (_, subscription) = client.subscribe("workers", &subscribe()).await.unwrap();
    assert_eq!(subscription.ack_timeout, Duration::from_secs(10));
    assert_eq!(subscription.dead_letter_topic.as_deref(), Some("orders.dlq"));
    assert_eq!(subscription.ackguard.as_deref(), Some("clamp; field=ackTimeout; from=0; to=10000"));
}

#[tokio::test]
async fn a_publish_that_is_answered_in_part_is_not_done() {
    let (client, _) = client(peer(response("200 OK", r#"{"results":[{"messageId":"1"}]}"#)).await);
    let message = Message { key: "1".to_owned(), body: "{}".to_owned() };
    let fault = client.publish("orders", &[message.clone(), message]).await.unwrap_err();
    assert!(fault.to_string().ends_with("the answer is not the protocol's: 1 results, expected 2"), "{fault}");
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_malformed_and_one_cut_short_is_none() {
    let (odd, latencies) = client(peer(response("200 OK", "<html>")).await);
    let fault = odd.publish("orders", &[]).await.unwrap_err();
    assert!(matches!(fault, ClientError::Malformed { .. }), "{fault:?}");
    assert_eq!(latencies.summary(Operation::Publish).unwrap().count, 1, "it was answered, so it was timed");

    let (cut, latencies) = client(peer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_owned()).await);
    let fault = cut.publish("orders", &[]).await.unwrap_err();
    assert!(matches!(fault, ClientError::NoAnswer { .. }), "{fault:?}");
    assert_eq!(latencies.summary(Operation::Publish), None);
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_named() {
    // Port 1, tcpmux: reserved, and never given out for a listener that asks for any port.
    let unused = SocketAddr::from(([127, 0, 0, 1], 1));
    let fault = Admin::new(unused).group_ledger("orders", "workers").await.unwrap_err();
    assert!(matches!(fault, ClientError::NoAnswer { .. }), "{fault:?}");
    assert!(fault.to_string().contains(&unused.to_string()), "{fault}");
}

#[tokio::test]
async fn a_ledger_without_the_group_says_so() {
    let address = peer(response("200 OK", r#"{"topics":[],"entries":[]}"#)).await;
    let fault = Admin::new(address).group_ledger("orders", "workers").await.unwrap_err();
    assert!(fault.to_string().ends_with("no entry of topic orders and group workers"), "{fault}");
}
