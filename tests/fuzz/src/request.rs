//! The law of requests, through the T-MQ dialect and a policy.

use std::sync::LazyLock;

use ackguard::dialect::{Dialect, Reading, Route};
use ackguard::http::RequestHead;
use ackguard::operation::{Operation, Unreadable};
use ackguard::policy::verdict::{Outcome, Refusal, Verdict};
use ackguard::policy::{Caller, Policy, Rule, decide, decide_unreadable};
use serde_json::{Map, Value};

/// Policies that between them take every way of a guard: change, refuse, allow.
static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let guards = [
        r#"{"auto_ack":"rewrite"}"#,
        r#"{"ack_timeout":{"zero":"reject","short":"reject","long":"reject","missing":"reject"},
            "extend":{"short":"reject","long":"reject"},"max_attempts":{"outside":"reject"},
            "dead_letter":{"missing":"reject"}}"#,
        r#"{"ack_timeout":{"zero":"allow","short":"allow","long":"allow","missing":"allow"},
            "extend":{"short":"allow","long":"allow"},"auto_ack":"allow","max_attempts":{"outside":"allow"},
            "dead_letter":{"required":false},"undecidable":"forward"}"#,
        r#"{"extend":{"short":"clamp"},"max_attempts":{"min":5,"max":9,"default":7},
            "dead_letter":{"topic":"{group}.{topic}.{group}"}}"#,
    ];
    let policy = |guards| {
        let document = format!(
            r#"{{"apiVersion":"ackguard/v1","traffic":[{{"match":{{"path":"/tmq/*"}},"dialect":"tmq"}}],
                "tenant":[{{"header":"x-dingtalk-mq-appkey"}}],"defaults":{guards},
                "rules":[{{"name":"a","match":{{"topic":"a*","group":"*b?","tenant":"t*"}}}}]}}"#
        );
        Policy::parse(document.as_bytes()).unwrap_or_else(|faults| panic!("{faults}"))
    };
    guards.map(policy).into()
});

/// Any request gets a verdict. `input` is a method, a space and a path, a newline, and the body.
///
/// A refusal is JSON. An edit leaves every member alone that the policy does not guard, and the policy has nothing to
/// say against what it made.
pub fn request(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (line, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut words = line.splitn(2, |byte| *byte == b' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let head = RequestHead::new(vec![
        (":method".to_owned(), method.to_vec()),
        (":path".to_owned(), path.to_vec()),
        (":authority".to_owned(), path.iter().rev().copied().collect()),
        ("x-dingtalk-mq-appkey".to_owned(), method.to_vec()),
    ]);
    let _: Option<_> = Dialect::Tmq.subscribed(body);
    let route = Dialect::Tmq.route(&head);
    for policy in POLICIES.iter() {
        let dialect = policy.dialect(&head);
        if let (Some(route), Some(dialect)) = (&route, dialect) {
            judged(dialect, policy, &head, route, body);
        }
    }
}

fn judged(dialect: Dialect, policy: &Policy, head: &RequestHead, route: &Route, body: &[u8]) {
    let (verdict, reading) = judge(dialect, policy, head, route, body);
    match (&verdict.outcome, reading) {
        (Outcome::Pass, _) => {}
        (Outcome::Reject(refusal), _) => told(dialect, refusal),
        (Outcome::Edit(changes), Ok(reading)) => {
            let edited = dialect.write(body, &reading.layout, changes).expect("a layout of this body");
            let (again, _) = judge(dialect, policy, head, route, &edited);
            assert_eq!(again.outcome, Outcome::Pass, "{}", String::from_utf8_lossy(&edited));
            assert_eq!(unguarded(&edited), unguarded(body), "members that no policy guards");
        }
        (Outcome::Edit(_), Err(fault)) => panic!("an edit of what cannot be read: {fault:?}"),
    }
}

fn judge(
    dialect: Dialect,
    policy: &Policy,
    head: &RequestHead,
    route: &Route,
    body: &[u8],
) -> (Verdict, Result<Reading, Unreadable>) {
    let reading = dialect.read(route, body);
    let verdict = match &reading {
        Ok(reading) => decide(policy, rule(dialect, policy, head, route, Some(&reading.operation)), &reading.operation),
        Err(fault) => decide_unreadable(rule(dialect, policy, head, route, None), fault.clone()),
    };
    (verdict, reading)
}

fn rule<'p>(
    dialect: Dialect,
    policy: &'p Policy,
    head: &RequestHead,
    route: &Route,
    operation: Option<&Operation>,
) -> &'p Rule {
    let tenant = policy.tenant(head, |_| None);
    let topic = operation.and_then(|operation| operation.topic.as_ref());
    policy.rule(&Caller { tenant: &tenant, topic, group: route.group.as_ref(), dialect })
}

fn told(dialect: Dialect, refusal: &Refusal) {
    let reply = dialect.refuse(refusal, Some("request"));
    let error: Value = serde_json::from_str(&reply.body).expect("an error of JSON");
    assert!(error["code"].is_string() && error["message"].is_string(), "{error}");
    assert!((400..500).contains(&reply.status), "{}", reply.status);
}

/// The members of a body that no policy guards; `None` where serde_json does not read it, which is stricter about
/// numbers and escapes than the filter has to be.
fn unguarded(body: &[u8]) -> Option<Map<String, Value>> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    for field in ackguard::operation::Field::ALL {
        members.remove(Dialect::Tmq.field_name(field));
    }
    Some(members)
}
