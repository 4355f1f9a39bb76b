//! `docs/metrics.md`, which the filter's own code prints.

use std::collections::BTreeSet;
use std::fs;

/// The filter's metrics: the names that begin a row of a table of `docs/metrics.md`.
///
/// # Panics
/// Where the file is not there.
#[must_use]
pub fn documented_metrics() -> BTreeSet<String> {
    let path = stack::root().join("docs/metrics.md");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    cells.filter(|name| name.starts_with("ackguard_")).map(str::to_owned).collect()
}
