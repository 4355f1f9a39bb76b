//! What is to be said about a place in a file, in the form that compilers use and editors understand.

use std::io::{self, Write};

use ackguard::json::Place;
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthChar as _;

use crate::source::Source;

/// How much of a line is shown, in characters: a policy in JSON may be one long line.
const SHOWN: usize = 120;
/// How much of that stands before the place at least, where the line has it.
const BEFORE: usize = 40;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The policy is refused.
    Error,
    /// The policy is accepted.
    Warning,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }

    fn style(self) -> Style {
        match self {
            Severity::Error => AnsiColor::Red.on_default().bold(),
            Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        }
    }
}

/// One thing to say.
#[derive(Debug)]
pub(crate) struct Diagnostic {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// The stable name of its kind.
    pub(crate) code: &'static str,
    /// The path in the policy; empty for the policy as a whole.
    pub(crate) path: String,
    /// What is to be said.
    pub(crate) message: String,
    /// The byte in the text that it is about.
    pub(crate) place: Place,
}

impl Diagnostic {
    /// Writes it for people: what and where, then the line with a mark below the place.
    pub(crate) fn write(&self, source: &Source, out: &mut impl Write) -> io::Result<()> {
        let style = self.severity.style();
        write!(out, "{BOLD}{}:", source.name())?;
        let position = self.place.map(|place| source.position(place));
        if let Some(position) = position {
            write!(out, "{}:{}:", position.line, position.column)?;
        }
        write!(out, "{BOLD:#} {style}{}[{}]{style:#}: ", self.severity.name(), self.code)?;
        if !self.path.is_empty() {
            write!(out, "{BOLD}{}{BOLD:#}: ", self.path)?;
        }
        writeln!(out, "{}", self.message)?;
        if let Some(position) = position {
            let line = position.line.to_string();
            let (shown, marked) = excerpt(source.line(position.line), position.column - 1);
            writeln!(out, "{DIM}{line:>5} |{DIM:#} {shown}")?;
            writeln!(out, "{DIM}{:>5} |{DIM:#} {style}{marked}{style:#}", "")?;
        }
        Ok(())
    }

    /// The same for machines.
    pub(crate) fn to_json(&self, source: &Source) -> Value {
        let position = self.place.map(|place| source.position(place));
        json!({
            "severity": self.severity.name(),
            "code": self.code,
            "path": self.path,
            "message": self.message,
            "line": position.map(|position| position.line),
            "column": position.map(|position| position.column),
        })
    }
}

/// What is shown of a line, and the mark that stands below the word at `column`, counted from 0.
fn excerpt(line: &str, column: usize) -> (String, String) {
    let characters: Vec<char> = line.chars().collect();
    let start = if characters.len() <= SHOWN { 0 } else { column.saturating_sub(BEFORE) };
    let end = characters.len().min(start + SHOWN);
    let mut shown = String::new();
    let mut marked = String::new();
    if start > 0 {
        shown.push('…');
        marked.push(' ');
    }
    for (at, character) in characters.iter().enumerate().take(end).skip(start) {
        // A tab has the width that the terminal gives it, a control character none that could be known.
        let visible = if character.is_control() && *character != '\t' { '\u{fffd}' } else { *character };
        shown.push(visible);
        if at < column {
            let blank = if visible == '\t' { '\t' } else { ' ' };
            marked.extend(std::iter::repeat_n(blank, visible.width().unwrap_or(1)));
        }
    }
    if end < characters.len() {
        shown.push('…');
    }
    let word = characters.get(column..end).unwrap_or_default();
    let width: usize = word.iter().take(word_length(word)).map(|character| character.width().unwrap_or(1)).sum();
    marked.push_str(&"^".repeat(width.max(1)));
    (shown, marked)
}

/// How many characters the value has that begins here: a quoted text, or what stands up to a delimiter.
fn word_length(rest: &[char]) -> usize {
    match rest.split_first() {
        Some((quote @ ('"' | '\''), inside)) => match inside.iter().position(|character| character == quote) {
            Some(end) => end + 2,
            None => rest.len(),
        },
        _ => rest.iter().take_while(|character| !character.is_whitespace() && !",:{}[]".contains(**character)).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_below_the_word() {
        for (line, column, mark) in [
            ("ack: { min: 5x }", 12, "            ^^"),
            ("a: \"b c\", d", 3, "   ^^^^^"),
            ("a: [1]", 3, "   ^"),
            ("\ta: b", 4, "\t   ^"),
            ("消息: b", 4, "      ^"),
            ("a:", 2, "  ^"),
        ] {
            assert_eq!(excerpt(line, column), (line.to_owned(), mark.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}HERE {}", "x".repeat(500), "y".repeat(500));
        let (shown, marked) = excerpt(&line, 500);
        assert_eq!(shown.chars().count(), SHOWN + 2);
        assert_eq!(shown.find("HERE").map(|at| shown[..at].chars().count()), marked.find('^'));
        assert!(marked.ends_with("^^^^"));
    }
}
