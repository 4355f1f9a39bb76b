//! The dashboard by itself: complete, in order, and about metrics that exist.

use std::collections::BTreeSet;
use std::fs;

use monitoring::{Dashboard, Rules, Runbooks, documented_metrics, filled, promql, promtool};
use serde_json::{Value, json};

#[test]
fn each_panel_says_what_it_shows_in_which_unit_from_which_datasource() {
    let dashboard = Dashboard::read();
    assert!(dashboard.schema_version >= 39, "Grafana 11 writes 39");
    for panel in dashboard.charts() {
        let title = &panel.title;
        assert!(
            !title.is_empty() && !panel.description.is_empty(),
            "panel {} lacks a title or a description",
            panel.id
        );
        assert!(!panel.targets.is_empty(), "{title} shows nothing");
        let defaults = &panel.fields["defaults"];
        assert!(defaults["unit"].is_string(), "{title} has no unit");
        assert!(defaults["thresholds"]["steps"].is_array(), "{title} has no thresholds");
        for target in &panel.targets {
            assert_eq!(target.datasource, json!({ "type": "prometheus", "uid": "${datasource}" }), "{title}");
        }
    }
}

#[test]
fn panels_have_numbers_of_their_own_and_do_not_overlap() {
    let dashboard = Dashboard::read();
    let numbers: BTreeSet<u32> = dashboard.panels.iter().map(|panel| panel.id).collect();
    assert_eq!(numbers.len(), dashboard.panels.len());
    for (index, panel) in dashboard.panels.iter().enumerate() {
        let a = panel.place;
        assert!(a.x + a.w <= 24, "{} is wider than the dashboard", panel.title);
        for other in &dashboard.panels[..index] {
            let b = other.place;
            let apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
            assert!(apart, "{} lies over {}", panel.title, other.title);
        }
    }
}

#[test]
fn each_link_leads_to_a_runbook_and_each_alert_is_reached_from_a_panel() {
    let (dashboard, runbooks) = (Dashboard::read(), Runbooks::read());
    let known: BTreeSet<String> = runbooks.headings().map(str::to_lowercase).collect();
    let mut reached = BTreeSet::new();
    for panel in dashboard.charts() {
        for link in &panel.links {
            let anchor =
                link.url.strip_prefix("${runbooks}#").unwrap_or_else(|| panic!("{}: {}", panel.title, link.url));
            assert!(known.contains(anchor), "{} leads to {anchor}, which is no runbook", panel.title);
            reached.insert(anchor.to_owned());
        }
    }
    // That one is about the absence of what is shown here.
    let without_a_panel = BTreeSet::from(["ackguardbrokernotscraped".to_owned()]);
    let missing: Vec<_> = known.difference(&reached).filter(|name| !without_a_panel.contains(*name)).collect();
    assert!(missing.is_empty(), "no panel leads to {missing:?}");
}

#[test]
fn every_variable_is_defined_and_every_metric_exists() {
    let (dashboard, rules, documented) = (Dashboard::read(), Rules::read(), documented_metrics());
    let records: BTreeSet<&str> = rules.records().collect();
    let names: BTreeSet<&str> = dashboard.variables().iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["datasource", "job", "instance", "dialect", "broker", "runbooks"]));
    for panel in dashboard.charts() {
        for target in &panel.targets {
            for name in promql::metrics(&filled(&target.expr)) {
                // Envoy's and the broker's are held against the real ones: see the live test.
                let exists = match name.starts_with("ackguard_") {
                    true => documented.contains(promql::family(&name)),
                    false => !name.contains(':') || records.contains(name.as_str()),
                };
                assert!(exists, "{} asks for {name}, which nobody counts", panel.title);
            }
        }
    }
}

/// A counter with labels is there from its first event on, which `increase()` alone does not see.
#[test]
fn panels_that_count_events_count_a_series_that_begins_above_0() {
    let violations = r#"ackguard_violations_total{job="ackguard",field="ack_timeout",kind="zero",action="clamp"}"#;
    let failed = r#"ackguard_request_duration_ms_count{job="ackguard",operation="ack",code="503"}"#;
    let archived = r#"tmq_messages_archived_total{job="tmq-broker",topic="orders",group="workers"}"#;
    let forgotten = r#"tmq_messages_forgotten_total{job="tmq-broker",topic="orders",group="workers"}"#;
    let dead = r#"tmq_messages_dead_lettered_total{job="tmq-broker",topic="orders",group="workers"}"#;
    let series: [(&str, &[&str]); 7] = [
        ("Lost messages", &[archived, forgotten]),
        ("Dead letters", &[dead]),
        ("Zero ack timeouts", &[violations]),
        ("Acks that failed", &[failed]),
        ("By tenant", &[r#"ackguard_tenant_violations_total{job="ackguard",tenant="t"}"#]),
        ("By rule and what it does", &[violations]),
        ("Reloads", &[r#"ackguard_policy_reloads_total{job="ackguard",result="accepted"}"#]),
    ];
    let dashboard = Dashboard::read();
    let cases = series.iter().map(|(title, series)| {
        let panel =
            dashboard.charts().find(|panel| panel.title == *title).unwrap_or_else(|| panic!("no panel {title}"));
        let shown = format!("sum({})", filled(&panel.targets[0].expr));
        let values = series.iter().map(|series| json!({ "series": series, "values": "_x10 3x20" }));
        let at = |time: &str, value: usize| {
            // Shown as 0, or not at all, is both that nothing happened.
            let expr = format!("{shown} or vector(0)");
            json!({ "expr": expr, "eval_time": time, "exp_samples": [{ "labels": "{}", "value": value }] })
        };
        json!({
            "name": title, "interval": "1m", "input_series": values.collect::<Vec<_>>(),
            "promql_expr_test": [at("9m", 0), at("12m", 3 * series.len()), at("20m", 0)],
        })
    });
    let file = tempfile::NamedTempFile::new().expect("a file");
    let document = json!({ "evaluation_interval": "1m", "tests": cases.collect::<Vec<_>>() });
    fs::write(file.path(), document.to_string()).expect("space");
    let found = promtool(&["test", "rules", file.path().to_str().expect("a path in UTF-8")], "");
    assert_eq!(found.status, Some(0), "{}", found.text);
}

#[test]
fn what_provisions_grafana_names_one_prometheus_and_one_folder() {
    let read = |path: &str| -> Value {
        let text = fs::read_to_string(stack::root().join("envoy/grafana/provisioning").join(path)).expect("a file");
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let (datasources, dashboards) = (read("datasources/prometheus.yaml"), read("dashboards/ackguard.yaml"));
    assert_eq!([&datasources["apiVersion"], &dashboards["apiVersion"]], [1, 1]);
    assert_eq!(datasources["datasources"][0]["type"], "prometheus");
    assert_eq!(datasources["datasources"][0]["url"], "$PROMETHEUS_URL");
    assert_eq!(dashboards["providers"][0]["type"], "file");
    assert!(dashboards["providers"][0]["options"]["path"].is_string());
}
