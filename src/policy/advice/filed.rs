//! Finds the rules that may cover another without comparing it with each of them.
//!
//! A pattern covers another only if what it begins with is what that one begins with, too. So each rule is filed under
//! the beginning of one of its patterns, and looked for under all beginnings of the other's patterns: 10,000 rules with
//! names of their own are not compared pair by pair.

use std::collections::HashMap;

use crate::policy::Rule;

use super::glob;

/// Which of a rule's patterns, and what it begins with.
type Key<'r> = (usize, &'r [u8]);

/// Rules, filed.
#[derive(Default)]
pub(super) struct Filed<'r> {
    under: HashMap<Key<'r>, Vec<(usize, &'r Rule)>>,
}

impl<'r> Filed<'r> {
    /// Files the rule of this index.
    pub(super) fn add(&mut self, index: usize, rule: &'r Rule) {
        let key = beginnings(rule).find(|(_, beginning)| !beginning.is_empty());
        self.under.entry(key.unwrap_or((0, &[]))).or_default().push((index, rule));
    }

    /// The first of the filed rules, by index, that covers `rule` and is `wanted`.
    pub(super) fn first_cover(&self, rule: &'r Rule, wanted: impl Fn(&Rule) -> bool) -> Option<usize> {
        let keys = beginnings(rule).flat_map(|(field, beginning)| {
            (1..=beginning.len()).map(move |end| (field, beginning.get(..end).unwrap_or_default()))
        });
        let everywhere: Key<'r> = (0, &[]);
        let filed = std::iter::once(everywhere).chain(keys).filter_map(|key| self.under.get(&key)).flatten();
        filed.filter(|(_, other)| wanted(other) && covers(other, rule)).map(|(index, _)| *index).min()
    }
}

fn beginnings(rule: &Rule) -> impl Iterator<Item = Key<'_>> {
    rule.patterns().map(glob::prefix).into_iter().enumerate()
}

/// Whether `wide` fits every caller that `narrow` fits.
fn covers(wide: &Rule, narrow: &Rule) -> bool {
    (wide.dialect.is_none() || wide.dialect == narrow.dialect)
        && wide.patterns().into_iter().zip(narrow.patterns()).all(|(wide, narrow)| glob::covers(wide, narrow))
}
