//! The alerts by themselves: `promtool` accepts them, they fire in their cases and in no other, and each has its runbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use monitoring::{Rules, Runbooks, documented_metrics, promql, promtool};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
}

/// Runs `promtool`, which must be content.
fn content(arguments: &[&str]) {
    let found = promtool(arguments, "");
    assert_eq!(found.status, Some(0), "promtool {arguments:?}:\n{}", found.text);
}

#[test]
fn promtool_accepts_rules_and_configuration() {
    content(&["check", "rules", "--lint=all", "--lint-fatal", "envoy/prometheus/alerts.yaml"]);
    content(&["check", "config", "envoy/prometheus/prometheus.yaml"]);
}

fn hold(file: &str) {
    content(&["test", "rules", cases().join(file).to_str().expect("a path in UTF-8")]);
}

#[test]
fn no_alert_fires_in_four_days_of_a_sound_system() {
    hold("healthy.yaml");
}

#[test]
fn no_alert_fires_at_restarts_or_without_traffic() {
    hold("quiet.yaml");
}

#[test]
fn what_consumers_do_fires_its_alerts() {
    hold("consumers.yaml");
}

#[test]
fn lost_messages_and_dead_letters_fire_their_alerts() {
    hold("loss.yaml");
}

#[test]
fn acks_that_fail_or_are_slow_fire_their_alerts() {
    hold("acks.yaml");
}

#[test]
fn what_befalls_a_gateway_fires_its_alerts() {
    hold("gateway.yaml");
}

#[test]
fn every_alert_fires_in_a_case() {
    let files = fs::read_dir(cases()).expect("a folder").map(|entry| entry.expect("a file").path());
    let texts: String = files.map(|path| fs::read_to_string(path).expect("text")).collect();
    let rules = Rules::read();
    for (alert, rule) in rules.alerts() {
        let severity = &rule.labels["severity"];
        let firing = texts.lines().filter(|line| {
            line.contains(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\",severity=\"{severity}\""))
                && rule.labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
        });
        assert!(firing.count() > 0, "{alert} with {:?} fires in no case of {}", rule.labels, cases().display());
    }
}

#[test]
fn every_alert_tells_a_person_what_it_is_and_where_to_read_on() {
    let (rules, runbooks) = (Rules::read(), Runbooks::read());
    for (alert, rule) in rules.alerts() {
        for annotation in ["summary", "description", "runbook_url"] {
            assert!(rule.annotations.contains_key(annotation), "{alert} has no {annotation}");
        }
        assert!(["critical", "warning"].contains(&rule.labels["severity"].as_str()), "{alert}: {:?}", rule.labels);
        assert_eq!(rule.annotations["runbook_url"], format!("docs/alerts.md#{}", alert.to_lowercase()));
        let paragraph = runbooks.paragraph(alert);
        for part in ["**Means**", "**Look**", "**Do**", "**Harmless**"] {
            assert!(paragraph.contains(part), "docs/alerts.md: {alert} has no {part}");
        }
    }
    let alerts: BTreeSet<&str> = rules.alerts().map(|(alert, _)| alert).collect();
    let headings: BTreeSet<&str> = runbooks.headings().collect();
    assert_eq!(headings, alerts, "docs/alerts.md has other paragraphs than there are alerts");
}

#[test]
fn every_metric_of_a_rule_exists() {
    let (rules, known) = (Rules::read(), documented_metrics());
    let records: BTreeSet<&str> = rules.records().collect();
    for rule in &rules.rules {
        for name in promql::metrics(&rule.expr) {
            // Envoy's and the broker's are held against the real ones: see the live test.
            let exists = match name.starts_with("ackguard_") {
                true => known.contains(promql::family(&name)),
                false => !name.contains(':') || records.contains(name.as_str()),
            };
            assert!(exists, "{:?} asks for {name}, which nobody counts", rule.kind);
        }
    }
    for expression in Runbooks::read().expressions() {
        for name in promql::metrics(expression).iter().filter(|name| name.starts_with("ackguard_")) {
            assert!(known.contains(promql::family(name)), "docs/alerts.md asks for {name}, which nobody counts");
        }
    }
}
