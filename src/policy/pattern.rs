//! Globs: `*` stands for any characters, `?` for one. Everything else stands for itself.

/// The longest pattern, in bytes: with names bounded too, a match has a bounded cost.
pub(super) const MAX_PATTERN: usize = 256;

/// A compiled glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `*`
    Any,
    /// No wildcard.
    Exact(String),
    /// With wildcards.
    Glob(String),
}

impl Pattern {
    /// Compiles a glob. `None` where it is empty or longer than 256 bytes.
    pub fn new(glob: &str) -> Option<Pattern> {
        match glob {
            _ if glob.is_empty() || glob.len() > MAX_PATTERN => None,
            _ if glob.bytes().all(|byte| byte == b'*') => Some(Pattern::Any),
            _ if glob.contains(['*', '?']) => Some(Pattern::Glob(glob.to_owned())),
            _ => Some(Pattern::Exact(glob.to_owned())),
        }
    }

    /// The same pattern for text in lower case.
    pub fn into_lowercase(self) -> Pattern {
        match self {
            Pattern::Any => Pattern::Any,
            Pattern::Exact(exact) => Pattern::Exact(exact.to_ascii_lowercase()),
            Pattern::Glob(glob) => Pattern::Glob(glob.to_ascii_lowercase()),
        }
    }

    /// The glob as it was written, but for one of several `*` alone.
    pub fn glob(&self) -> &str {
        match self {
            Pattern::Any => "*",
            Pattern::Exact(glob) | Pattern::Glob(glob) => glob,
        }
    }

    /// Whether the whole of `text` fits. `?` takes one byte.
    pub fn fits(&self, text: &[u8]) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exact(exact) => exact.as_bytes() == text,
            Pattern::Glob(glob) => glob_fits(glob.as_bytes(), text),
        }
    }
}

/// Matches greedily and goes back to the last `*` only: at most `glob.len() * text.len()` steps.
fn glob_fits(glob: &[u8], text: &[u8]) -> bool {
    let (mut at_glob, mut at_text) = (0, 0);
    // Behind the last `*`: where the glob goes on, and how much of the text the star has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(at_text) {
        match glob.get(at_glob) {
            Some(b'*') => {
                at_glob += 1;
                star = Some((at_glob, at_text));
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                at_glob += 1;
                at_text += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    at_glob = after;
                    at_text = taken + 1;
                    star = Some((after, taken + 1));
                }
                None => return false,
            },
        }
    }
    glob.get(at_glob..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (glob, text, fits) in [
            ("*", "", true),
            ("**", "anything", true),
            ("orders", "orders", true),
            ("orders", "orders2", false),
            ("orders*", "orders", true),
            ("orders*", "orders.eu", true),
            ("*.dlq", "orders.dlq", true),
            ("*.dlq", "orders.dlq.old", false),
            ("pay-?", "pay-1", true),
            ("pay-?", "pay-", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("/tmq/*", "/tmq/v1/topics/x", true),
            ("/tmq/*", "/tmq", false),
        ] {
            let pattern = Pattern::new(glob).unwrap();
            assert_eq!(pattern.fits(text.as_bytes()), fits, "{glob} on {text}");
        }
        assert_eq!(Pattern::new(""), None);
        assert_eq!(Pattern::new(&"a".repeat(MAX_PATTERN + 1)), None);
    }
}
