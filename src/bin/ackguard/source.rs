//! A file's text, and where in it something stands, as people count: lines and columns from 1.

use std::io::{self, Read as _};
use std::path::Path;

/// The largest file that is read whole. A policy has 1 MiB at most; this leaves room for the rest of an Envoy's
/// configuration.
const MAX_FILE: u64 = 16 << 20;

/// Where something stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The column in characters, from 1.
    pub(crate) column: usize,
}

/// A text with its name.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    text: String,
    /// The byte offset of each line's start.
    lines: Vec<usize>,
}

impl Source {
    /// Reads a file, or standard input where `path` is `-`.
    ///
    /// # Errors
    /// When it cannot be read, is larger than 16 MiB, or is not UTF-8.
    pub(crate) fn read(path: &Path) -> io::Result<Source> {
        let mut bytes = Vec::new();
        let name = if path == Path::new("-") {
            io::stdin().lock().take(MAX_FILE + 1).read_to_end(&mut bytes)?;
            "<stdin>".to_owned()
        } else {
            std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
            path.display().to_string()
        };
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {} MiB", MAX_FILE >> 20)));
        }
        let text = String::from_utf8(bytes).map_err(|fault| {
            let at = fault.utf8_error().valid_up_to();
            io::Error::new(io::ErrorKind::InvalidData, format!("byte {at} is not UTF-8"))
        })?;
        Ok(Source::new(name, text))
    }

    /// A text of this name.
    pub(crate) fn new(name: String, text: String) -> Source {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        Source { name, text, lines }
    }

    /// The name for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where the byte at `offset` stands.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }

    /// The text of a line, counted from 1, without its end.
    pub(crate) fn line(&self, line: usize) -> &str {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or_default();
        let text = text.strip_suffix('\n').unwrap_or(text);
        text.strip_suffix('\r').unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_as_people_count_it() {
        let source = Source::new("a".to_owned(), "one\r\nzwö: 2\n\nend".to_owned());
        for (needle, line, column) in [("one", 1, 1), ("zw", 2, 1), (": 2", 2, 4), ("end", 4, 1)] {
            let offset = source.text().find(needle).unwrap();
            assert_eq!(source.position(offset), Position { line, column }, "{needle}");
        }
        assert_eq!(source.position(source.text().len()), Position { line: 4, column: 4 });
        assert_eq!((source.line(1), source.line(2), source.line(3), source.line(4)), ("one", "zwö: 2", "", "end"));
        assert_eq!(source.line(5), "");
    }
}
