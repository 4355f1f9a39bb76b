//! `envoy/prometheus/alerts.yaml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// The rules of `envoy/prometheus/alerts.yaml`, in their order.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Each rule.
    pub rules: Vec<Rule>,
    document: Value,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name and kind.
    pub kind: RuleKind,
    /// What it evaluates, in PromQL.
    pub expr: String,
    /// Labels that it adds.
    pub labels: BTreeMap<String, String>,
    /// What it tells the person on call.
    pub annotations: BTreeMap<String, String>,
}

/// What becomes of a rule's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleKind {
    /// An alert of this name.
    Alert(String),
    /// A series of this name.
    Record(String),
}

#[derive(Deserialize)]
struct Document {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Rules {
    /// The file.
    #[must_use]
    pub fn path() -> PathBuf {
        stack::root().join("envoy/prometheus/alerts.yaml")
    }

    /// Reads the file.
    ///
    /// # Panics
    /// Where it is not one of rules, each with one name.
    #[must_use]
    pub fn read() -> Self {
        let path = Self::path();
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let document: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
        let read: Document = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error}"));
        let rule = |written: Written| {
            let kind = match (written.alert, written.record) {
                (Some(name), None) => RuleKind::Alert(name),
                (None, Some(name)) => RuleKind::Record(name),
                (alert, record) => panic!("expected an alert or a record, found {alert:?} and {record:?}"),
            };
            Rule { kind, expr: written.expr, labels: written.labels, annotations: written.annotations }
        };
        let rules = read.groups.into_iter().flat_map(|group| group.rules).map(rule).collect();
        Self { rules, document }
    }

    /// The alerts: name and rule. One name may stand for several, which differ in their windows.
    pub fn alerts(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.rules.iter().filter_map(|rule| match &rule.kind {
            RuleKind::Alert(name) => Some((name.as_str(), rule)),
            RuleKind::Record(_) => None,
        })
    }

    /// The names of the series that recording rules make.
    pub fn records(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter_map(|rule| match &rule.kind {
            RuleKind::Record(name) => Some(name.as_str()),
            RuleKind::Alert(_) => None,
        })
    }

    /// The same rules as JSON, with every group evaluated each second, so that a test need not wait for minutes.
    #[must_use]
    pub fn each_second(&self) -> String {
        let mut document = self.document.clone();
        for group in document["groups"].as_array_mut().into_iter().flatten() {
            group["interval"] = "1s".into();
        }
        document.to_string()
    }
}
