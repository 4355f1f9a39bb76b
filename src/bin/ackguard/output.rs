//! How every command ends, and how it speaks.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anstream::{AutoStream, eprintln};
use anstyle::{AnsiColor, Style};

/// The exit status where a policy or a request is refused.
pub(crate) const REFUSED: u8 = 1;
/// The exit status where the command line is wrong or a file cannot be read.
pub(crate) const UNREAD: u8 = 2;

const BAD: Style = AnsiColor::Red.on_default().bold();

/// Performs a command that writes to standard output; colours reach terminals only.
pub(crate) fn perform(
    command: impl FnOnce(&mut BufWriter<AutoStream<io::Stdout>>) -> io::Result<ExitCode>,
) -> ExitCode {
    let mut out = BufWriter::new(anstream::stdout());
    let ended = command(&mut out).and_then(|code| out.flush().map(|()| code));
    match ended {
        Ok(code) => code,
        // Whoever read it has seen enough, as `head` does.
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(fault) => {
            complain(Path::new("standard output"), &fault);
            ExitCode::from(UNREAD)
        }
    }
}

/// Says on standard error why a file is of no use.
pub(crate) fn complain(file: &Path, why: &dyn Display) {
    eprintln!("{BAD}error{BAD:#}: {}: {why}", file.display());
}

/// A number with its noun.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A text with escapes for what nobody sees: control characters, bytes that are no UTF-8, and marks that turn or hide
/// text.
pub(crate) fn visible(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_hidden(character) {
                out.extend(character.escape_default());
            } else {
                out.push(character);
            }
        }
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    out
}

/// Control characters, and the formatting ones of Unicode: joiners, directions, the byte order mark, no-break spaces.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_shown() {
        for (bytes, shown) in [
            (&b"a\tb\r"[..], "a\\tb\\r"),
            ("消\u{202e}x\u{feff}".as_bytes(), "消\\u{202e}x\\u{feff}"),
            (b"\xff\x00", "\\xff\\u{0}"),
        ] {
            assert_eq!(visible(bytes), shown);
        }
    }
}
