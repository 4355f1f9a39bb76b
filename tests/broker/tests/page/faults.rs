//! Faults, switched on and off from the page.

use browser::Browser;
use serde_json::json;

use crate::broker::Broker;
use crate::page::{rows, until_live};

const ROWS: &str = "document.querySelectorAll('#faults tbody tr').length";

#[tokio::test]
async fn a_fault_that_is_switched_on_happens_until_it_is_switched_off() {
    let broker = Broker::start().await;
    broker.topic("orders", 1).await;
    let publish = async || broker.status("/topics/orders/messages", json!({ "messages": [{ "body": "m" }] })).await;
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    until_live(&browser).await;
    assert_eq!(publish().await, 200);

    browser.select("[name=operation]", "publish").await;
    browser.click("#fault button").await;
    browser.until(&format!("{ROWS} === 1")).await;
    assert_eq!(publish().await, 503);
    browser.until("document.querySelector('#faults td[data-label=Fired]').textContent === '1'").await;
    let row = &rows(&browser, "faults").await[0];
    assert_eq!(json!([row["Operation"], row["Effect"], row["Stage"]]), json!(["publish", "answers 503", "before"]));

    browser.select("[name=kind]", "Latency").await;
    browser.select("[name=operation]", "route").await;
    browser.write("[name=count]", "7").await;
    browser.click("#fault button").await;
    browser.until(&format!("{ROWS} === 2")).await;
    let set = broker.admin("/admin/faults").await;
    let latency = &set["faults"][1];
    let expected = json!(["route", "latency", 3_000, "before", 1.0, 7]);
    let fields = ["operation", "kind", "latencyMs", "stage", "probability", "count"];
    assert_eq!(json!(fields.map(|field| &latency[field])), expected);

    browser.click("#faults tbody tr:first-child button").await;
    browser.until(&format!("{ROWS} === 1")).await;
    assert_eq!(publish().await, 200);
    assert_eq!(rows(&browser, "faults").await[0]["Operation"], "route", "the other one stays on");
    browser.click("#clear").await;
    browser.until(&format!("{ROWS} === 0")).await;
    assert_eq!(broker.admin("/admin/faults").await, json!({ "faults": [] }));
    browser.close().await;
}

#[tokio::test]
async fn a_fault_that_is_refused_is_said_to_be() {
    let broker = Broker::start().await;
    for _ in 0..100 {
        let fault = json!({ "operation": "route", "kind": "reset", "probability": 0 });
        let (status, _) = broker.request(broker.server.admin(), axum::http::Method::POST, "/admin/faults", fault).await;
        assert_eq!(status, 200);
    }
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    browser.until(&format!("{ROWS} === 100")).await;
    browser.click("#fault button").await;
    browser.until("document.querySelector('#refusal').textContent === 'faults: the limit of 100 is reached'").await;
    // The browser notes the status 429 of the one request.
    assert_eq!(browser.complaints().await.len(), 1);
    browser.close().await;
}
