//! A headless Chromium, by ChromeDriver; both are ended with the test, by their ids.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use fantoccini::{ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::broker;

/// Between two looks at a condition that is awaited, and how long it is awaited: many of the page's periods.
const POLL: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_secs(30);

/// A browser with one page.
pub(crate) struct Browser {
    client: fantoccini::Client,
    session: String,
    processes: Processes,
}

/// What has to end with the test, however it ends.
struct Processes {
    driver: Child,
    browser: Option<Pid>,
    /// The browser's profile, removed after it.
    _profile: TempDir,
}

impl Drop for Processes {
    fn drop(&mut self) {
        // Each of them may have ended already. The driver ends first, lest it has the browser restarted.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        if let Some(browser) = self.browser {
            let _ = kill_process(browser, Signal::KILL);
            let deadline = std::time::Instant::now() + DEADLINE;
            // The profile can be removed once nothing is written into it.
            while test_kill_process(browser).is_ok() && std::time::Instant::now() < deadline {
                std::thread::sleep(POLL);
            }
        }
    }
}

/// Chromium and ChromeDriver, found or fetched by `.make/chromium.sh`, which is asked once a process.
fn programs() -> &'static (PathBuf, PathBuf) {
    static FOUND: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    FOUND.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.make/chromium.sh");
        let output = Command::new(&script).stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        match told.lines().collect::<Vec<_>>()[..] {
            [browser, driver] if output.status.success() => (browser.into(), driver.into()),
            _ => panic!("no Chromium to test in: {}", String::from_utf8_lossy(&output.stderr)),
        }
    })
}

/// Starts ChromeDriver at a free port; it says which.
fn start_driver() -> (Processes, u16) {
    let profile = TempDir::new().unwrap();
    let driver = Command::new(&programs().1)
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut processes = Processes { driver, browser: None, _profile: profile };
    let mut lines = BufReader::new(processes.driver.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| {
        let line = line.unwrap();
        line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
    });
    let port = port.expect("ChromeDriver ended before it was listening");
    // It must not block on what nobody reads.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    (processes, port)
}

impl Browser {
    /// Opens a page in a window of this size, in CSS pixels.
    pub(crate) async fn open(url: &str, width: u32, height: u32) -> Self {
        let (mut processes, port) = start_driver();
        let arguments = json!([
            "--headless",
            // A container's root has no sandbox to use; the pages are the project's own.
            "--no-sandbox",
            // A click is not aimed at what is still scrolling.
            "--force-prefers-reduced-motion",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            format!("--user-data-dir={}", processes._profile.path().display()),
        ]);
        let capabilities = json!({
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": programs().0, "args": arguments },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let driver = format!("http://127.0.0.1:{port}");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&driver).await.unwrap();
        let told = client.capabilities().and_then(|told| told.get("goog:processID")?.as_i64());
        processes.browser = Pid::from_raw(i32::try_from(told.expect("the browser's process id")).unwrap());
        let session = format!("{driver}/session/{}", client.session_id().await.unwrap().unwrap());
        let browser = Self { client, session, processes };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        browser.chrome("Emulation.setDeviceMetricsOverride", metrics).await;
        browser.client.goto(url).await.unwrap();
        browser
    }

    /// Sends a command of ChromeDriver's own.
    async fn driver(&self, path: &str, body: Value) -> Value {
        let request = Request::post(format!("{}{path}", self.session)).body(Body::from(body.to_string())).unwrap();
        let (status, text) = broker::send(&broker::client(), request).await;
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str::<Value>(&text).unwrap()["value"].take()
    }

    /// Sends a command of the DevTools protocol.
    pub(crate) async fn chrome(&self, command: &str, parameters: Value) -> Value {
        self.driver("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// The value of a JavaScript expression.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return ({expression})"), Vec::new()).await.unwrap()
    }

    /// Waits until a JavaScript expression is true.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let deadline = Instant::now() + DEADLINE;
            while self.value(expression).await != json!(true) {
                if Instant::now() > deadline {
                    let text = self.value("document.body.innerText").await;
                    panic!("{caller}: never {expression} in\n{}", text.as_str().unwrap_or_default());
                }
                tokio::time::sleep(POLL).await;
            }
        }
    }

    /// Waits until the page shows what the broker says.
    pub(crate) async fn until_live(&self) {
        self.until("document.querySelector('#status').textContent === 'Live'").await;
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.client.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// Types into a field, after what is in it.
    pub(crate) async fn write(&self, selector: &str, text: &str) {
        self.client.find(Locator::Css(selector)).await.unwrap().send_keys(text).await.unwrap();
    }

    pub(crate) async fn select(&self, selector: &str, label: &str) {
        self.client.find(Locator::Css(selector)).await.unwrap().select_by_label(label).await.unwrap();
    }

    /// The rows of a section's table: the cells' texts by their labels.
    pub(crate) async fn rows(&self, section: &str) -> Vec<Value> {
        let rows = format!(
            "[...document.querySelectorAll('#{section} tbody tr')].map(row => \
             Object.fromEntries([...row.cells].map(cell => [cell.dataset.label, cell.textContent.trim()])))"
        );
        self.value(&rows).await.as_array().unwrap().clone()
    }

    /// What has been written to the console since the last call: errors, and what the page's policy forbade.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.driver("/se/log", json!({ "type": "browser" })).await;
        entries.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Ends the browser, about which there must be nothing to complain.
    pub(crate) async fn close(self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
        self.client.close().await.unwrap();
        drop(self.processes);
    }
}
