//! The policy as a whole: documents and their faults, rules, verdicts.

mod decisions;
mod documents;
mod index;
mod laws;
mod limits;
mod rollouts;
pub(crate) mod strategies;

use super::Policy;

/// A policy with these members beside the required ones.
fn policy(members: &str) -> Policy {
    Policy::parse(document(members).as_bytes()).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The document of [`policy`].
fn document(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(
        r#"{{"apiVersion":"ackguard/v1","version":"t1",
            "traffic":[{{"match":{{"path":"/tmq/*"}},"dialect":"tmq"}}]{comma}{members}}}"#
    )
}
