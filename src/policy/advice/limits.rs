//! Limits that hold back what they are not meant to, or everybody as one.

use crate::json::{Node, Place};
use crate::operation::Kind;
use crate::policy::Policy;
use crate::policy::limit::{Cost, Key, Limit, Reach};

use super::{Advice, Concern};

/// The messages that a client's library usually sends, or acknowledges, at once: T-MQ's pulls bring as many.
const USUAL_MESSAGES: u64 = 16;
/// The bytes of a small request's body.
const USUAL_BYTES: u64 = 1_024;

pub(super) fn advise(document: &Node<'_>, policy: &Policy) -> Vec<Advice> {
    let nodes = document.member("limits").and_then(Node::elements).unwrap_or_default();
    let mut found = Vec::new();
    let mut add = |path: String, place: Place, concern| found.push(Advice { path, place, concern });
    for (index, (node, limit)) in nodes.iter().zip(policy.limits()).enumerate() {
        let keys = node.member("key").and_then(Node::elements).unwrap_or_default();
        for (at, (key, node)) in limit.key.iter().zip(keys).enumerate() {
            let concern = match key {
                Key::Tenant if policy.tenant_sources().is_empty() => Concern::NoTenantSource,
                Key::Group if limit.operations.has(Kind::Publish) => Concern::NoGroup,
                _ => continue,
            };
            add(format!("limits[{index}].key[{at}]"), node.place, concern);
        }
        if let Some(concern) = small_burst(limit) {
            let burst = node.member("burst").or_else(|| node.member("rate"));
            add(format!("limits[{index}].burst"), burst.and_then(|node| node.place), concern);
        }
    }
    found
}

/// What costs more than a full bucket holds never passes. A pull costs what it brings, and pays for that afterwards.
fn small_burst(limit: &Limit) -> Option<Concern> {
    let Reach::Local { burst, .. } = limit.reach else { return None };
    let usual = match limit.cost {
        Cost::Requests => return None,
        Cost::Messages => USUAL_MESSAGES,
        Cost::Bytes => USUAL_BYTES,
    };
    let pays_before = [Kind::Publish, Kind::Ack, Kind::Reject, Kind::Extend].iter();
    let concerned = burst < usual && { pays_before }.any(|kind| limit.operations.has(*kind));
    concerned.then(|| Concern::SmallBurst { burst, usual, cost: limit.cost.name() })
}
