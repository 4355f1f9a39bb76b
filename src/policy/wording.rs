//! The words of an error message: values as they are written, cut where they are long, and what was expected instead.

use core::ops::RangeInclusive;

use crate::json::{Content, Node, text};

/// How much of a wrong value is quoted, in characters.
const QUOTED: usize = 60;

/// A field's name for an error message: as it is where it is a plain one, else quoted and cut.
pub(super) fn shown(name: &str) -> String {
    let plain = name.len() <= QUOTED && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if plain { name.to_owned() } else { quoted_text(name) }
}

/// A range of whole numbers for an error message.
pub(super) fn counted(range: &RangeInclusive<i64>) -> String {
    format!("a whole number, {} to {}", range.start(), range.end())
}

/// Words as a choice.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [word] => (*word).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A value for an error message: as it is written, cut where it is long.
pub(super) fn quoted(node: &Node<'_>) -> String {
    match &node.content {
        Content::Null => "null".to_owned(),
        Content::Bool(flag) => flag.to_string(),
        Content::Number(number) => cut(number),
        Content::String(plain) => quoted_text(plain),
        Content::Array(_) => "a list".to_owned(),
        Content::Object(_) => "an object".to_owned(),
    }
}

/// A text for an error message: in quotes, and cut where it is long.
pub(super) fn quoted_text(plain: &str) -> String {
    let mut out = String::new();
    text::quote(plain, &mut out);
    cut(&out)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
