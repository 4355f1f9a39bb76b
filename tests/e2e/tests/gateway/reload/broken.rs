//! Policies that are refused, each for another reason.
//!
//! Each one is another document every time: Envoy remembers a configuration that it refused, and refuses the same bytes
//! again without asking the filter, so without a fault in the log.

use serde_json::{Value, json};
use stack::Bootstrap;

/// A policy that is refused.
pub(super) struct Broken {
    /// What it is.
    pub(super) what: &'static str,
    /// Breaks the policy number `n`, which would be accepted.
    pub(super) put: fn(policy: Bootstrap, n: u64) -> Bootstrap,
    /// Every fault that the log has of it.
    pub(super) faults: &'static [&'static str],
}

fn edited(bootstrap: Bootstrap, edit: impl FnOnce(&mut Value)) -> Bootstrap {
    bootstrap.edit_policy(edit)
}

/// One of each kind.
pub(super) const BROKEN: [Broken; 10] = [
    Broken {
        what: "no policy at all",
        put: |bootstrap, n| bootstrap.policy_text(&format!("mode: enforce # {n}")),
        faults: &["not JSON: byte 0: expected a value"],
    },
    Broken {
        what: "an empty object",
        put: |bootstrap, n| bootstrap.policy_text(&format!("{{{}}}", " ".repeat(n as usize))),
        faults: &[
            "apiVersion: missing; expected ackguard/v1",
            "traffic: missing; expected a list of match and dialect; without one nothing is guarded",
        ],
    },
    Broken {
        what: "a wrong value",
        put: |bootstrap, _| edited(bootstrap, |policy| policy["defaults"]["ack_timeout"]["default"] = "soon".into()),
        faults: &[r#"defaults.ack_timeout.default: "soon" is not a duration such as "5s", over 0 and at most 168h"#],
    },
    Broken {
        what: "values of a wrong type",
        put: |bootstrap, _| {
            edited(bootstrap, |policy| {
                policy["defaults"]["max_attempts"]["max"] = json!(2.5);
                policy["rules"][0]["auto_ack"] = json!(true);
            })
        },
        faults: &[
            "defaults.max_attempts.max: 2.5 is not a whole number, 0 to 2000",
            "rules[0].auto_ack: true is not reject, rewrite or allow",
        ],
    },
    Broken {
        what: "an unknown field",
        put: |bootstrap, _| edited(bootstrap, |policy| policy["defaults"]["dead_leter"] = json!({})),
        faults: &[
            "defaults.dead_leter: unknown field; expected ack_timeout, extend, auto_ack, max_attempts, dead_letter, max_in_flight or undecidable",
        ],
    },
    Broken {
        what: "a field that is not acted on",
        put: |bootstrap, _| edited(bootstrap, |policy| policy["defaults"]["keepalive"] = json!({})),
        faults: &["defaults.keepalive: this release of AckGuard does not act on it; leave it out"],
    },
    Broken {
        what: "bounds that cross",
        put: |bootstrap, _| edited(bootstrap, |policy| policy["rules"][0]["ack_timeout"] = json!({ "min": "40s" })),
        faults: &["rules[0].ack_timeout: min 40s is over max 30s"],
    },
    Broken {
        what: "two rules of one name",
        put: |bootstrap, _| {
            edited(bootstrap, |policy| {
                let rules = policy["rules"].as_array_mut().expect("the policy has rules");
                rules.insert(1, rules[0].clone());
            })
        },
        faults: &[r#"rules[1].name: "stock" is the name of an earlier rule"#],
    },
    Broken {
        what: "another version of the document",
        put: |bootstrap, _| edited(bootstrap, |policy| policy["apiVersion"] = "ackguard/v2".into()),
        faults: &[r#"apiVersion: "ackguard/v2" is not ackguard/v1"#],
    },
    Broken {
        what: "more than a policy may have",
        put: |bootstrap, n| bootstrap.policy_text(&format!("{n:04}{}", "x".repeat((1 << 20) - 3))),
        faults: &["1048577 bytes; expected at most 1048576"],
    },
];
