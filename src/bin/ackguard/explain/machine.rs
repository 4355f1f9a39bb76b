//! An explanation for machines.

use ackguard::judgement::{Effect, Guarded, Judgement, Ruling};
use ackguard::policy::limit::Reach;
use ackguard::policy::rollout::Side;
use ackguard::policy::verdict::Refusal;
use ackguard::policy::{Mode, write_duration, write_rate};
use ackguard::telemetry::{Decision, Scope};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Explained;
use super::findings::{asked, in_force};
use super::limits::{Asking, asking, written};
use super::origin::Origins;
use crate::gateway::{Judged, spares_limits};

pub(super) fn report(explained: &Explained<'_>) -> Value {
    let (method, target) = &explained.request.line;
    let mut report = json!({
        "request": {"method": method, "target": target},
        "tenant": explained.tenant,
        "tenant_source": explained.tenant_source(),
        "decision": Decision::Pass.name(),
        "goes_on": goes_on(explained),
    });
    let more = match &explained.judged {
        Judged::Foreign => json!({"dialect": null}),
        Judged::Free { dialect, route } => json!({
            "dialect": dialect.name(),
            "operation": route.as_ref().map(|route| route.kind.name()),
            "group": route.as_ref().and_then(|route| route.group.as_ref()).map(|group| &group.0),
            "topic": route.as_ref().and_then(|route| route.topic.as_ref()).map(|topic| &topic.0),
        }),
        Judged::Guarded { guarded, judgement } => judged(explained, guarded, judgement),
    };
    if let (Value::Object(report), Value::Object(more)) = (&mut report, more) {
        report.extend(more);
    }
    report
}

fn judged(explained: &Explained<'_>, guarded: &Guarded, judgement: &Judgement<'_>) -> Value {
    let dialect = guarded.dialect;
    let read = judgement.read.as_ref();
    let topic = read.ok().and_then(|operation| operation.topic.as_ref()).or(guarded.route.topic.as_ref());
    let settings = read.ok().map(|operation| {
        let settings = asked(dialect, operation).into_iter();
        let settings = settings.map(|asked| (asked.name.to_owned(), json!(asked.said)));
        Value::Object(settings.collect())
    });
    let unreadable = read.err().map(|fault| json!({"reason": fault.reason.name(), "message": fault.message}));
    let effect = judgement.effect();
    let trials = judgement.trials.iter().map(|trial| {
        let side = if trial.scope == Scope::Rollout { Side::Candidate } else { judgement.side };
        let mut told = ruling(explained, side, &trial.ruling);
        if let Value::Object(told) = &mut told {
            told.insert("scope".to_owned(), json!(trial.scope.name()));
            told.remove("fields");
        }
        told
    });
    json!({
        "dialect": dialect.name(),
        "operation": judgement.kind.name(),
        "group": guarded.route.group.as_ref().map(|group| &group.0),
        "consumer": guarded.route.consumer.as_ref().map(|consumer| &consumer.0),
        "topic": topic.map(|topic| &topic.0),
        "settings": settings,
        "unreadable": unreadable,
        "stage": explained.stage,
        "side": judgement.side.name(),
        "ruling": judgement.ruling.as_ref().map(|one| ruling(explained, judgement.side, one)),
        "limits": limits(explained, guarded, judgement),
        "decision": judgement.decision().name(),
        "trials": trials.collect::<Vec<_>>(),
        "answer": match effect {
            Effect::Answer(reply) => json!({
                "status": reply.status,
                "headers": reply.headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
                "body": reply.body,
            }),
            Effect::Pass | Effect::Edit(_) => Value::Null,
        },
    })
}

/// The limits that were asked; none where a rule refuses the request.
fn limits(explained: &Explained<'_>, guarded: &Guarded, judgement: &Judgement<'_>) -> Vec<Value> {
    if spares_limits(judgement) {
        return Vec::new();
    }
    let told = |name: &str| {
        let refused = judgement.limits.refused.as_ref();
        let refused =
            refused.filter(|refused| matches!(&refused.refusal, Refusal::Throttled { limit, .. } if **limit == *name));
        let tried = || judgement.limits.tried.iter().find(|tried| &*tried.limit.name == name)?.refused.as_ref();
        refused.map(|refused| &refused.told).or_else(tried)
    };
    let asking = asking(explained.loaded, guarded, judgement).into_iter();
    asking
        .map(|Asking { limit, line, key, cost }| {
            let key = key.into_iter().map(|(key, value)| (key.name().to_owned(), json!(value)));
            let (rate, burst, service) = match &limit.reach {
                Reach::Local { rate, burst } => (Some(write_rate(*rate)), Some(burst), None),
                Reach::Fleet(service) => (None, None, Some(service)),
            };
            json!({
                "limit": *limit.name,
                "line": line,
                "key": Value::Object(key.collect()),
                "cost": cost,
                "unit": limit.cost.name(),
                "rate": rate,
                "burst": burst,
                "global": service.map(|service| json!({
                    "cluster": *service.cluster,
                    "domain": *service.domain,
                    "timeout": write_duration(service.timeout),
                    "on_error": written(service.on_error),
                })),
                "over": if limit.over == Mode::Enforce { "reject" } else { "shadow" },
                "refused": told(&limit.name),
            })
        })
        .collect()
}

fn ruling(explained: &Explained<'_>, side: Side, ruling: &Ruling<'_>) -> Value {
    let loaded = explained.loaded;
    let place = Origins::of(&loaded.node, ruling.rule, side).rule();
    let fields = in_force(loaded, side, ruling)
        .into_iter()
        .map(|field| json!({"field": field.path, "value": field.value, "by": field.by, "line": field.line}));
    let findings = ruling.verdict.findings.iter().map(|finding| {
        json!({
            "field": finding.field.name(),
            "violation": finding.violation.name(),
            "action": finding.action.name(),
        })
    });
    json!({
        "version": ruling.set.version,
        "mode": if ruling.set.mode == Mode::Enforce { "enforce" } else { "shadow" },
        "rule": ruling.rule.name.as_ref(),
        "file": loaded.file(),
        "line": loaded.line(place),
        "fields": fields.collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
        "header": ruling.told,
    })
}

/// The message that goes on, its body in base64, and the comparison that people are shown.
fn goes_on(explained: &Explained<'_>) -> Value {
    let effect = explained.effect();
    let body = match effect {
        Effect::Answer(_) => return Value::Null,
        Effect::Edit(edited) => edited,
        Effect::Pass => &explained.request.body,
    };
    let changed = explained.comparison();
    json!({
        "edited": matches!(effect, Effect::Edit(_)),
        "body_b64": BASE64_STANDARD.encode(body),
        "diff": changed.iter().map(|line| format!("{}{}", line.tag, line.text)).collect::<Vec<_>>(),
    })
}
