//! Broker, Envoy and Prometheus as users run them, under traffic that makes every metric appear: each panel shows something,
//! each rule evaluates, and each command of the runbooks is answered.

mod client;
mod stand;
mod traffic;

use std::collections::BTreeSet;
use std::sync::Arc;

use monitoring::{Dashboard, Rules, Runbooks, documented_metrics, filled, promql, promtool};
use serde_json::{Value, json};
use stack::until;

use crate::stand::Stand;

/// Alerts that this traffic fires as soon as they are evaluated: those without a time to wait for.
const FIRING: [&str; 5] = [
    "AckGuardZeroAckTimeout",
    "AckGuardMessagesLost",
    "AckGuardDeadLettersGrowing",
    "AckGuardPolicyRefused",
    "AckGuardLossBurnsBudget",
];

/// Alerts that nothing here is a reason for.
const SILENT: [&str; 9] = [
    "AckGuardZeroAckTimeoutPassed",
    "AckGuardNotScraped",
    "AckGuardMetricsMissing",
    "AckGuardBrokerNotScraped",
    "AckGuardNoHealthyBroker",
    "AckGuardFilterTrapped",
    "AckGuardPoliciesDiffer",
    "AckGuardRolloutRolledBack",
    "AckGuardRolloutHeld",
];

/// Metrics of what needs a full table or many workers at one bucket, which a test of seconds cannot bring about for sure, or
/// answers that are no JSON, of which this broker has none.
const NOT_PROVOKED: [&str; 4] = [
    "ackguard_evictions_total",
    "ackguard_limit_contention_total",
    "ackguard_limit_lost_writes_total",
    "ackguard_unread_answers_total",
];

/// What `promtool` has against the filter's metrics: Envoy writes no help for any metric, and the histogram's unit is a part of
/// its name, which dashboards and Envoy's buckets know.
const AGAINST_ANY: &str = "no help text";
const AGAINST_ONE: (&str, &str) = ("ackguard_request_duration_ms", "metric names should not contain abbreviated units");

/// How many samples of an answer are numbers.
fn numbers(data: &Value) -> usize {
    let samples = data["result"].as_array().into_iter().flatten();
    samples.filter(|sample| sample["value"][1].as_str().is_some_and(|value| value != "NaN")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_shows_something_and_every_rule_evaluates() {
    let stand = Arc::new(Stand::start().await);
    let _load = traffic::start(&stand).await;
    panels_show_something(&stand).await;
    rules_evaluate(&stand).await;
    metrics_exist(&stand).await;
    metrics_are_well_formed(&stand).await;
    runbooks_are_answered(&stand).await;
}

async fn panels_show_something(stand: &Stand) {
    let dashboard = Dashboard::read();
    for panel in dashboard.charts() {
        for target in &panel.targets {
            let expression = filled(&target.expr);
            let shown = async || {
                let answer = stand.prometheus.query(&expression).await;
                let data = answer.unwrap_or_else(|error| panic!("{}: {error}", panel.title));
                (numbers(&data) > 0).then_some(())
            };
            if let Err(timed_out) = until(&format!("something in {}", panel.title), shown).await {
                panic!("{timed_out}: {expression}\n{}", stand.statistics().await);
            }
        }
    }
    for expression in dashboard.annotations() {
        stand.prometheus.query(expression).await.unwrap_or_else(|error| panic!("{error}"));
    }
    for variable in dashboard.variables() {
        let Some(definition) = &variable.definition else { continue };
        let inside = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (series, label) = inside.and_then(|inside| inside.rsplit_once(", ")).expect("label_values(series, label)");
        let data = stand.prometheus.query(&filled(series)).await.unwrap_or_else(|error| panic!("{error}"));
        let values =
            data["result"].as_array().into_iter().flatten().filter(|sample| sample["metric"][label].is_string());
        assert!(values.count() > 0, "the variable {} has no values", variable.name);
    }
}

async fn rules_evaluate(stand: &Stand) {
    for rule in &Rules::read().rules {
        let answer = stand.prometheus.query(&rule.expr).await;
        answer.unwrap_or_else(|error| panic!("{:?}: {error}", rule.kind));
    }
    // Prometheus's own evaluation, with labels, annotations and what rules record for one another.
    let evaluated = async || {
        let data = stand.prometheus.get("/api/v1/rules").await.unwrap_or_else(|error| panic!("{error}"));
        let groups = data["groups"].as_array().expect("groups");
        let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")).collect();
        for rule in &rules {
            assert_ne!(rule["health"], "err", "{rule}");
        }
        rules.iter().all(|rule| rule["health"] == "ok").then_some(())
    };
    until("an evaluation of every rule", evaluated).await.unwrap_or_else(|error| panic!("{error}"));
    let silent = |alert: &str| SILENT.contains(&alert);
    for (alert, rule) in Rules::read().alerts().filter(|(alert, _)| silent(alert)) {
        // A loaded machine may keep a broker's first health check waiting, or a scrape: what counts is that it passes.
        let is_silent = async || {
            let data = stand.prometheus.query(&rule.expr).await.unwrap_or_else(|error| panic!("{error}"));
            (data["result"] == json!([])).then_some(())
        };
        until(&format!("a moment without {alert}"), is_silent).await.unwrap_or_else(|error| panic!("{error}"));
    }
    for alert in FIRING {
        let expression = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}");
        let fires = async || {
            let data = stand.prometheus.query(&expression).await.unwrap_or_else(|error| panic!("{error}"));
            (numbers(&data) > 0).then_some(())
        };
        until(&expression, fires).await.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The documented metrics of the filter are there, so that no panel above showed the mere 0 of an expression whose metric is
/// missing. Envoy's and the broker's are in no document of this repository: what is asked for must be there in fact.
async fn metrics_exist(stand: &Stand) {
    let quiet = BTreeSet::from(NOT_PROVOKED.map(str::to_owned));
    for name in documented_metrics().difference(&quiet) {
        let series = format!("{{__name__=~\"{name}(_bucket)?\"}}");
        let counted = async || {
            let data = stand.prometheus.query(&series).await.unwrap_or_else(|error| panic!("{error}"));
            (numbers(&data) > 0).then_some(())
        };
        if let Err(timed_out) = until(name, counted).await {
            panic!("{timed_out}\n{}", stand.statistics().await);
        }
    }
    let (rules, dashboard, runbooks) = (Rules::read(), Dashboard::read(), Runbooks::read());
    let of_rules = rules.rules.iter().map(|rule| rule.expr.clone());
    let of_panels = dashboard.charts().flat_map(|panel| &panel.targets).map(|target| filled(&target.expr));
    let of_runbooks = runbooks.expressions().into_iter().map(str::to_owned);
    let expressions = of_rules.chain(of_panels).chain(of_runbooks);
    let names: BTreeSet<String> = expressions.flat_map(|expression| promql::metrics(&expression)).collect();
    for name in names.iter().filter(|name| name.starts_with("envoy_") || name.starts_with("tmq_")) {
        let data = stand.prometheus.query(name).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(numbers(&data) > 0, "nobody has a metric {name}");
    }
}

/// What a scrape brings can be read, and there is nothing new against the filter's names.
async fn metrics_are_well_formed(stand: &Stand) {
    let scraped = stand.envoy.admin_get("/stats/prometheus").await.unwrap_or_else(|error| panic!("{error}"));
    let found = promtool(&["check", "metrics"], &scraped);
    assert_eq!(found.status, Some(3), "Envoy's own names are not as is usual, and all can be read:\n{}", found.text);
    let ours =
        || found.text.lines().filter_map(|line| line.split_once(' ')).filter(|(name, _)| name.starts_with("ackguard_"));
    let unexpected: Vec<_> =
        ours().filter(|&(name, what)| what != AGAINST_ANY && (name, what) != AGAINST_ONE).collect();
    assert_eq!(unexpected, [("", ""); 0]);
    let named: BTreeSet<&str> = ours().map(|(name, _)| name).collect();
    assert!(named.len() > 20, "promtool read {named:?} only");
}

async fn runbooks_are_answered(stand: &Stand) {
    let runbooks = Runbooks::read();
    let requests = runbooks.requests();
    assert!(!requests.is_empty());
    for (port, path) in requests {
        let address = match port {
            9901 => stand.envoy.admin(),
            8081 => stand.broker.admin(),
            other => panic!("docs/alerts.md asks port {other}"),
        };
        let body = client::get(address, &path).await;
        assert!(!body.trim().is_empty(), "http://127.0.0.1:{port}{path} of docs/alerts.md shows nothing");
    }
    for expression in runbooks.expressions() {
        stand.prometheus.query(expression).await.unwrap_or_else(|error| panic!("docs/alerts.md: {error}"));
    }
}
