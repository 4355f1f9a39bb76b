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
