//! Compiles a document: every field read, checked and put in its place.

use std::collections::HashSet;

use crate::dialect::{Dialect, MAX_NAME};
use crate::json::Node;
use crate::operation::Millis;

use super::fault::Faults;
use super::guard::{AckTimeout, AutoAck, DeadLetter, Extend, Guard, MaxAttempts, Missing, Outside, Undecidable};
use super::protobuf_struct;
use super::rules::DEFAULTS;
use super::section::{Section, quoted};
use super::traffic::{TenantSource, TrafficMatch};
use super::units::write_duration;
use super::{HostHeaders, MAX_DOCUMENT, MAX_RULES, Mode, Pattern, Policy, Rule, Rules};

const API_VERSION: &str = "ackguard/v1";
/// The most entries of `traffic` and of `tenant`: every request walks through them.
const MAX_ENTRIES: usize = 64;

/// Attempts that a policy may ask for at most: twice the most that a broker allows (SQS's maxReceiveCount, 1000).
const MAX_ATTEMPTS: i64 = 2_000;

/// Fields of version 1 of the document that this release does not act on.
const UNAVAILABLE: [&str; 2] = ["limits", "rollout"];
const UNAVAILABLE_GUARDS: [&str; 5] = ["signed", "late_ack", "keepalive", "ack_rescue", "max_in_flight"];

const OUTSIDE: [(&str, Outside); 3] =
    [("clamp", Outside::Clamp), ("reject", Outside::Reject), ("allow", Outside::Allow)];

/// Compiles a document of JSON, or of `google.protobuf.Struct`'s bytes, or tells all of its faults.
pub(super) fn compile(document: &[u8]) -> Result<Policy, Faults> {
    let mut faults = Faults::default();
    let policy = if document.len() > MAX_DOCUMENT {
        let problem = format!("{} bytes; expected at most {MAX_DOCUMENT}", document.len());
        faults.add("", problem);
        None
    } else {
        match protobuf_struct::read(document).map_or_else(|| Node::parse(document), Ok) {
            Ok(node) => policy(&node, &mut faults),
            Err(fault) => {
                faults.add("", format!("not JSON: {fault}"));
                None
            }
        }
    };
    match policy {
        Some(policy) if faults.count() == 0 => Ok(policy),
        _ => Err(faults),
    }
}

fn policy(node: &Node, faults: &mut Faults) -> Option<Policy> {
    let mut document = Section::open(String::new(), node, faults)?;
    document.require("apiVersion", API_VERSION);
    document.choice("apiVersion", &[(API_VERSION, ())], &mut ());
    let version = document.label("version").unwrap_or("unversioned").to_owned();
    let mut mode = Mode::Enforce;
    let modes = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
    document.choice("mode", &modes, &mut mode);
    let headers = host(&mut document);
    let traffic = traffic(&mut document);
    let tenants = tenants(&mut document);
    let mut defaults = Guard::default();
    if let Some(section) = document.section("defaults") {
        guard(section, &mut defaults);
    }
    let rules = rules(&mut document, &defaults);
    document.close(&UNAVAILABLE);
    let rules = Rules::new(rules, Rule::defaults(defaults));
    Some(Policy {
        asks_tenant: rules.ask_tenant(),
        asks_topic: rules.ask_topic(),
        version,
        mode,
        headers,
        traffic,
        tenants,
        rules,
    })
}

fn host(document: &mut Section<'_, '_>) -> HostHeaders {
    let mut headers = HostHeaders::Streamed;
    if let Some(mut host) = document.section("host") {
        let choices = [("held", HostHeaders::Held), ("streamed", HostHeaders::Streamed)];
        host.choice("headers", &choices, &mut headers);
        host.close(&[]);
    }
    headers
}

fn traffic(document: &mut Section<'_, '_>) -> Vec<TrafficMatch> {
    let mut traffic = Vec::new();
    document.require("traffic", "a list of match and dialect; without one nothing is guarded");
    let entries = match document.list("traffic") {
        Some(entries) if entries.len() <= MAX_ENTRIES => entries,
        Some(entries) => {
            let problem = format!("{} entries; expected at most {MAX_ENTRIES}", entries.len());
            document.fault("traffic", problem);
            return traffic;
        }
        None => return traffic,
    };
    for (index, node) in entries.iter().enumerate() {
        let Some(mut entry) = document.element("traffic", index, node) else {
            continue;
        };
        let (mut path, mut host) = (None, None);
        entry.require("match", "path, host or both");
        if let Some(mut fields) = entry.section("match") {
            path = fields.pattern("path");
            host = fields.pattern("host").map(Pattern::into_lowercase);
            if fields.get("path").is_none() && fields.get("host").is_none() {
                fields.fault("", "empty; expected path, host or both");
            }
            fields.close(&[]);
        }
        entry.require("dialect", &dialect_names());
        let reader = dialect(&mut entry);
        entry.close(&[]);
        if let Some(dialect) = reader {
            traffic.push(TrafficMatch { path, host, dialect });
        }
    }
    traffic
}

fn dialect(section: &mut Section<'_, '_>) -> Option<Dialect> {
    let name = section.text("dialect")?;
    let found = Dialect::named(name);
    if found.is_none() {
        let name = quoted(&Node::String(name.to_owned()));
        section.fault("dialect", format!("{name} is not {}", dialect_names()));
    }
    found
}

fn dialect_names() -> String {
    Dialect::ALL.map(Dialect::name).join(" or ")
}

fn tenants(document: &mut Section<'_, '_>) -> Vec<TenantSource> {
    let mut sources = Vec::new();
    let entries = document.list("tenant").unwrap_or_default();
    if entries.len() > MAX_ENTRIES {
        let problem = format!("{} entries; expected at most {MAX_ENTRIES}", entries.len());
        document.fault("tenant", problem);
        return sources;
    }
    for (index, node) in entries.iter().enumerate() {
        let Some(mut entry) = document.element("tenant", index, node) else {
            continue;
        };
        let header = entry.text("header");
        let property = entry.text("property");
        match (header, property) {
            (Some(name), None) if is_header_name(name) => {
                sources.push(TenantSource::Header(name.to_ascii_lowercase()));
            }
            (Some(name), None) => {
                let name = quoted(&Node::String(name.to_owned()));
                entry.fault("header", format!("{name} is not a header's name"));
            }
            (None, Some(path)) if path.split('.').all(|part| !part.is_empty()) => {
                let path = path.split('.').map(str::to_owned).collect();
                sources.push(TenantSource::Property(path));
            }
            (None, Some(path)) => {
                let path = quoted(&Node::String(path.to_owned()));
                entry.fault("property", format!("{path} is not a path such as connection.id"));
            }
            (Some(_), Some(_)) => {
                entry.fault("", "header and property; expected one of them");
            }
            (None, None) => {
                let named = ["header", "property", "access_key"].into_iter().any(|name| entry.get(name).is_some());
                if !named {
                    entry.fault("", "empty; expected header or property");
                }
            }
        }
        entry.close(&["access_key"]);
    }
    sources
}

/// A token of RFC 9110.
fn is_header_name(name: &str) -> bool {
    let punctuation = b"!#$%&'*+-.^_`|~";
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || punctuation.contains(&byte))
}

fn rules(document: &mut Section<'_, '_>, defaults: &Guard) -> Vec<Rule> {
    let entries = document.list("rules").unwrap_or_default();
    if entries.len() > MAX_RULES {
        let problem = format!("{} rules; expected at most {MAX_RULES}", entries.len());
        document.fault("rules", problem);
        return Vec::new();
    }
    let mut names = HashSet::new();
    let mut rules = Vec::with_capacity(entries.len());
    for (index, node) in entries.iter().enumerate() {
        let Some(mut entry) = document.element("rules", index, node) else {
            continue;
        };
        entry.require("name", "a name for headers, logs and metrics");
        let name = entry.label("name").unwrap_or_default();
        if name == DEFAULTS {
            entry.fault("name", format!("\"{DEFAULTS}\" is taken; expected another name"));
        } else if !name.is_empty() && !names.insert(name) {
            entry.fault("name", format!("\"{name}\" is the name of an earlier rule"));
        }
        let mut rule = Rule::defaults(defaults.clone());
        rule.name = name.to_owned();
        entry.require("match", "some of tenant, topic, group and dialect");
        if let Some(mut fields) = entry.section("match") {
            rule.tenant = fields.pattern("tenant").unwrap_or(Pattern::Any);
            rule.topic = fields.pattern("topic").unwrap_or(Pattern::Any);
            rule.group = fields.pattern("group").unwrap_or(Pattern::Any);
            rule.dialect = dialect(&mut fields);
            fields.close(&[]);
        }
        guard(entry, &mut rule.guard);
        rules.push(rule);
    }
    rules
}

/// Reads the fields of `defaults` or of a rule over what `guard` holds already.
fn guard(mut section: Section<'_, '_>, guard: &mut Guard) {
    if let Some(fields) = section.section("ack_timeout") {
        ack_timeout(fields, &mut guard.ack_timeout);
    }
    if let Some(fields) = section.section("extend") {
        extend(fields, &mut guard.extend);
    }
    let auto_acks = [("reject", AutoAck::Reject), ("rewrite", AutoAck::Rewrite), ("allow", AutoAck::Allow)];
    section.choice("auto_ack", &auto_acks, &mut guard.auto_ack);
    if let Some(fields) = section.section("max_attempts") {
        max_attempts(fields, &mut guard.max_attempts);
    }
    if let Some(fields) = section.section("dead_letter") {
        dead_letter(fields, &mut guard.dead_letter);
    }
    let undecidable = [("reject", Undecidable::Reject), ("forward", Undecidable::Forward)];
    section.choice("undecidable", &undecidable, &mut guard.undecidable);
    section.close(&UNAVAILABLE_GUARDS);
}

fn ack_timeout(mut fields: Section<'_, '_>, ack_timeout: &mut AckTimeout) {
    fields.duration("min", &mut ack_timeout.min);
    fields.duration("max", &mut ack_timeout.max);
    fields.duration("default", &mut ack_timeout.default);
    fields.choice("zero", &OUTSIDE, &mut ack_timeout.zero);
    fields.choice("short", &OUTSIDE, &mut ack_timeout.short);
    fields.choice("long", &OUTSIDE, &mut ack_timeout.long);
    let missing = [("default", Missing::Set), ("reject", Missing::Reject), ("allow", Missing::Allow)];
    fields.choice("missing", &missing, &mut ack_timeout.missing);
    let AckTimeout { min, max, default, .. } = *ack_timeout;
    ordered(&mut fields, [min, default, max].map(Bound::Time));
    fields.close(&[]);
}

fn extend(mut fields: Section<'_, '_>, extend: &mut Extend) {
    fields.choice("short", &OUTSIDE, &mut extend.short);
    fields.choice("long", &OUTSIDE, &mut extend.long);
    fields.close(&[]);
}

fn max_attempts(mut fields: Section<'_, '_>, max_attempts: &mut MaxAttempts) {
    fields.count("min", 0..=MAX_ATTEMPTS, &mut max_attempts.min);
    fields.count("max", 0..=MAX_ATTEMPTS, &mut max_attempts.max);
    fields.count("default", 0..=MAX_ATTEMPTS, &mut max_attempts.default);
    fields.choice("outside", &OUTSIDE, &mut max_attempts.outside);
    let MaxAttempts { min, max, default, .. } = *max_attempts;
    ordered(&mut fields, [min, default, max].map(Bound::Number));
    fields.close(&[]);
}

fn dead_letter(mut fields: Section<'_, '_>, dead_letter: &mut DeadLetter) {
    fields.flag("required", &mut dead_letter.required);
    if let Some(template) = fields.text("topic") {
        let rest = template.replace("{topic}", " ").replace("{group}", " ");
        if template.is_empty() || template.len() > MAX_NAME || rest.contains(['{', '}']) {
            let template = quoted(&Node::String(template.to_owned()));
            let expected = "a topic's name, in which {topic} and {group} may stand";
            fields.fault("topic", format!("{template} is not {expected}"));
        } else {
            dead_letter.topic = template.to_owned();
        }
    }
    let missing = [("inject", Missing::Set), ("reject", Missing::Reject), ("allow", Missing::Allow)];
    fields.choice("missing", &missing, &mut dead_letter.missing);
    fields.close(&[]);
}

#[derive(Clone, Copy)]
enum Bound {
    Time(Millis),
    Number(i64),
}

impl Bound {
    fn size(self) -> i64 {
        match self {
            Bound::Time(Millis(size)) | Bound::Number(size) => size,
        }
    }

    fn write(self) -> String {
        match self {
            Bound::Time(millis) => write_duration(millis),
            Bound::Number(number) => number.to_string(),
        }
    }
}

/// Faults bounds that contradict each other. A rule's are checked together with those that it takes from `defaults`.
fn ordered(fields: &mut Section<'_, '_>, [min, default, max]: [Bound; 3]) {
    if min.size() > max.size() {
        let problem = format!("min {} is over max {}", min.write(), max.write());
        fields.fault("", problem);
    } else if !(min.size()..=max.size()).contains(&default.size()) {
        let problem = format!("default {} is not between min {} and max {}", default.write(), min.write(), max.write());
        fields.fault("", problem);
    }
}
