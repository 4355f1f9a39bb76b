//! A browser with one page.

use std::panic::Location;
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::Pid;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use url::{ParseError, Url};

use crate::process::Processes;

/// Between two looks at a condition that is awaited, and how long it is awaited: many of any page's periods.
const POLL: Duration = Duration::from_millis(20);
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    processes: Processes,
}

/// A command of ChromeDriver's own.
#[derive(Debug)]
struct DriverCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for DriverCommand {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// Opens a page in a window of this size, in CSS pixels.
    pub async fn open(url: &str, width: u32, height: u32) -> Self {
        let (mut processes, port) = Processes::start();
        let Value::Object(capabilities) = processes.capabilities() else { unreachable!() };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let driver = format!("http://127.0.0.1:{port}");
        let client = builder.capabilities(capabilities).connect(&driver).await.unwrap();
        let told = client.capabilities().and_then(|told| told.get("goog:processID")?.as_i64());
        processes.browser = Pid::from_raw(i32::try_from(told.expect("the browser's process id")).unwrap());
        let browser = Self { client, processes };
        browser.resize(width, height, 1).await;
        browser.goto(url).await;
        browser
    }

    /// Opens another page.
    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Gives the window a size in CSS pixels, each of `scale` by `scale` of a screen's. A narrow one is a phone's.
    pub async fn resize(&self, width: u32, height: u32, scale: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500 });
        self.chrome("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    async fn driver(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(DriverCommand { path, body }).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Sends a command of the DevTools protocol.
    pub async fn chrome(&self, command: &str, parameters: Value) -> Value {
        self.driver("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// The value of a JavaScript expression.
    pub async fn value(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression})")).await
    }

    /// What the body of a JavaScript function returns.
    pub(crate) async fn run(&self, body: &str) -> Value {
        self.client.execute(body, Vec::new()).await.unwrap()
    }

    /// Waits until a JavaScript expression is true.
    #[track_caller]
    pub fn until(&self, expression: &str) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            let deadline = Instant::now() + DEADLINE;
            while self.value(expression).await != json!(true) {
                if Instant::now() > deadline {
                    let text = self.value("document.body.innerText").await;
                    panic!("{caller}: never {expression} in\n{}", text.as_str().unwrap_or_default());
                }
                sleep(POLL).await;
            }
        }
    }

    /// Clicks the first element that `selector` selects.
    pub async fn click(&self, selector: &str) {
        self.client.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// Types into a field, after what is in it.
    pub async fn write(&self, selector: &str, text: &str) {
        self.client.find(Locator::Css(selector)).await.unwrap().send_keys(text).await.unwrap();
    }

    /// Chooses an option by its label.
    pub async fn select(&self, selector: &str, label: &str) {
        self.client.find(Locator::Css(selector)).await.unwrap().select_by_label(label).await.unwrap();
    }

    /// What has been written to the console since the last call: errors, and what the page's policy forbade.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.driver("se/log", json!({ "type": "browser" })).await;
        entries.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Ends the browser, about which there must be nothing to complain.
    pub async fn close(self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
        self.client.close().await.unwrap();
        drop(self.processes);
    }
}
