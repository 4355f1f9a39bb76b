//! Finds the rules that may cover another without comparing it with each of them.
//!
//! A pattern covers another only if what it begins with is what that one begins with, too, and the same of their ends. So
//! each rule is filed under the beginning of one of its patterns, or under the end of one if none has a beginning, and
//! looked for under all beginnings and ends of the other's patterns: 10,000 rules with names of their own are not compared
//! pair by pair.

use std::collections::HashMap;

use crate::policy::Rule;

use super::glob;

/// Which of a rule's patterns, at which of its ends, and what stands there.
type Key<'r> = (usize, End, &'r [u8]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    First,
    Last,
}

/// Rules, filed.
#[derive(Default)]
pub(super) struct Filed<'r> {
    under: HashMap<Key<'r>, Vec<(usize, &'r Rule)>>,
}

impl<'r> Filed<'r> {
    /// Files the rule of this index.
    pub(super) fn add(&mut self, index: usize, rule: &'r Rule) {
        let key = ends(rule).find(|(_, _, text)| !text.is_empty());
        self.under.entry(key.unwrap_or(EVERYWHERE)).or_default().push((index, rule));
    }

    /// The first of the filed rules, by index, that covers `rule` and is `wanted`.
    pub(super) fn first_cover(&self, rule: &'r Rule, wanted: impl Fn(&Rule) -> bool) -> Option<usize> {
        let keys = ends(rule).flat_map(|(field, end, text)| {
            (1..=text.len()).filter_map(move |length| {
                let part = match end {
                    End::First => text.get(..length),
                    End::Last => text.get(text.len() - length..),
                };
                Some((field, end, part?))
            })
        });
        let filed = std::iter::once(EVERYWHERE).chain(keys).filter_map(|key| self.under.get(&key)).flatten();
        filed.filter(|(_, other)| wanted(other) && covers(other, rule)).map(|(index, _)| *index).min()
    }
}

/// Where a rule is filed that begins and ends with a wildcard everywhere.
const EVERYWHERE: Key<'static> = (0, End::First, &[]);

fn ends(rule: &Rule) -> impl Iterator<Item = Key<'_>> {
    let first = rule.patterns().map(glob::prefix).into_iter().enumerate();
    let last = rule.patterns().map(glob::suffix).into_iter().enumerate();
    let first = first.map(|(field, text)| (field, End::First, text));
    first.chain(last.map(|(field, text)| (field, End::Last, text)))
}

/// Whether `wide` fits every caller that `narrow` fits.
fn covers(wide: &Rule, narrow: &Rule) -> bool {
    (wide.dialect.is_none() || wide.dialect == narrow.dialect)
        && wide.patterns().into_iter().zip(narrow.patterns()).all(|(wide, narrow)| glob::covers(wide, narrow))
}
