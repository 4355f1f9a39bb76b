//! The files that a run of the incident leaves behind.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::{ChartError, Report};

/// The names of the files, all in one directory.
const RESULT: &str = "result.json";
const REPORT: &str = "report.html";

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The figures.
    pub result: PathBuf,
    /// The page.
    pub report: PathBuf,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The file system says no.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The page.
    #[error(transparent)]
    Report(#[from] ChartError),
    /// The figures.
    #[error("{RESULT}: {0}")]
    Result(#[from] serde_json::Error),
}

/// Writes `result.json` and `report.html` into `directory`, which is made where it is missing.
///
/// # Errors
/// See [`OutputError`].
pub fn write(directory: &Path, report: &Report<'_>) -> Result<Written, OutputError> {
    let result = serde_json::to_string(&report.incident.result())? + "\n";
    let page = report.page()?;
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| OutputError::File { path, source }
    };
    fs::create_dir_all(directory).map_err(fault(directory))?;
    let written = Written { result: directory.join(RESULT), report: directory.join(REPORT) };
    fs::write(&written.result, result).map_err(fault(&written.result))?;
    fs::write(&written.report, page).map_err(fault(&written.report))?;
    Ok(written)
}
