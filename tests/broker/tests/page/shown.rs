//! What the page shows, and how.

use browser::Browser;
use serde_json::{Value, json};
use tmq_broker::{Config, DiskConfig, Millis, StorageConfig};

use crate::broker::Broker;
use crate::page::{rows, until_live};

#[tokio::test]
async fn everything_that_is_in_the_broker_is_shown() {
    let broker = Broker::start().await;
    broker.topic("orders", 2).await;
    let bodies: Vec<Value> = (0..8).map(|number| json!({ "body": format!("m{number}") })).collect();
    broker.publish("orders", json!(bodies)).await;
    let settings = json!({ "topic": "orders", "clientId": "client-7", "ackTimeout": 60_000,
        "maxReconsumeTimes": 1, "deadLetterTopic": "orders.dlq" });
    let consumer = broker.consumer("billing", settings, &["start"]).await;
    // All fail once. Two die in their second delivery, two are acknowledged, four stay in flight; one more is waiting.
    let receipts = broker.pull(&consumer, 8).await;
    broker.settle(&consumer, "reject", &receipts).await;
    let receipts = broker.pull(&consumer, 8).await;
    broker.settle(&consumer, "reject", &receipts[..2]).await;
    broker.settle(&consumer, "ack", &receipts[2..4]).await;
    broker.publish("orders", json!([{ "body": "m8" }])).await;

    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    until_live(&browser).await;
    let groups = rows(&browser, "groups").await;
    assert_eq!(groups.len(), 1);
    for (label, expected) in [
        ("Group", "billing"),
        ("Topic", "orders"),
        ("Consumers", "1"),
        ("Lag", "5"),
        ("Ready", "1"),
        ("In flight", "4"),
        ("Acked", "2"),
        ("Redeliveries", "8"),
        ("Dead letters", "2"),
        ("Archived", "0"),
        ("Forgotten", "0"),
        ("Partitions", "2"),
    ] {
        assert_eq!(groups[0][label], expected, "{label} in {}", groups[0]);
    }
    browser.click("#groups summary").await;
    browser.until("document.querySelectorAll('#groups li').length === 2").await;
    let partitions = browser.value("document.querySelector('#groups ul').innerText").await;
    let id = consumer.rsplit('/').next().unwrap();
    assert!(partitions.as_str().unwrap().contains(&format!("in flight, {id}")), "{partitions}");

    let consumers = rows(&browser, "consumers").await;
    let expected = json!([id, "client-7", "billing", "orders", "Started", "2", "4", "1", "orders.dlq"]);
    let labels =
        ["Consumer", "Client", "Group", "Topic", "State", "Partitions", "In flight", "Retries", "Dead letters to"];
    assert_eq!(json!(labels.map(|label| &consumers[0][label])), expected);
    let leases = rows(&browser, "leases").await;
    let sum: u64 = leases.iter().map(|row| row["Leases"].as_str().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!((sum, &leases[0]["Age"]), (4, &json!("under 5 s")), "{leases:?}");
    let topics = rows(&browser, "topics").await;
    let topic = |row: &Value| json!([row["Topic"], row["Partitions"], row["Published"], row["Groups"], row["Use"]]);
    let expected = [json!(["orders", "2", "9", "1", "messages"]), json!(["orders.dlq", "2", "2", "0", "dead letters"])];
    assert_eq!(topics.iter().map(topic).collect::<Vec<_>>(), expected);
    assert_eq!(rows(&browser, "dead-letters").await.len(), 2);
    browser.close().await;
}

#[tokio::test]
async fn each_state_of_a_consumer_is_shown() {
    let broker = Broker::start().await;
    broker.topic("orders", 1).await;
    let settings = |client: &str| json!({ "topic": "orders", "clientId": client });
    for (client, steps) in [
        ("created", &[][..]),
        ("started", &["start"]),
        ("paused", &["start", "pause"]),
        ("stopped", &["start", "stop"]),
        ("closed", &["start", "stop", "close"]),
    ] {
        broker.consumer("g", settings(client), steps).await;
    }
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    until_live(&browser).await;
    let consumers = rows(&browser, "consumers").await;
    let mut states: Vec<(String, String)> = consumers
        .iter()
        .map(|row| (row["Client"].as_str().unwrap().to_owned(), row["State"].as_str().unwrap().to_owned()))
        .collect();
    states.sort();
    let expected = ["Closed", "Created", "Paused", "Started", "Stopped"];
    assert_eq!(states, expected.map(|state| (state.to_lowercase(), state.to_owned())));
    let counts = browser.value("document.querySelector('#states').innerText.replace(/\\s+/g, ' ')").await;
    assert_eq!(counts, "Created 1 Started 1 Paused 1 Stopped 1 Closed 1 Silent 0");
    browser.close().await;
}

#[tokio::test]
async fn a_silent_consumer_is_told_from_one_that_takes_part() {
    let broker = Broker::start_with(|config| config.heartbeat_period = Millis(20)).await;
    broker.topic("orders", 1).await;
    broker.consumer("g", json!({ "topic": "orders" }), &["start"]).await;
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    browser.until("document.querySelector('#consumers td .badge[data-state=silent]')?.textContent === 'Silent'").await;
    assert_eq!(rows(&browser, "consumers").await[0]["Partitions"], "0");
    browser.close().await;
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_its_body_and_why_it_died() {
    let broker = Broker::start().await;
    broker.topic("orders", 1).await;
    let long = "0123456789".repeat(1_000);
    let binary = json!({ "body": "AAEC/w==", "encoding": "base64" });
    broker.kill(json!([{ "body": "the order that died", "key": "customer-7" }, binary, { "body": long }])).await;

    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    browser.until("document.querySelectorAll('#dead-letters tbody tr').length === 3").await;
    let rows = rows(&browser, "dead-letters").await;
    assert!(rows[2]["Body"].as_str().unwrap().ends_with("the order that died"), "the oldest is last: {rows:?}");
    assert!(rows[1]["Body"].as_str().unwrap().contains("Base64, 8 bytes"), "{rows:?}");
    assert_eq!((&rows[2]["Key"], &rows[2]["Came from"]), (&json!("customer-7"), &json!("orders")));
    assert_eq!((&rows[2]["Group"], &rows[2]["Why"]), (&json!("billing"), &json!("rejected, failed deliveries: 1")));
    browser.click("#dead-letters tbody tr:first-child summary").await;
    browser.until("document.querySelector('#dead-letters pre').checkVisibility()").await;
    let body = browser.value("document.querySelector('#dead-letters pre').textContent").await;
    assert_eq!(body, format!("{}…", &long[..4_096]), "cut, and said to be");
    assert!(rows[0]["Body"].as_str().unwrap().contains("10 KiB, its start is shown"), "{rows:?}");
    browser.close().await;
}

#[tokio::test]
async fn a_dead_letter_is_shown_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let on_disk = |config: &mut Config| {
        config.storage = StorageConfig::Disk(DiskConfig::new(folder.path().to_owned()));
    };
    let broker = Broker::start_with(on_disk).await;
    broker.topic("orders", 1).await;
    broker.kill(json!([{ "body": "the order that died" }])).await;
    broker.server.shutdown().await;
    let broker = Broker::start_with(on_disk).await;
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    browser.until("document.querySelectorAll('#dead-letters tbody tr').length === 1").await;
    let letter = &rows(&browser, "dead-letters").await[0];
    assert!(letter["Body"].as_str().unwrap().ends_with("the order that died"), "{letter}");
    assert_eq!(letter["Why"], "rejected, failed deliveries: 1");
    browser.close().await;
    broker.server.shutdown().await;
}

#[tokio::test]
async fn a_clients_text_is_never_markup() {
    const HOSTILE: &str = "<script>window.hit = 1</script><img src=x onerror=\"window.hit = 1\">";
    let broker = Broker::start().await;
    broker.topic("orders", 1).await;
    broker.consumer("g", json!({ "topic": "orders", "clientId": HOSTILE }), &[]).await;
    broker.kill(json!([{ "body": HOSTILE, "key": HOSTILE, "tag": HOSTILE }])).await;
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    browser.until("document.querySelectorAll('#dead-letters tbody tr').length === 1").await;
    let letter = &rows(&browser, "dead-letters").await[0];
    assert_eq!(letter["Key"], HOSTILE);
    assert!(letter["Body"].as_str().unwrap().ends_with(HOSTILE), "{letter}");
    assert!(rows(&browser, "consumers").await.iter().any(|row| row["Client"] == HOSTILE));
    assert_eq!(
        browser.value("[document.images.length, document.scripts.length, window.hit]").await,
        json!([0, 1, null])
    );
    browser.close().await;
}

#[tokio::test]
async fn nothing_is_wider_than_its_window() {
    let broker = Broker::start().await;
    let long = "w".repeat(128);
    broker.topic(&long, 64).await;
    broker.topic("orders", 1).await;
    let settings = json!({ "topic": long, "clientId": "c".repeat(256), "deadLetterTopic": "d".repeat(128) });
    broker.consumer(&"g".repeat(128), settings, &["start"]).await;
    broker.kill(json!([{ "body": "b".repeat(4_096), "key": "k".repeat(256) }])).await;
    let browser = Browser::open(&broker.page(), 360, 780).await;
    browser.until("document.querySelectorAll('#dead-letters tbody tr').length === 1").await;
    browser.click("#groups summary").await;
    browser.click("#dead-letters summary").await;
    browser.until("[...document.querySelectorAll('details')].filter(details => details.open).length === 2").await;
    for width in [360, 500, 800, 1_150, 1_151, 1_280, 1_400] {
        browser.resize(width, 780, 1).await;
        browser.until(&format!("innerWidth === {width}")).await;
        let over = browser.value(
            "[...document.querySelectorAll('body *')].filter(element => \
             element.getBoundingClientRect().right > innerWidth + 0.5).map(element => element.outerHTML.slice(0, 80))",
        );
        assert_eq!(over.await, json!([]), "{width}");
        let widths = browser.value("[document.documentElement.scrollWidth <= innerWidth]").await;
        assert_eq!(widths, json!([true]), "{width}");
    }
    browser.close().await;
}

#[tokio::test]
async fn a_thousand_groups_are_counted_and_found_by_the_filter() {
    let broker = Broker::start().await;
    broker.topic("orders", 1).await;
    for number in 0..1_000 {
        broker.consumer(&format!("group-{number:04}"), json!({ "topic": "orders" }), &[]).await;
    }
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    until_live(&browser).await;
    assert_eq!(rows(&browser, "groups").await.len(), 100);
    let caption = "document.querySelector('#groups caption').textContent";
    let told = browser.value(caption).await;
    assert_eq!(
        told, "1,000 groups in their topics; 100 are shown, 900 left out. Filter to find one.",
        "what is left out is told"
    );
    browser.write("#filter", "GROUP-0999").await;
    browser.until("document.querySelectorAll('#groups tbody tr').length === 1").await;
    assert_eq!(rows(&browser, "groups").await[0]["Group"], "group-0999");
    assert_eq!(browser.value(caption).await, "1 of 1,000 groups in their topics match the filter.");
    browser.close().await;
}
