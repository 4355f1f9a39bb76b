//! `rollout`: a candidate merged over the document, its stages, and the health that is watched.

use crate::hash::Hash;
use crate::json::{Content, Member, Node};
use crate::operation::Millis;
use crate::order::ordered;
use crate::policy::guard::Guard;
use crate::policy::rollout::{Health, OnUnhealthy, Rollout, Stage, WHOLE, Who};
use crate::policy::section::Section;
use crate::policy::{Mode, Pattern, Problem, RuleSet};

use super::{MODES, guard, rules};

/// The most stages.
const MAX_STAGES: usize = 20;
/// The most patterns of tenants in a stage: each request of a roll-out is compared with them.
const MAX_TENANTS: usize = 100;
/// The most samples that may be asked for: far more than a window ever holds.
const MAX_SAMPLES: i64 = 1_000_000_000;

/// Reads the roll-out of a `document` whose own rules are `base`, over its `defaults`.
#[inline(never)]
pub(super) fn read(document: &mut Section<'_, '_>, base: &RuleSet, defaults: &Guard) -> Option<Rollout> {
    let rules = document.get("rules").and_then(Node::elements).unwrap_or_default();
    let mut rollout = document.section("rollout")?;
    rollout.require("candidate", "what changes: version, and some of mode, defaults and rules");
    let id = rollout.get("candidate").map(identity);
    let candidate = rollout.section("candidate").map(|section| candidate(section, rules, base, defaults));
    let stages = stages(&mut rollout);
    let mut health = Health::default();
    if let Some(section) = rollout.section("health") {
        read_health(section, &mut health);
    }
    let mut on_unhealthy = OnUnhealthy::Rollback;
    let choices = [("rollback", OnUnhealthy::Rollback), ("hold", OnUnhealthy::Hold)];
    rollout.choice("on_unhealthy", &choices, &mut on_unhealthy);
    rollout.close(&[]);
    Some(Rollout { id: id?, candidate: candidate?, stages, health, on_unhealthy })
}

#[inline(never)]
fn candidate(mut section: Section<'_, '_>, rules: &[Node<'_>], base: &RuleSet, defaults: &Guard) -> RuleSet {
    section.require("version", "a version other than the document's");
    let version = section.label("version").unwrap_or_default().to_owned();
    if version == base.version {
        section.fault("version", Problem::Taken { name: version.clone(), by: "the document itself" });
    }
    let mut mode = base.mode;
    section.choice("mode", &MODES, &mut mode);
    let mut merged = defaults.clone();
    if let Some(mut section) = section.section("defaults") {
        guard::read(&mut section, &mut merged);
        guard::check_bounds(&mut [&mut section], &merged);
        section.close(&guard::UNAVAILABLE);
    }
    let rules = rules::merge(&mut section, rules, &merged);
    section.close(&[]);
    RuleSet { version, mode, rules }
}

#[inline(never)]
fn stages(rollout: &mut Section<'_, '_>) -> Vec<Stage> {
    let expected = "a list of stages, such as { percent: 5, hold: 10m }";
    rollout.require("stages", expected);
    let entries = rollout.short_list("stages", "stages", MAX_STAGES).unwrap_or_default();
    if entries.is_empty() && rollout.get("stages").is_some_and(|node| node.elements().is_some()) {
        rollout.fault("stages", Problem::Empty { expected: expected.to_owned() });
    }
    let mut stages = Vec::with_capacity(entries.len());
    for (index, node) in entries.iter().enumerate() {
        if let Some(entry) = rollout.element("stages", index, node) {
            stages.extend(stage(entry, index + 1 == entries.len()));
        }
    }
    stages
}

#[inline(never)]
fn stage(mut entry: Section<'_, '_>, last: bool) -> Option<Stage> {
    let percent = entry.number("percent", is_share, "a number over 0 and at most 100, with at most two decimals");
    let tenants = tenants(&mut entry);
    let who = match (entry.has("percent"), entry.has("tenants")) {
        // The range was checked, so that the product is a whole number that fits.
        (true, false) => percent.map(|percent| Who::Share((percent * 100.0).round() as u16)),
        (false, true) => tenants.map(Who::Tenants),
        (true, true) => {
            entry.fault_here(Problem::Exclusive { fields: "percent and tenants" });
            None
        }
        (false, false) => {
            entry.fault_here(Problem::Empty { expected: "percent or tenants".to_owned() });
            None
        }
    };
    let mut mode = Mode::Enforce;
    entry.choice("mode", &MODES, &mut mode);
    let mut hold = Millis(0);
    entry.duration("hold", &mut hold);
    if !last {
        entry.require("hold", "a duration; only the last stage may be without one");
    }
    entry.close(&[]);
    let hold = Some(hold).filter(|hold| *hold > Millis(0));
    who.map(|who| Stage { who, mode, hold })
}

fn is_share(percent: f64) -> bool {
    let hundredths = percent * 100.0;
    percent > 0.0
        && percent <= 100.0
        && (hundredths - hundredths.round()).abs() < 1e-6
        && hundredths.round() >= 1.0
        && hundredths.round() <= f64::from(WHOLE)
}

fn tenants(entry: &mut Section<'_, '_>) -> Option<Vec<Pattern>> {
    let nodes = entry.short_list("tenants", "tenants", MAX_TENANTS)?;
    let patterns: Option<Vec<Pattern>> = nodes.iter().map(|node| node.text().and_then(Pattern::new)).collect();
    if patterns.as_ref().is_none_or(Vec::is_empty) {
        entry.wrong("tenants", &"a list of patterns, each of 1 to 256 bytes");
        return None;
    }
    patterns
}

#[inline(never)]
fn read_health(mut section: Section<'_, '_>, health: &mut Health) {
    let share = section.number("ack_success", |share| (0.0..=1.0).contains(&share), "a number, 0 to 1");
    health.ack_success = share.unwrap_or(health.ack_success);
    section.duration("p99", &mut health.p99);
    section.duration("window", &mut health.window);
    let mut samples = i64::try_from(health.min_samples).unwrap_or(MAX_SAMPLES);
    section.count("min_samples", 0..=MAX_SAMPLES, &mut samples);
    health.min_samples = u64::try_from(samples).unwrap_or_default();
    section.close(&[]);
}

/// A hash of what a candidate says, whatever the order of its members and whichever form it came in.
fn identity(node: &Node<'_>) -> u64 {
    take_in(Hash::default(), node).finish()
}

fn take_in(hash: Hash, node: &Node<'_>) -> Hash {
    match &node.content {
        Content::Null => hash.with_text("null"),
        Content::Bool(flag) => hash.with_text(if *flag { "true" } else { "false" }),
        Content::Number(number) => hash.with_text("number").with_text(number.strip_suffix(".0").unwrap_or(number)),
        Content::String(text) => hash.with_text("string").with_text(text),
        Content::Array(elements) => elements.iter().fold(hash.with_text("["), take_in).with_text("]"),
        Content::Object(members) => {
            let members = ordered(members.iter().collect(), |one: &&Member<'_>, other| one.name.cmp(&other.name));
            let member = |hash: Hash, member: &Member<'_>| take_in(hash.with_text(&member.name), &member.node);
            members.into_iter().fold(hash.with_text("{"), member).with_text("}")
        }
    }
}
