//! The law of requests, through the T-MQ dialect and a policy.

use ackguard::dialect::Dialect;
use ackguard::http::{Reply, RequestHead};
use ackguard::judgement::{Effect, Entry, Guarded, Judgement, Ruling, enter, judge};
use ackguard::limit::Limiter;
use ackguard::operation::{Field, LeaseChange, Millis, Receipt, Topic};
use ackguard::policy::Policy;
use ackguard::policy::rollout::Side;
use ackguard::policy::verdict::Outcome;
use ackguard::shared_memory::Unshared;
use serde_json::{Map, Value};

thread_local! {
    static POLICIES: [Policy; 4] = policies();
}

/// Policies that between them take every way of a guard (change, refuse, allow) for a rule that decides, for one that is
/// only tried, and for a candidate.
fn policies() -> [Policy; 4] {
    let guards = [
        r#"{"auto_ack":"rewrite","max_in_flight":3}"#,
        r#"{"ack_timeout":{"zero":"reject","short":"reject","long":"reject","missing":"reject"},
            "extend":{"short":"reject","long":"reject"},"max_attempts":{"outside":"reject"},
            "dead_letter":{"missing":"reject"}}"#,
        r#"{"ack_timeout":{"zero":"allow","short":"allow","long":"allow","missing":"allow"},
            "extend":{"short":"allow","long":"allow"},"auto_ack":"allow","max_attempts":{"outside":"allow"},
            "dead_letter":{"required":false},"undecidable":"forward"}"#,
        r#"{"extend":{"short":"clamp"},"max_attempts":{"min":5,"max":9,"default":7},
            "dead_letter":{"topic":"{group}.{topic}.{group}"}}"#,
    ];
    guards.map(|guards| {
        let document = format!(
            r#"{{"apiVersion":"ackguard/v1","traffic":[{{"match":{{"path":"/tmq/*"}},"dialect":"tmq"}}],
                "tenant":[{{"header":"x-dingtalk-mq-appkey"}}],"defaults":{guards},"rules":[
                    {{"name":"a","match":{{"topic":"a*","group":"*b?","tenant":"P*"}},"auto_ack":"rewrite"}},
                    {{"name":"b","match":{{"topic":"*e*"}},"mode":"shadow","ack_timeout":{{"max":"20s"}}}}],
                "rollout":{{"candidate":{{"version":"2","defaults":{{"ack_timeout":{{"min":"9s"}},"auto_ack":"rewrite"}}}},
                    "stages":[{{"percent":50}}]}},
                "limits":[
                    {{"name":"m","operations":["any"],"key":["tenant","topic"],"rate":"1/s","burst":2,"cost":"messages"}},
                    {{"name":"b","operations":["publish","ack"],"rate":"9/s","cost":"bytes","over":"shadow"}}]}}"#
        );
        Policy::parse(document.as_bytes()).unwrap_or_else(|faults| panic!("{faults}"))
    })
}

/// Any request is judged. `input` is a method, a space and a path, a newline, and the body.
///
/// A refusal is JSON, what is told of it fits into a header and a line of a log. An edit leaves every member alone that no
/// policy guards, and the policy has nothing to say against what it made.
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
    leases(body);
    POLICIES.with(|policies| {
        for policy in policies {
            let Entry::Guarded(guarded) = enter(policy, &head, |_| None) else { continue };
            for side in [Side::Current, Side::Candidate, Side::Tried] {
                judged(policy, &guarded, side, body);
            }
        }
    });
}

/// What an answer tells of leases is the same in one piece and byte by byte, and it is what serde_json finds.
fn leases(answer: &[u8]) {
    assert_eq!(read(answer, answer.len()), read(answer, 1));
    if let Ok(value) = serde_json::from_slice::<Value>(answer) {
        // As serde_json writes it, no key stands twice: of two, it takes the last one.
        let text = value.to_string();
        let (whole, told) = read(text.as_bytes(), text.len());
        if whole {
            assert_eq!(told, found(&value), "{value}");
        }
    }
}

/// Reads an answer in pieces of so many bytes: whether all of it could be read, and what it tells.
fn read(answer: &[u8], size: usize) -> (bool, Vec<LeaseChange>) {
    let (mut reader, mut told) = (Dialect::Tmq.answer_reader(), Vec::new());
    let mut pieces = answer.chunks(size.max(1));
    let whole = pieces.all(|piece| reader.push(piece, &mut |change| told.push(change)).is_ok());
    (whole && reader.end().is_ok(), told)
}

/// What serde_json finds of leases in an answer, in the order of its text.
fn found(answer: &Value) -> Vec<LeaseChange> {
    let elements = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let receipt = |value: &Value| value.as_str().map(Receipt::of);
    let number = |value: &Value| ackguard::json::text::integer(&value.as_number()?.to_string());
    let members = answer.as_object().into_iter().flatten();
    let changes = members.flat_map(|(list, value)| {
        let change = |element: Value| match list.as_str() {
            "messages" => {
                let (from, to) = (number(&element["deliveredAt"]), number(&element["ackDeadline"]));
                let held = from.zip(to).map(|(from, to)| to.saturating_sub(from));
                let ack_timeout = Millis(held.or_else(|| number(&element["ackTimeout"]))?);
                Some(LeaseChange::Begun { receipt: receipt(&element["receipt"])?, ack_timeout })
            }
            "extended" => {
                let deadline = u64::try_from(number(&element["ackDeadline"])?).unwrap_or(0);
                Some(LeaseChange::Extended { receipt: receipt(&element["receipt"])?, deadline })
            }
            "failed" => Some(LeaseChange::Ended { receipt: receipt(&element["receipt"])? }),
            "acked" | "rejected" => Some(LeaseChange::Ended { receipt: receipt(&element)? }),
            _ => None,
        };
        elements(value).into_iter().filter_map(change).collect::<Vec<_>>()
    });
    changes.collect()
}

fn judged(policy: &Policy, guarded: &Guarded, side: Side, body: &[u8]) {
    let rejudge = |body| judge(policy, guarded, side, Ok(body), || Some(Topic("able".to_owned())));
    let mut judgement = rejudge(body);
    let (mut limiter, memory) = (Limiter::default(), Unshared::default());
    judgement.ask_limits(policy, guarded, &mut limiter, &memory, || 1_790_000_000_000_000_000);
    judgement.ask_in_flight(guarded, body, &memory, || 1_790_000_000_000);
    if let Some(refused) = &judgement.limits.refused
        && let Effect::Answer(reply) = &refused.effect
    {
        answer(reply);
    }
    for line in judgement.log() {
        assert!(!line.contains(char::is_control), "{line:?} is more than a line of a log");
    }
    assert!(!judgement.counters().is_empty());
    for (index, ruling) in rulings(&judgement).enumerate() {
        for told in ruling.told.iter() {
            assert!(told.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{told:?} is no header's value");
        }
        match &ruling.effect {
            Effect::Pass => {}
            Effect::Answer(reply) => answer(reply),
            Effect::Edit(edited) => {
                let again = rejudge(edited);
                let outcome = rulings(&again).nth(index).map(|ruling| &ruling.verdict.outcome);
                assert_eq!(outcome, Some(&Outcome::Pass), "{}", String::from_utf8_lossy(edited));
                assert_eq!(unguarded(edited), unguarded(body), "members that no policy guards");
            }
        }
    }
}

/// The ruling that is carried out, and those that are only tried.
fn rulings<'j, 'p>(judgement: &'j Judgement<'p>) -> impl Iterator<Item = &'j Ruling<'p>> {
    judgement.ruling.iter().chain(judgement.trials.iter().map(|trial| &trial.ruling))
}

pub(crate) fn answer(reply: &Reply) {
    let error: Value = serde_json::from_str(&reply.body).expect("an error of JSON");
    assert!(error["code"].is_string() && error["message"].is_string(), "{error}");
    assert!((400..500).contains(&reply.status), "{}", reply.status);
}

/// The members of a body that no policy guards; `None` where serde_json does not read it, which is stricter about
/// numbers and escapes than the filter has to be.
fn unguarded(body: &[u8]) -> Option<Map<String, Value>> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    for field in Field::ALL {
        members.remove(Dialect::Tmq.field_name(field));
    }
    Some(members)
}
