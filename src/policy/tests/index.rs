//! The index finds what a walk through all rules finds.

use std::rc::Rc;

use proptest::prelude::*;

use crate::dialect::Dialect;
use crate::operation::{Group, Tenant, Topic};
use crate::policy::guard::Guard;
use crate::policy::rules::{Caller, Rule, Rules};
use crate::policy::{Mode, Pattern};

/// Patterns and names over a small alphabet, so that they meet.
fn glob() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[ab]{1,4}", 3 => "[ab]{0,2}[*?][ab]{0,2}", 1 => "[ab*?]{1,5}", 2 => Just("*".to_owned())]
}

fn rule() -> impl Strategy<Value = Rule> {
    (glob(), glob(), glob(), any::<bool>(), 0..3_u8).prop_map(|(tenant, topic, group, of_dialect, mode)| Rule {
        name: Rc::from(""),
        mode: if mode == 0 { Mode::Shadow } else { Mode::Enforce },
        tenant: Pattern::new(&tenant).unwrap(),
        topic: Pattern::new(&topic).unwrap(),
        group: Pattern::new(&group).unwrap(),
        dialect: of_dialect.then_some(Dialect::Tmq),
        guard: Guard::default(),
    })
}

fn numbered(rules: Vec<Rule>) -> Vec<Rule> {
    let number = |(index, rule): (usize, Rule)| Rule { name: Rc::from(index.to_string()), ..rule };
    rules.into_iter().enumerate().map(number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_lookup_finds_what_a_walk_finds(
        rules in proptest::collection::vec(rule(), 0..40),
        tenant in "[ab]{0,5}", topic in proptest::option::of("[ab]{0,5}"), group in proptest::option::of("[ab]{0,5}"),
    ) {
        let rules = numbered(rules);
        let (tenant, topic, group) = (Tenant(tenant), topic.map(Topic), group.map(Group));
        let caller = Caller { tenant: &tenant, topic: topic.as_ref(), group: group.as_ref(), dialect: Dialect::Tmq };
        let fitting: Vec<&Rule> = rules.iter().filter(|rule| rule.fits(&caller)).collect();
        let deciding = fitting.iter().find(|rule| rule.mode == Mode::Enforce).map(|rule| &*rule.name);
        let tried = fitting.first().filter(|rule| rule.mode == Mode::Shadow).map(|rule| &*rule.name);

        let index = Rules::new(rules.clone(), Rule::defaults(Guard::default()));
        let found = index.lookup(&caller);
        prop_assert_eq!(&*found.rule.name, deciding.unwrap_or("defaults"));
        prop_assert_eq!(found.tried.map(|rule| &*rule.name), tried);
    }
}
