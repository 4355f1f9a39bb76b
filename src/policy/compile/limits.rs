//! `limits`: what may pass in which time.

use std::rc::Rc;

use crate::hash::HashSet;
use crate::operation::{Kind, Millis};
use crate::policy::limit::{
    Cost, IN_FLIGHT, Key, Limit, MAX_FILL, MAX_LIMITS, MAX_RATE, MAX_SERVICE_NAME, OnError, Operations, Rate, Reach,
    Service,
};
use crate::policy::section::Section;
use crate::policy::units::{rate, write_duration, write_rate};
use crate::policy::wording::quoted_text;
use crate::policy::{Mode, Problem};

/// The longest that a request may wait for the rate limit service.
const MAX_TIMEOUT: Millis = Millis(1_000);
/// The most tokens that a bucket may hold: those of the greatest rate over the longest time.
const MAX_BURST: i64 = (MAX_RATE as i64) * (MAX_FILL.0 / 1_000);

/// Reads the limits of a document.
#[inline(never)]
pub(super) fn read(document: &mut Section<'_, '_>) -> Vec<Rc<Limit>> {
    let entries = document.short_list("limits", "limits", MAX_LIMITS).unwrap_or_default();
    let mut names = HashSet::default();
    let mut limits = Vec::with_capacity(entries.len());
    for (index, node) in entries.iter().enumerate() {
        if let Some(mut entry) = document.element("limits", index, node) {
            let name = name(&mut entry, &mut names);
            let limit = limit(name, &mut entry, &limits);
            entry.close(&[]);
            limits.extend(limit.map(Rc::new));
        }
    }
    limits
}

/// The name of a limit; a fault where it has none of its own.
fn name<'n>(entry: &mut Section<'n, '_>, names: &mut HashSet<&'n str>) -> &'n str {
    entry.require("name", "a name for headers, logs and metrics");
    let name = entry.label("name").unwrap_or_default();
    if name == IN_FLIGHT {
        entry.fault("name", Problem::Reserved { name: name.to_owned() });
    } else if !name.is_empty() && !names.insert(name) {
        entry.fault("name", Problem::Taken { name: name.to_owned(), by: "an earlier limit" });
    }
    name
}

/// A limit that stands after these `earlier` ones.
fn limit(name: &str, entry: &mut Section<'_, '_>, earlier: &[Rc<Limit>]) -> Option<Limit> {
    let operations = operations(entry);
    let key = entry.choices("key", &Key::ALL.map(|key| (key.name(), key)));
    let rate = rate_of(entry);
    let burst = rate.map(|rate| burst(entry, rate));
    let mut cost = Cost::Requests;
    entry.choice("cost", &Cost::ALL.map(|cost| (cost.name(), cost)), &mut cost);
    let mut over = Mode::Enforce;
    entry.choice("over", &[("reject", Mode::Enforce), ("shadow", Mode::Shadow)], &mut over);
    let service = entry.section("global").map(|fields| service(fields, earlier));
    let reach = match (rate.zip(burst), service) {
        (_, Some(service)) => Reach::Fleet(service),
        (Some((rate, burst)), None) => Reach::Local { rate, burst },
        (None, None) => return None,
    };
    Some(Limit { name: Rc::from(name), operations, key, cost, over, reach })
}

fn operations(entry: &mut Section<'_, '_>) -> Operations {
    let kinds = [Kind::Publish, Kind::Pull, Kind::Ack, Kind::Reject, Kind::Extend, Kind::Subscribe];
    let mut words = kinds.map(|kind| (kind.name(), Operations::default().with(kind))).to_vec();
    words.push(("any", Operations::ANY));
    let expected = "a list of operations, such as [publish]";
    entry.require("operations", expected);
    let chosen = entry.choices("operations", &words);
    let is_empty = |entry: &mut Section<'_, '_>| entry.get("operations")?.elements().map(<[_]>::is_empty);
    if is_empty(entry) == Some(true) {
        entry.fault("operations", Problem::Empty { expected: expected.to_owned() });
    }
    chosen.into_iter().fold(Operations::default(), Operations::and)
}

/// The rate of a limit that this Envoy counts by itself.
fn rate_of(entry: &mut Section<'_, '_>) -> Option<Rate> {
    let text = entry.text("rate");
    entry.get("burst");
    if entry.has("global") {
        for (field, fields) in [("rate", "global and rate"), ("burst", "global and burst")] {
            if entry.has(field) {
                entry.fault(field, Problem::Exclusive { fields });
            }
        }
        return None;
    }
    entry.require("rate", "a rate such as \"100/s\", or global");
    let rate = rate(text?);
    if rate.is_none() {
        entry.wrong("rate", &format_args!("a rate such as \"100/s\", over 0 and at most {MAX_RATE}/s"));
    }
    rate
}

/// The burst: what is set, or as many tokens as a second brings, and at least one.
fn burst(entry: &mut Section<'_, '_>, rate: Rate) -> u64 {
    let period = rate.period.0.unsigned_abs().max(1);
    let mut burst = i64::try_from(rate.tokens.saturating_mul(1_000) / period).unwrap_or(MAX_BURST).max(1);
    entry.count("burst", 1..=MAX_BURST, &mut burst);
    let burst = burst.unsigned_abs();
    let fills = u128::from(rate.tokens) * u128::from(MAX_FILL.0.unsigned_abs()) / u128::from(period);
    if u128::from(burst) > fills {
        let within = write_duration(MAX_FILL);
        entry.wrong("burst", &format_args!("what {} fills within {within}: at most {fills}", write_rate(rate)));
    }
    burst
}

fn service(mut fields: Section<'_, '_>, earlier: &[Rc<Limit>]) -> Service {
    let known = earlier.iter().find_map(|limit| match &limit.reach {
        Reach::Fleet(service) => Some((limit, service)),
        Reach::Local { .. } => None,
    });
    let cluster = shared_name(&mut fields, "cluster", known.map(|(limit, service)| (limit, &service.cluster)));
    let domain = shared_name(&mut fields, "domain", known.map(|(limit, service)| (limit, &service.domain)));
    let mut timeout = Millis(20);
    fields.duration_within("timeout", "20ms", MAX_TIMEOUT, &mut timeout);
    let mut on_error = OnError::Allow;
    fields.choice("on_error", &[("allow", OnError::Allow), ("reject", OnError::Reject)], &mut on_error);
    fields.close(&[]);
    Service { cluster, domain, timeout, on_error }
}

/// A name that all limits of a fleet share, so that one call asks for all of them; `known` is that of an earlier limit.
fn shared_name(fields: &mut Section<'_, '_>, name: &'static str, known: Option<(&Rc<Limit>, &Rc<str>)>) -> Rc<str> {
    fields.require(name, &format!("the {name} of the rate limit service"));
    let text = fields.text(name);
    if text.is_some_and(|text| !(1..=MAX_SERVICE_NAME).contains(&text.len())) {
        fields.wrong(name, &format_args!("a name of 1 to {MAX_SERVICE_NAME} bytes"));
    } else if let (Some(text), Some((limit, first))) = (text, known)
        && !first.is_empty()
        && text != &**first
    {
        let (first, earlier) = (quoted_text(first), &limit.name);
        fields.wrong(name, &format_args!("{first}, as the limit \"{earlier}\" has it: one service counts for all"));
    }
    Rc::from(text.unwrap_or_default())
}
