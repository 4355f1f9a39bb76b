//! How the page keeps up: with the broker, without one, and with what its reader is doing.

use browser::Browser;
use serde_json::json;
use tmq_broker::{Config, Semantics, Server};

use crate::broker::Broker;
use crate::page::{rows, until_live};

/// The text of the first group's cell with this label.
fn cell(label: &str) -> String {
    format!("document.querySelector('#groups td[data-label=\"{label}\"]')?.textContent")
}

#[tokio::test]
async fn what_happens_is_shown_without_a_reload() {
    let broker = Broker::start().await;
    broker.topic("orders", 1).await;
    let consumer = broker.consumer("billing", json!({ "topic": "orders" }), &["start"]).await;
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    until_live(&browser).await;
    browser.value("window.loadedOnce = true").await;
    // What the reader has open and where the focus is.
    browser.click("#groups summary").await;
    browser.until("document.activeElement.matches('#groups summary')").await;
    browser.value("window.focused = document.activeElement, 0").await;

    broker.publish("orders", json!([{ "body": "one" }, { "body": "two" }])).await;
    browser.until(&format!("{} === '2'", cell("Ready"))).await;
    let receipts = broker.pull(&consumer, 2).await;
    browser.until(&format!("{} === '2'", cell("In flight"))).await;
    broker.settle(&consumer, "ack", &receipts).await;
    browser.until(&format!("{} === '2' && {} === '0'", cell("Acked"), cell("In flight"))).await;
    // A group that sorts before the one with the focus.
    broker.consumer("archive", json!({ "topic": "orders" }), &[]).await;
    browser.until("document.querySelectorAll('#groups tbody tr').length === 2").await;
    let kept = "[window.loadedOnce, document.activeElement === window.focused, window.focused.parentElement.open]";
    assert_eq!(browser.value(kept).await, json!([true, true, true]));
    browser.close().await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_said_to_be_and_found_when_it_is_back() {
    let broker = Broker::start().await;
    broker.topic("orders", 1).await;
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    until_live(&browser).await;
    assert_eq!(rows(&browser, "topics").await.len(), 1);
    let admin = broker.server.admin();
    broker.server.shutdown().await;
    browser
        .until("document.querySelector('#status').textContent.startsWith('The broker does not answer. Next try in')")
        .await;
    assert_eq!(rows(&browser, "topics").await.len(), 1, "what was known stays in sight");

    let mut config = Config::local(Semantics::Legacy);
    config.admin = admin;
    let server = Server::start(config).await.unwrap();
    browser.click("#retry").await;
    until_live(&browser).await;
    assert_eq!(rows(&browser, "topics").await.len(), 0);
    assert_eq!(browser.value("document.querySelector('#semantics').textContent").await, "legacy");
    // The browser notes each request that nobody took; there is nothing else to note.
    let other: Vec<String> =
        browser.complaints().await.into_iter().filter(|entry| !entry.contains("net::ERR_")).collect();
    assert_eq!(other, Vec::<String>::new());
    browser.close().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_page_that_is_paused_stands_still_until_it_is_resumed() {
    let broker = Broker::start().await;
    broker.topic("orders", 1).await;
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    until_live(&browser).await;
    browser.click("#pause").await;
    browser.until("document.querySelector('#status').textContent === 'Paused'").await;
    let polls = "performance.getEntriesByType('resource').filter(entry => entry.name.includes('/snapshot')).length";
    let before = browser.value(polls).await;
    broker.publish("orders", json!([{ "body": "one" }])).await;
    let published = "document.querySelector('#topics td[data-label=Published]').textContent";
    // The page's clock is moved past its next poll.
    browser.chrome("Emulation.setVirtualTimePolicy", json!({ "policy": "advance", "budget": 3_000 })).await;
    assert_eq!((browser.value(polls).await, browser.value(published).await), (before, json!("0")));
    browser.click("#pause").await;
    browser.until(&format!("{published} === '1'")).await;
    browser.close().await;
}
