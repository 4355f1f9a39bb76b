//! The browser's processes: ended with the test, by their ids.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How often and how long the browser's end is awaited.
const POLL: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_secs(30);

/// What has to end with the test, however it ends.
#[derive(Debug)]
pub(crate) struct Processes {
    driver: Child,
    pub(crate) browser: Option<Pid>,
    /// The browser's profile, removed after it.
    profile: TempDir,
}

impl Drop for Processes {
    fn drop(&mut self) {
        // Each of them may have ended already. The driver ends first, lest it has the browser restarted.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        if let Some(browser) = self.browser {
            let _ = kill_process(browser, Signal::KILL);
            let deadline = Instant::now() + DEADLINE;
            // The profile can be removed once nothing is written into it.
            while test_kill_process(browser).is_ok() && Instant::now() < deadline {
                thread::sleep(POLL);
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

impl Processes {
    /// Starts ChromeDriver at a free port; it says which.
    pub(crate) fn start() -> (Self, u16) {
        let profile = TempDir::new().unwrap();
        let driver = Command::new(&programs().1)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut processes = Self { driver, browser: None, profile };
        let mut lines = BufReader::new(processes.driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.unwrap();
            line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
        });
        let port = port.expect("ChromeDriver ended before it was listening");
        // It must not block on what nobody reads.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        (processes, port)
    }

    /// What ChromeDriver is asked to start.
    pub(crate) fn capabilities(&self) -> Value {
        let arguments = json!([
            "--headless",
            // A container's root has no sandbox to use; the pages are the project's own.
            "--no-sandbox",
            // A click is not aimed at what is still scrolling, and nothing is seen halfway.
            "--force-prefers-reduced-motion",
            // A colour's pixels have the numbers that the style says.
            "--force-color-profile=srgb",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            format!("--user-data-dir={}", self.profile.path().display()),
        ]);
        json!({
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": programs().0, "args": arguments },
        })
    }
}
