//! Finds the rules that may fit a caller without asking each of them.
//!
//! Rules that look alike share a table: those with a whole tenant's name, those with a prefix of four bytes of the topic
//! and a whole group, and so on. In a table, a rule stands under the hash of just these parts; a caller's names, cut the
//! same way, have the same hash if the rule fits. So a lookup costs one search a table, however many rules there are;
//! documents have a handful of tables. What a table gives is a candidate: the rule itself is asked in the end.
//!
//! Rules whose patterns begin and end with a wildcard in every field share one hash; those are asked one by one.

use std::collections::HashMap;

use crate::hash::Hash;
use crate::order::ordered;

use super::{Caller, Pattern, Rule};

/// Which part of a name a pattern fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Fixed {
    /// All of it.
    whole: bool,
    /// So many bytes at its start.
    prefix: usize,
    /// So many bytes at its end.
    suffix: usize,
}

impl Fixed {
    const NOTHING: Fixed = Fixed { whole: false, prefix: 0, suffix: 0 };

    fn of(pattern: &Pattern) -> Fixed {
        match pattern {
            Pattern::Any => Fixed::NOTHING,
            Pattern::Exact(_) => Fixed { whole: true, ..Fixed::NOTHING },
            Pattern::Glob(glob) => {
                let plain = |byte: &u8| !matches!(byte, b'*' | b'?');
                let bytes = glob.as_bytes();
                Fixed {
                    whole: false,
                    prefix: bytes.iter().take_while(|byte| plain(byte)).count(),
                    suffix: bytes.iter().rev().take_while(|byte| plain(byte)).count(),
                }
            }
        }
    }

    /// Takes the fixed part of `text` into `hash`. None where the text is too short to have it.
    fn take(self, hash: Hash, text: &[u8]) -> Option<Hash> {
        if self.whole {
            return Some(hash.with(text).with(&[0xFF]));
        }
        if text.len() < self.prefix + self.suffix {
            return None;
        }
        let (prefix, rest) = text.split_at_checked(self.prefix)?;
        let suffix = rest.get(rest.len() - self.suffix..)?;
        Some(hash.with(prefix).with(&[0xFF]).with(suffix).with(&[0xFF]))
    }
}

/// The rules that fix the same parts of tenant, topic and group.
#[derive(Clone, Debug, PartialEq)]
struct Table {
    fixed: [Fixed; 3],
    /// Hashes of the fixed parts with the rules' indexes, in order.
    entries: Vec<(u64, usize)>,
    /// The least index.
    first: usize,
}

impl Table {
    fn hash(fixed: &[Fixed; 3], names: [Option<&[u8]>; 3]) -> Option<u64> {
        let mut hash = Hash::default();
        for (fixed, name) in fixed.iter().zip(names) {
            // A name that nobody knows has no part that a pattern could fix.
            if *fixed != Fixed::NOTHING {
                hash = fixed.take(hash, name?)?;
            }
        }
        Some(hash.finish())
    }

    /// The indexes of the rules under a hash, in order.
    fn under(&self, hash: u64) -> impl Iterator<Item = usize> {
        let start = self.entries.partition_point(|(entry, _)| *entry < hash);
        let from = self.entries.get(start..).unwrap_or_default();
        from.iter().take_while(move |(entry, _)| *entry == hash).map(|(_, index)| *index)
    }
}

/// The index over the rules of a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    /// In the order of their first rules.
    tables: Vec<Table>,
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Index {
        // Tables come in the order of their first rules.
        let mut tables: Vec<Table> = Vec::new();
        let mut places: HashMap<[Fixed; 3], usize> = HashMap::new();
        let mut last = 0;
        for (index, rule) in rules.iter().enumerate() {
            let patterns = rule.patterns();
            let fixed = patterns.map(Fixed::of);
            // A pattern is as long as what it fixes, so that it always has a hash.
            let hash = Table::hash(&fixed, patterns.map(|pattern| Some(pattern.glob().as_bytes())));
            // Most rules look like the one before.
            if tables.get(last).is_none_or(|table| table.fixed != fixed) {
                last = *places.entry(fixed).or_insert(tables.len());
            }
            let entry = (hash.unwrap_or_default(), index);
            match tables.get_mut(last) {
                Some(table) => table.entries.push(entry),
                None => tables.push(Table { fixed, entries: vec![entry], first: index }),
            }
        }
        for table in &mut tables {
            table.entries = ordered(core::mem::take(&mut table.entries), Ord::cmp);
        }
        Index { tables }
    }

    /// Calls `visit` with the index of every rule that may fit. It returns the index from which on rules are of no more
    /// interest.
    pub(super) fn candidates(&self, caller: &Caller<'_>, mut visit: impl FnMut(usize) -> usize) {
        let names = caller.names().map(|name| name.map(str::as_bytes));
        let mut end = usize::MAX;
        for table in &self.tables {
            if table.first >= end {
                return;
            }
            let Some(hash) = Table::hash(&table.fixed, names) else { continue };
            for index in table.under(hash) {
                if index >= end {
                    break;
                }
                end = visit(index);
            }
        }
    }
}
