//! What was found in a capture, for machines.

use serde_json::{Value, json};

use super::Replayed;
use super::changes::{Changes, Fate};
use super::tally::{Counts, DECISIONS, Key, Tally};
use crate::loaded::Loaded;

pub(super) fn report(replayed: &Replayed<'_>) -> Value {
    json!({
        "requests": replayed.records,
        "foreign": replayed.foreign,
        "unreadable": replayed.unread,
        "without_time": replayed.untimed,
        "answers_cut_short": replayed.cut,
        "policy": policy(replayed.loaded, replayed.stage, &replayed.tally),
        "against": replayed.other.as_ref().map(|other| {
            let mut against = policy(other.loaded, other.stage, &other.tally);
            if let Value::Object(against) = &mut against {
                against.insert("changed".to_owned(), json!(other.changes.count));
                against.insert("changes".to_owned(), changes(&other.changes, replayed.format.unit()));
            }
            against
        }),
    })
}

fn policy(loaded: &Loaded<'_>, stage: Option<usize>, tally: &Tally) -> Value {
    let rows = tally.rows.iter().map(|(key, counts)| merged(named(key), decisions(counts)));
    let violations = tally.violations.iter().map(|((key, (field, violation, action)), count)| {
        merged(named(key), json!({"field": field, "violation": violation, "action": action, "count": count}))
    });
    let tried = tally
        .tried
        .iter()
        .map(|((scope, rule), counts)| merged(json!({"scope": scope, "rule": rule}), decisions(counts)));
    let limits = tally.limits.iter().map(|([limit, tenant, operation], counts)| {
        merged(json!({"limit": limit, "tenant": tenant, "operation": operation}), decisions(counts))
    });
    json!({
        "file": loaded.file(),
        "version": loaded.policy.current.version,
        "stage": stage,
        "decisions": decisions(&tally.sum()),
        "rows": rows.collect::<Vec<_>>(),
        "violations": violations.collect::<Vec<_>>(),
        "tried": tried.collect::<Vec<_>>(),
        "limits": limits.collect::<Vec<_>>(),
    })
}

fn named(key: &Key) -> Value {
    json!({"tenant": key.tenant, "operation": key.operation, "rule": rule(&key.rule)})
}

/// A rule's name; null where none was asked.
fn rule(name: &str) -> Value {
    if name.is_empty() { Value::Null } else { json!(name) }
}

fn decisions(counts: &Counts) -> Value {
    let counts = DECISIONS.iter().zip(counts).map(|(decision, count)| (decision.name().to_owned(), json!(count)));
    Value::Object(counts.collect())
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

fn changes(changes: &Changes, unit: &str) -> Value {
    let fate = |fate: &Fate| json!({"rule": rule(&fate.rule), "limit": fate.limit, "decision": fate.decision});
    let kinds = changes.kinds.iter().map(|(kind, cases)| {
        let examples = cases
            .examples
            .iter()
            .map(|example| json!({unit: example.number, "before": example.before, "after": example.after}));
        json!({
            "tenant": kind.tenant,
            "operation": kind.operation,
            "before": fate(&kind.before),
            "after": fate(&kind.after),
            "count": cases.count,
            "examples": examples.collect::<Vec<_>>(),
        })
    });
    Value::Array(kinds.collect())
}
