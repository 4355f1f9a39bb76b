//! Where things are: the repository, the built filter, the built programs, Envoy, Redis, Prometheus.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A program that the stack is made of and that is not there.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{name} is missing: {hint}")]
pub struct MissingProgram {
    /// What was looked for.
    pub name: String,
    /// What brings it.
    pub hint: String,
}

/// The root of the repository.
#[must_use]
pub fn root() -> &'static Path {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.ancestors().nth(2).unwrap_or(crate_folder)
}

/// The built filter, `target/ackguard.wasm`, whether or not it is there.
#[must_use]
pub fn wasm() -> PathBuf {
    root().join("target/ackguard.wasm")
}

/// The workspace's program `name`, of the same build as the running one: `target/debug/` for a debug build or a test
/// of one, `target/release/` for a release build.
///
/// # Errors
/// Where it is not built.
pub fn program(name: &str) -> Result<PathBuf, MissingProgram> {
    let this = std::env::current_exe().unwrap_or_default();
    // A test runs in `deps/` below the folder of the programs.
    let found = this.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| MissingProgram {
        name: name.to_owned(),
        hint: format!("cargo build --bin {name}, in the same profile as {}", this.display()),
    })
}

/// Envoy, found or fetched by `.make/envoy.sh`, which is asked once a process.
///
/// # Errors
/// The script's own reason.
pub(crate) fn envoy() -> Result<PathBuf, MissingProgram> {
    static FOUND: OnceLock<Result<PathBuf, MissingProgram>> = OnceLock::new();
    FOUND.get_or_init(|| found_by(".make/envoy.sh", "envoy")).clone()
}

/// Redis, found or fetched by `.make/redis.sh`, which is asked once a process.
///
/// # Errors
/// The script's own reason.
pub(crate) fn redis() -> Result<PathBuf, MissingProgram> {
    static FOUND: OnceLock<Result<PathBuf, MissingProgram>> = OnceLock::new();
    FOUND.get_or_init(|| found_by(".make/redis.sh", "redis-server")).clone()
}

/// Prometheus and its `promtool`, found or fetched by `.make/prometheus.sh`, which is asked once a process.
///
/// # Errors
/// The script's own reason.
pub(crate) fn prometheus() -> Result<[PathBuf; 2], MissingProgram> {
    static FOUND: OnceLock<Result<[PathBuf; 2], MissingProgram>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let both = found_by(".make/prometheus.sh", "prometheus")?;
        let mut lines = both.to_str().unwrap_or_default().lines().map(PathBuf::from);
        match (lines.next(), lines.next()) {
            (Some(server), Some(promtool)) => Ok([server, promtool]),
            _ => Err(MissingProgram {
                name: "prometheus".to_owned(),
                hint: format!("expected two paths of .make/prometheus.sh, found {}", both.display()),
            }),
        }
    });
    found.clone()
}

fn found_by(script: &str, name: &str) -> Result<PathBuf, MissingProgram> {
    let missing = |hint: String| MissingProgram { name: name.to_owned(), hint };
    let script = root().join(script);
    let output = Command::new(&script)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| missing(format!("cannot run {}: {error}", script.display())))?;
    if output.status.success() {
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    } else {
        Err(missing(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
