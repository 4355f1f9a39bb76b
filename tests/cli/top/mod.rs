//! `ackguard top` in a terminal, and without one, in front of an admin endpoint that answers as Envoy's has.

mod admin;
mod screen;
mod terminal;

use std::collections::BTreeSet;

use ackguard::telemetry::METRICS;
use serde_json::Value;

use crate::program::folder;

/// Metrics that the screen has no place for: `top` tells of the whole, `rollout status` of the candidate; of answers that
/// cannot be read the metrics' page tells.
const ELSEWHERE: [&str; 4] = [
    "ackguard_candidate_requests_total",
    "ackguard_rollout_transitions_total",
    "ackguard_rollout_candidate",
    "ackguard_unread_answers_total",
];

/// The names of a file's statistics.
fn names(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder().join("top").join(file)).expect("the file");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let stats = answer["stats"].as_array().expect("a list");
    let histograms = stats.iter().filter_map(|stat| stat["histograms"]["details"].as_array()).flatten();
    let named = stats.iter().chain(histograms).filter_map(|stat| stat["name"].as_str());
    named.filter_map(|name| name.strip_prefix("wasmcustom.")).map(str::to_owned).collect()
}

#[test]
fn what_the_screen_is_tested_with_is_all_that_the_filter_counts_by_the_filters_names() {
    for file in ["first.json", "second.json"] {
        let mut found = BTreeSet::new();
        for name in names(file) {
            let (metric, labels) = name.split_once(';').unwrap_or((&name, ""));
            let metric = METRICS.iter().find(|known| known.name == metric).unwrap_or_else(|| panic!("{name}"));
            let labels = labels.split(';').filter(|label| !label.is_empty());
            let labels: Vec<&str> = labels.map(|label| label.split('=').next().unwrap_or_default()).collect();
            assert_eq!(labels, metric.labels, "{name}");
            found.insert(metric.name);
        }
        let missing = METRICS.iter().map(|metric| metric.name).filter(|name| !found.contains(name));
        assert_eq!(missing.collect::<BTreeSet<_>>(), ELSEWHERE.into(), "{file}");
    }
}
