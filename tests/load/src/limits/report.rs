//! What came of all cases: `result.json`, and the table that the documentation has.

use std::fs;
use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use serde_json::{Map, Number, Value, json};

use super::{Accuracy, Case};
use crate::measure::{Machine, MeasureError};

/// The name of the file.
const RESULT: &str = "result.json";
/// Between these lines of a document stands the table.
const BEGIN: &str = "<!-- accuracy: written by `make limits` -->";
const END: &str = "<!-- /accuracy -->";

/// The accuracy of every case, and how busy the machine was.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// In the order of the table.
    pub rows: Vec<(Case, Accuracy)>,
    /// What it was measured on.
    pub machine: Machine,
    /// For how many seconds each was measured, after it had settled.
    pub seconds: u64,
}

impl Report {
    /// The table, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::from(
            "| limit | Envoy's workers | asked for | let through | refused requests | in any window | any 100 ms | any 1 s | \
             of the rate | answered within |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for (case, row) in &self.rows {
            let (rate, burst) = (HumanCount(case.rate.into()), HumanCount(case.burst.into()));
            let limit = format!("{}: {rate}/s, burst {burst}", case.says);
            let per_s = |tokens: f64| format!("{}/s", HumanCount(tokens.round() as u64));
            let cells = [
                limit,
                case.workers.to_string(),
                per_s(row.asked_per_s),
                per_s(row.admitted_per_s),
                HumanCount(row.refused).to_string(),
                format!("{:.3}", row.max_share),
                format!("{:.3}", row.max_share_100_ms),
                format!("{:.3}", row.max_share_1_s),
                row.min_share.map_or_else(|| "–".to_owned(), |share| format!("{share:.3}")),
                format!("{:.1} ms", row.answered_p99_ms),
            ];
            table.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        let load = |load: Option<f32>| load.map_or("unknown".to_owned(), |load| format!("{load:.2}"));
        let Machine { cores, load_before, load_after } = self.machine;
        table
            + &format!(
                "\n{} s each, on {cores} cores; load average {} before, {} after.\n",
                self.seconds,
                load(load_before),
                load(load_after)
            )
    }

    /// Writes `result.json` into `directory`, which is made where it is missing, and returns its path.
    ///
    /// # Errors
    /// Where the file system says no.
    pub fn write(&self, directory: &Path) -> Result<PathBuf, MeasureError> {
        let path = directory.join(RESULT);
        fs::create_dir_all(directory).map_err(at(&path))?;
        fs::write(&path, format!("{:#}\n", self.json())).map_err(at(&path))?;
        Ok(path)
    }

    /// The greatest share of any window, and the least of a rate, of AckGuard's limits.
    #[must_use]
    pub fn shares(&self) -> (Option<f64>, Option<f64>) {
        let own = || self.rows.iter().filter(|(case, _)| case.is_own()).map(|(_, row)| row);
        let max = own().map(|row| row.max_share).max_by(f64::total_cmp);
        (max, own().filter_map(|row| row.min_share).min_by(f64::total_cmp))
    }

    fn json(&self) -> Value {
        let rows: Map<String, Value> =
            self.rows.iter().map(|(case, row)| (case.name.to_owned(), json_of(row))).collect();
        let (max, min) = self.shares();
        json!({
            "limit_max_share": max.map(number), "limit_min_share": min.map(number), "rows": rows,
            "seconds": self.seconds, "cores": self.machine.cores,
            "load_average_before": self.machine.load_before, "load_average_after": self.machine.load_after,
        })
    }
}

fn json_of(row: &Accuracy) -> Value {
    json!({
        "asked_per_s": number(row.asked_per_s), "admitted_per_s": number(row.admitted_per_s), "refused": row.refused,
        "max_share": number(row.max_share), "max_share_100_ms": number(row.max_share_100_ms),
        "max_share_1_s": number(row.max_share_1_s), "min_share": row.min_share.map(number),
        "answered_p99_ms": number(row.answered_p99_ms),
    })
}

/// To four places: a share of 1.0004 is over 1.
fn number(value: f64) -> Value {
    Number::from_f64((value * 10_000.0).round() / 10_000.0).map_or(Value::Null, Value::Number)
}

/// Writes `table` into the Markdown document at `path`, between its two marks.
///
/// # Errors
/// Where it cannot be read or written, or has no marks.
pub fn update(path: &Path, table: &str) -> Result<(), MeasureError> {
    let document = fs::read_to_string(path).map_err(at(path))?;
    let new = put(&document, table)
        .ok_or(MeasureError::Nothing("the document has no marks between which the table stands"))?;
    fs::write(path, new).map_err(at(path))
}

fn put(document: &str, table: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> MeasureError {
    let what = path.display().to_string();
    move |source| MeasureError::System { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let document = format!("# Limits\n\n{BEGIN}\nold\n{END}\n\nmore\n");
        let first = put(&document, "| a |\n").unwrap();
        assert_eq!(first, format!("# Limits\n\n{BEGIN}\n\n| a |\n\n{END}\n\nmore\n"));
        assert_eq!(put(&first, "| a |\n"), Some(first));
        assert_eq!(put("# Limits\n", "| a |\n"), None);
    }
}
