//! `envoy/grafana/dashboards/ackguard.json`, as far as it is about what is shown.

use std::fs;

use serde::Deserialize;
use serde_json::Value;

/// The dashboard.
#[derive(Debug, Clone, Deserialize)]
pub struct Dashboard {
    /// Name in Grafana's addresses.
    pub uid: String,
    /// Version of the form; Grafana 11 writes 39.
    #[serde(rename = "schemaVersion")]
    pub schema_version: u32,
    /// Rows and what is in them.
    pub panels: Vec<Panel>,
    templating: Templating,
    annotations: Annotations,
}

/// A panel, or the headline of a row.
#[derive(Debug, Clone, Deserialize)]
pub struct Panel {
    /// Number, of which each is there once.
    pub id: u32,
    /// Its form; `row` is a headline.
    #[serde(rename = "type")]
    pub form: String,
    /// What is written over it.
    pub title: String,
    /// What it tells whoever asks.
    #[serde(default)]
    pub description: String,
    /// Where it is.
    #[serde(rename = "gridPos")]
    pub place: Place,
    /// What it shows.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// Where it leads.
    #[serde(default)]
    pub links: Vec<Link>,
    /// Units, thresholds and colours.
    #[serde(rename = "fieldConfig", default)]
    pub fields: Value,
}

/// A place on the dashboard, which is 24 columns wide.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Place {
    /// Columns to its left.
    pub x: u32,
    /// Rows above it.
    pub y: u32,
    /// Its width, in columns.
    pub w: u32,
    /// Its height, in rows.
    pub h: u32,
}

/// An expression of a panel.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// In PromQL, with Grafana's variables.
    pub expr: String,
    /// Whose data it is.
    pub datasource: Value,
}

/// A link of a panel.
#[derive(Debug, Clone, Deserialize)]
pub struct Link {
    /// The address, with Grafana's variables.
    pub url: String,
}

/// A variable at the dashboard's head.
#[derive(Debug, Clone, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where its values come from, where that is an expression such as `label_values(metric, label)`.
    pub definition: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Templating {
    list: Vec<Variable>,
}

#[derive(Debug, Clone, Deserialize)]
struct Annotations {
    list: Vec<Annotation>,
}

#[derive(Debug, Clone, Deserialize)]
struct Annotation {
    expr: String,
}

impl Dashboard {
    /// Reads the file.
    ///
    /// # Panics
    /// Where it is no dashboard.
    #[must_use]
    pub fn read() -> Self {
        let path = stack::root().join("envoy/grafana/dashboards/ackguard.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// What shows something: all panels but the rows.
    pub fn charts(&self) -> impl Iterator<Item = &Panel> {
        self.panels.iter().filter(|panel| panel.form != "row")
    }

    /// The variables at its head.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.templating.list
    }

    /// The expressions of the marks on its time axis.
    pub fn annotations(&self) -> impl Iterator<Item = &str> {
        self.annotations.list.iter().map(|annotation| annotation.expr.as_str())
    }
}

/// `expression` with Grafana's variables replaced as in a dashboard that shows everything of the last five minutes.
///
/// # Panics
/// Where a variable is left that nobody defines.
#[must_use]
pub fn filled(expression: &str) -> String {
    let values = [
        ("$__rate_interval", "1m"),
        ("$__range", "5m"),
        ("$job", "ackguard"),
        ("$instance", ".*"),
        ("$dialect", ".*"),
        ("$broker", "tmq-broker"),
    ];
    let filled = values.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "{expression}: a variable that is not defined");
    filled
}
