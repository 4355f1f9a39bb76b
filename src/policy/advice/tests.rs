//! Advice on order holds for every caller: what is said to have no effect has none.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Advice, Concern, advise};
use crate::dialect::Dialect;
use crate::json::Node;
use crate::operation::{Group, Tenant, Topic};
use crate::policy::{Caller, Policy};

/// A rule of few names, so that many hide or repeat each other.
fn rule() -> impl Strategy<Value = Value> {
    let glob = || prop::option::of("[ab*?]{1,3}");
    (glob(), glob(), glob(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(tenant, topic, group, strict, tried)| {
            let mut rule = json!({"match": {}});
            for (name, glob) in [("tenant", tenant), ("topic", topic), ("group", group)] {
                if let Some(glob) = glob {
                    rule["match"][name] = glob.into();
                }
            }
            if strict {
                rule["auto_ack"] = "allow".into();
            }
            if tried {
                rule["mode"] = "shadow".into();
            }
            rule
        },
    )
}

fn document(rules: &[Value]) -> String {
    let mut rules = rules.to_vec();
    for (index, rule) in rules.iter_mut().enumerate() {
        if rule.get("name").is_none() {
            rule["name"] = format!("r{index}").into();
        }
    }
    json!({
        "apiVersion": "ackguard/v1",
        "traffic": [{"match": {"path": "/*"}, "dialect": "tmq"}],
        "tenant": [{"header": "a"}],
        "rules": rules,
    })
    .to_string()
}

/// The advice on rules: each with its rule's index.
fn advice(text: &str) -> Vec<(usize, Concern)> {
    let node = Node::parse(text.as_bytes()).unwrap();
    let policy = Policy::compile(&node).unwrap();
    let index = |path: &str| path.strip_prefix("rules[")?.strip_suffix(']')?.parse().ok();
    let advice = advise(&node, &policy).into_iter();
    advice.filter_map(|Advice { path, concern, .. }| Some((index(&path)?, concern))).collect()
}

proptest! {
    #[test]
    fn a_hidden_rule_is_never_found_and_an_idle_one_never_missed(
        rules in prop::collection::vec(rule(), 1..7),
        callers in prop::collection::vec(("[abc]{0,4}", prop::option::of("[abc]{0,4}"), prop::option::of("[abc]{0,4}")), 30),
    ) {
        let text = document(&rules);
        let policy = Policy::parse(text.as_bytes()).unwrap();
        for (index, concern) in advice(&text) {
            let name = format!("r{index}");
            let mut rest = rules.clone();
            for (index, rule) in rest.iter_mut().enumerate() {
                rule["name"] = format!("r{index}").into();
            }
            rest.remove(index);
            let without = Policy::parse(document(&rest).as_bytes()).unwrap();
            for (tenant, topic, group) in &callers {
                let (tenant, topic, group) =
                    (Tenant(tenant.clone()), topic.clone().map(Topic), group.clone().map(Group));
                let (topic, group) = (topic.as_ref(), group.as_ref());
                let caller = Caller { tenant: &tenant, topic, group, dialect: Dialect::Tmq };
                let found = policy.current.rules.lookup(&caller);
                let instead = without.current.rules.lookup(&caller);
                match &concern {
                    Concern::HiddenRule { .. } => {
                        prop_assert_ne!(&*found.rule.name, &name);
                        prop_assert_ne!(found.tried.map(|rule| &*rule.name), Some(name.as_str()));
                    }
                    Concern::IdleRule { .. } => prop_assert_eq!(&found.rule.guard, &instead.rule.guard),
                    _ => {}
                }
            }
        }
    }
}
