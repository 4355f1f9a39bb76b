//! What the sets of names that two patterns fit have to do with each other.
//!
//! Both answers are sound and not complete: "covers" and "apart" are never said where they do not hold, and a pair of
//! patterns that is odd enough may get neither.

use crate::policy::Pattern;

/// Whether `wide` fits every name that `narrow` fits.
pub(super) fn covers(wide: &Pattern, narrow: &Pattern) -> bool {
    match (wide, narrow) {
        (Pattern::Any, _) => true,
        // An unknown name fits `*` alone.
        (_, Pattern::Any) => false,
        (Pattern::Exact(wide), Pattern::Exact(narrow)) => wide == narrow,
        (Pattern::Exact(_), Pattern::Glob(_)) => false,
        (Pattern::Glob(_), Pattern::Exact(name)) => wide.fits(name.as_bytes()),
        (Pattern::Glob(wide), Pattern::Glob(narrow)) => glob_covers(wide.as_bytes(), narrow.as_bytes()),
    }
}

/// Whether no name fits both.
pub(super) fn apart(one: &Pattern, other: &Pattern) -> bool {
    match (one, other) {
        (Pattern::Any, _) | (_, Pattern::Any) => false,
        (Pattern::Exact(one), Pattern::Exact(other)) => one != other,
        (Pattern::Glob(_), Pattern::Exact(name)) => !one.fits(name.as_bytes()),
        (Pattern::Exact(name), Pattern::Glob(_)) => !other.fits(name.as_bytes()),
        (Pattern::Glob(one), Pattern::Glob(other)) => {
            let differ = |(one, other): (&u8, &u8)| one != other;
            let heads = (head(one.as_bytes()), head(other.as_bytes()));
            let tails = (tail(one.as_bytes()), tail(other.as_bytes()));
            heads.0.iter().zip(heads.1).any(differ) || tails.0.iter().rev().zip(tails.1.iter().rev()).any(differ)
        }
    }
}

/// What every name that fits begins with.
pub(super) fn prefix(pattern: &Pattern) -> &[u8] {
    match pattern {
        Pattern::Any => &[],
        Pattern::Exact(exact) => exact.as_bytes(),
        Pattern::Glob(glob) => head(glob.as_bytes()),
    }
}

/// What every name that fits ends with.
pub(super) fn suffix(pattern: &Pattern) -> &[u8] {
    match pattern {
        Pattern::Any => &[],
        Pattern::Exact(exact) => exact.as_bytes(),
        Pattern::Glob(glob) => tail(glob.as_bytes()),
    }
}

fn is_wild(byte: &u8) -> bool {
    matches!(byte, b'*' | b'?')
}

fn head(glob: &[u8]) -> &[u8] {
    glob.split(is_wild).next().unwrap_or_default()
}

fn tail(glob: &[u8]) -> &[u8] {
    glob.rsplit(is_wild).next().unwrap_or_default()
}

/// Matches `narrow` itself, as if it were a name: a `*` of it is taken by a `*` of `wide` alone, and a `?` by either.
fn glob_covers(wide: &[u8], narrow: &[u8]) -> bool {
    // Most pairs differ at their ends.
    if !head(narrow).starts_with(head(wide)) || !tail(narrow).ends_with(tail(wide)) {
        return false;
    }
    let (wide, narrow) = (stars_last(wide), stars_last(narrow));
    let (mut at_wide, mut at_narrow) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(symbol) = narrow.get(at_narrow) {
        match wide.get(at_wide) {
            Some(b'*') => {
                at_wide += 1;
                star = Some((at_wide, at_narrow));
            }
            Some(wanted) if *symbol != b'*' && (*wanted == b'?' || wanted == symbol) => {
                at_wide += 1;
                at_narrow += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    at_wide = after;
                    at_narrow = taken + 1;
                    star = Some((after, taken + 1));
                }
                None => return false,
            },
        }
    }
    wide.get(at_wide..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// The same glob with each run of wildcards in one form: its `?`s, then one `*` if it has any.
fn stars_last(glob: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(glob.len());
    for run in glob.chunk_by(|one, other| is_wild(one) == is_wild(other)) {
        if run.first().is_some_and(is_wild) {
            out.extend(run.iter().filter(|byte| **byte == b'?'));
            out.extend(run.contains(&b'*').then_some(b'*'));
        } else {
            out.extend_from_slice(run);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(glob: &str) -> Pattern {
        Pattern::new(glob).unwrap()
    }

    #[test]
    fn a_wider_pattern_covers_a_narrower_one() {
        for (wide, narrow, covered) in [
            ("*", "a*", true),
            ("a*", "*", false),
            ("pay-*", "pay-eu-*", true),
            ("pay-eu-*", "pay-*", false),
            ("pay-*", "pay-1", true),
            ("pay-?", "pay-1", true),
            ("pay-?", "pay-?", true),
            ("pay-?", "pay-*", false),
            ("pay-?*", "pay-*?", true),
            ("a*c", "a*b*c", true),
            ("a*b*c", "a*c", false),
            ("*b*", "a*b", true),
            ("?*", "*", false),
            ("a?c", "a*c", false),
        ] {
            assert_eq!(covers(&pattern(wide), &pattern(narrow)), covered, "{wide} over {narrow}");
        }
        for (one, other, are_apart) in [
            ("a*", "b*", true),
            ("*a", "*b", true),
            ("ab*", "a*", false),
            ("a", "a*", false),
            ("b", "a*", true),
            ("*", "a", false),
            ("a*x", "a*y", true),
            ("a?x", "a*x", false),
        ] {
            assert_eq!(apart(&pattern(one), &pattern(other)), are_apart, "{one} and {other}");
        }
    }

    proptest! {
        #[test]
        fn neither_answer_is_given_where_a_name_speaks_against_it(
            one in "[ab*?]{1,5}", other in "[ab*?]{1,5}", name in "[abc]{0,6}",
        ) {
            let (one, other) = (pattern(&one), pattern(&other));
            let fits = (one.fits(name.as_bytes()), other.fits(name.as_bytes()));
            prop_assert!(!covers(&one, &other) || fits != (false, true));
            prop_assert!(!apart(&one, &other) || fits != (true, true));
        }
    }
}
