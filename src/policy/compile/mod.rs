//! Compiles a document: every field read, checked and put in its place.
//!
//! Its parts are not inlined into one another: as one function they would be the largest of the module by far, and the one
//! that V8's compiler takes the most memory for.

mod guard;
mod limits;
mod requests;
mod rollout;
mod rules;

use std::cell::RefCell;

use crate::dialect::Dialect;
use crate::json::Node;

use super::fault::Faults;
use super::guard::Guard;
use super::protobuf_struct;
use super::section::{Section, Trail};
use super::wording::one_of;
use super::{HostHeaders, MAX_DOCUMENT, Mode, Policy, Problem, RuleSet, Telemetry};

const API_VERSION: &str = "ackguard/v1";

/// The modes of a document, a rule and a stage.
const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
const TELEMETRY: [(&str, Telemetry); 2] = [("full", Telemetry::Full), ("counted", Telemetry::Counted)];

/// Compiles a document of JSON, or of `google.protobuf.Struct`'s bytes, or tells all of its faults.
pub(super) fn compile(document: &[u8]) -> Result<Policy, Faults> {
    let problem = if document.len() > MAX_DOCUMENT {
        Problem::TooLarge { bytes: document.len(), most: MAX_DOCUMENT }
    } else {
        match protobuf_struct::read(document).map_or_else(|| Node::parse(document), Ok) {
            Ok(node) => return compile_tree(&node),
            Err(fault) => Problem::Syntax { format: "JSON", fault: fault.to_string() },
        }
    };
    let mut faults = Faults::default();
    faults.add(String::new, None, problem);
    Err(faults)
}

/// Compiles a document that was read already.
pub(super) fn compile_tree(node: &Node<'_>) -> Result<Policy, Faults> {
    let faults = RefCell::new(Faults::default());
    let policy = policy(node, &faults);
    let faults = faults.into_inner();
    match policy {
        Some(policy) if faults.count() == 0 => Ok(policy),
        _ => Err(faults),
    }
}

fn policy(node: &Node<'_>, faults: &RefCell<Faults>) -> Option<Policy> {
    let mut document = Section::open(Trail::Root, node, faults)?;
    document.require("apiVersion", API_VERSION);
    document.choice("apiVersion", &[(API_VERSION, ())], &mut ());
    let version = document.label("version").unwrap_or("unversioned").to_owned();
    let mut mode = Mode::Enforce;
    document.choice("mode", &MODES, &mut mode);
    let headers = host(&mut document);
    let mut telemetry = Telemetry::Full;
    document.choice("telemetry", &TELEMETRY, &mut telemetry);
    let traffic = requests::traffic(&mut document);
    let tenants = requests::tenants(&mut document);
    let mut defaults = Guard::default();
    if let Some(mut section) = document.section("defaults") {
        guard::read(&mut section, &mut defaults);
        guard::check_bounds(&mut [&mut section], &defaults);
        section.close(&guard::UNAVAILABLE);
    }
    let limits = limits::read(&mut document);
    let base = RuleSet { version, mode, rules: rules::read(&mut document, &defaults) };
    let rollout = rollout::read(&mut document, &base, &defaults);
    document.close(&[]);
    Some(Policy::new((headers, telemetry), traffic, tenants, limits, base, rollout))
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

/// The dialect that a field names.
fn dialect(section: &mut Section<'_, '_>) -> Option<Dialect> {
    let found = Dialect::named(section.text("dialect")?);
    if found.is_none() {
        section.wrong("dialect", &dialect_names());
    }
    found
}

fn dialect_names() -> String {
    one_of(&Dialect::ALL.map(Dialect::name))
}
