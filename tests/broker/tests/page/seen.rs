//! What the page looks like, pixel by pixel: on a desk and on a phone, in each theme.

use browser::{Browser, Color, Look, Rect, View};
use serde::Deserialize;
use serde_json::json;

use crate::broker::Broker;
use crate::page::until_live;

/// What the tests look for in the page.
const MEASURE: &str = r"({
  badges: [...document.querySelectorAll('.badge, #status')].filter((badge) => badge.checkVisibility()).map((badge) => ({
    text: badge.textContent,
    place: rectOf(badge),
    fill: color(badge, 'backgroundColor'),
  })),
  sheets: [...document.querySelectorAll('section, #figures div')].map((sheet) => ({
    text: sheet.id || sheet.firstElementChild.textContent,
    place: rectOf(sheet),
    fill: color(sheet, 'backgroundColor'),
  })),
  leases: [...document.querySelectorAll('#leases tbody tr')].map((row) => ({
    count: +row.querySelector('[data-label=Leases]').textContent,
    percent: parseFloat(row.querySelector('.share').textContent),
    line: {
      ...rectOf(row.lastElementChild),
      top: rectOf(row.querySelector('.bar')).top + rectOf(row.querySelector('.bar')).height / 2 - 1,
      height: 2,
    },
    room: row.lastElementChild.clientWidth - parseFloat(getComputedStyle(row.lastElementChild).paddingLeft),
    color: color(row.querySelector('.bar'), 'backgroundColor'),
  })),
})";

#[derive(Debug, Deserialize)]
struct Seen {
    badges: Vec<Filled>,
    sheets: Vec<Filled>,
    leases: Vec<Age>,
}

/// An element with a background of its own.
#[derive(Debug, Deserialize)]
struct Filled {
    text: String,
    place: Rect,
    fill: Color,
}

/// A row of the leases by age.
#[derive(Debug, Deserialize)]
struct Age {
    count: u32,
    percent: f64,
    /// A line along the middle of the bar, through all of its cell, and how much of it there is for bar and percentage.
    line: Rect,
    room: f64,
    color: Color,
}

impl Age {
    /// How long the bar is, as far as its pixels say, in parts of the room that there is.
    fn length(&self, look: &Look<Seen>) -> f64 {
        look.pixels.share_of(self.color, self.line) * self.line.width / self.room
    }
}

/// What must hold for the page whatever is in it.
fn assert_sound(look: &Look<Seen>) {
    assert_eq!(look.faults(), Vec::<String>::new());
    for sheet in &look.measured.sheets {
        // The narrowest sheets are full of a long number.
        let share = look.pixels.share_of(sheet.fill, sheet.place.inside(1.0));
        assert!(share > 0.5, "{}: {share:.2} of {sheet:?}", look.view);
    }
    for badge in &look.measured.badges {
        let share = look.pixels.share_of(badge.fill, badge.place);
        assert!(share > 0.4, "{}: {share:.2} of {badge:?}", look.view);
    }
}

async fn look(browser: &Browser, name: &str, view: View) -> Look<Seen> {
    browser.click("#pause").await;
    browser.until("document.querySelector('#status').textContent === 'Paused'").await;
    let look: Look<Seen> = browser.look(name, view, MEASURE).await;
    assert_sound(&look);
    browser.click("#pause").await;
    until_live(browser).await;
    look
}

/// Waits until the counts of leases, from the youngest on, begin like this.
async fn until_leases(browser: &Browser, counts: &str) {
    let shown = "[...document.querySelectorAll('#leases [data-label=Leases]')].map(cell => cell.textContent)";
    browser.until(&format!("{shown}.join().startsWith('{counts}')")).await;
}

#[tokio::test]
async fn a_page_of_an_empty_broker_is_whole_and_can_be_read() {
    let broker = Broker::start().await;
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    until_live(&browser).await;
    for view in View::ALL {
        look(&browser, "broker-empty", view).await;
    }
    browser.close().await;
}

#[tokio::test]
async fn a_page_of_a_busy_broker_is_whole_and_can_be_read() {
    let broker = Broker::start().await;
    broker.topic("orders", 4).await;
    broker
        .kill(json!([{ "body": "{\"order\": 17, \"items\": [\"a lamp\", \"two chairs\"]}", "key": "customer-7" }]))
        .await;
    for (client, steps) in [
        ("created", &[][..]),
        ("started", &["start"]),
        ("paused", &["start", "pause"]),
        ("stopped", &["start", "stop"]),
        ("closed", &["start", "stop", "close"]),
    ] {
        broker.consumer("shipping", json!({ "topic": "orders", "clientId": client }), steps).await;
    }
    let fault = json!({ "operation": "route", "kind": "latency", "latencyMs": 3_000, "count": 7 });
    let (status, _) = broker.request(broker.server.admin(), axum::http::Method::POST, "/admin/faults", fault).await;
    assert_eq!(status, 200);
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    browser.until("document.querySelectorAll('#dead-letters tbody tr').length === 1").await;
    browser.click("#groups tbody tr:last-child summary").await;
    browser.click("#dead-letters summary").await;
    browser.until("document.querySelectorAll('details[open]').length === 2").await;
    for view in View::ALL {
        // The page goes on to be updated between two looks.
        broker.publish("orders", json!(vec![json!({ "body": "m" }); 250])).await;
        let look = look(&browser, "broker-busy", view).await;
        let states: Vec<_> = look.measured.badges.iter().map(|badge| badge.text.as_str()).collect();
        for state in ["Paused", "Created", "Started", "Paused", "Stopped", "Closed", "Silent"] {
            assert!(states.contains(&state), "{state} is not in {states:?}");
        }
    }
    browser.close().await;
}

#[tokio::test]
async fn a_bar_is_as_long_as_the_part_of_the_leases_that_it_stands_for() {
    let broker = Broker::start().await;
    broker.topic("orders", 1).await;
    let settings = json!({ "topic": "orders", "ackTimeout": 3_600_000 });
    let consumer = broker.consumer("billing", settings, &["start"]).await;
    let browser = Browser::open(&broker.page(), 1_400, 900).await;
    until_live(&browser).await;
    broker.publish("orders", json!(vec![json!({ "body": "m" }); 4])).await;
    browser.until("document.querySelector('#groups td[data-label=Ready]').textContent === '4'").await;
    for view in View::ALL {
        let idle = look(&browser, "broker-idle", view).await;
        for age in &idle.measured.leases {
            assert_eq!((age.count, age.length(&idle)), (0, 0.0), "{view}: what is ready has no lease");
        }
    }
    broker.pull(&consumer, 1).await;
    until_leases(&browser, "0,1,").await;
    broker.pull(&consumer, 3).await;
    until_leases(&browser, "3,1,").await;
    for view in View::ALL {
        let leased = look(&browser, "broker-leased", view).await;
        let leases = &leased.measured.leases;
        assert_eq!(leases.iter().map(|age| age.count).sum::<u32>(), 4);
        for age in leases {
            // The style leaves a fifth of the room to the percentage.
            let (length, expected) = (age.length(&leased), 0.8 * age.percent / 100.0);
            assert!((length - expected).abs() < 0.02, "{view}: {length:.2} of {age:?}");
        }
    }
    browser.close().await;
}
