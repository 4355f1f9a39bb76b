//! Why nothing is rendered.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use ackguard::json::Place;

use crate::check::Refused;
use crate::diagnostic::{Diagnostic, Severity};
use crate::output::{self, REFUSED};
use crate::source::Source;

/// Why nothing is rendered: what was found in the files, told with its place, and how many of it.
pub(super) struct Refusal {
    told: Vec<u8>,
    /// What is refused, and the number of errors; none where it is told in one line.
    summary: Option<(String, usize)>,
}

impl Refusal {
    /// A form that cannot do what is asked for.
    pub(super) fn of_form(problem: &str) -> Refusal {
        Refusal { told: format!("{problem}\n").into_bytes(), summary: None }
    }

    /// A document that cannot be written.
    pub(super) fn unwritten(error: &dyn Display) -> Refusal {
        Refusal::of_form(&format!("cannot be written: {error}"))
    }

    /// A file with a policy that the filter would refuse, or with none.
    pub(super) fn of_file(source: &Source, refused: Refused) -> Refusal {
        let untold = refused.count - refused.told.len();
        let told: Vec<_> = refused.told.into_iter().map(|fault| (source, fault)).collect();
        Refusal::of_files(source.name(), &told, untold)
    }

    /// Errors in files, and the number of those that are not told one by one.
    pub(super) fn of_files(what: &str, errors: &[(&Source, Diagnostic)], untold: usize) -> Refusal {
        let mut told = Vec::new();
        for (source, diagnostic) in errors {
            // Memory takes all that is written to it.
            let _ = diagnostic.write(source, &mut told);
        }
        if untold > 0 {
            told.extend_from_slice(format!("and {untold} more errors\n").as_bytes());
        }
        Refusal { told, summary: Some((what.to_owned(), errors.len() + untold)) }
    }

    /// Says it on standard error.
    pub(super) fn tell(self) -> ExitCode {
        let mut out = anstream::stderr().lock();
        // Nothing is left to be told where standard error is closed.
        let _ = out.write_all(&self.told);
        if let Some((what, count)) = self.summary {
            let _ = writeln!(out, "{what}: refused with {}", output::count(count, "error"));
        }
        ExitCode::from(REFUSED)
    }
}

/// An error at a place of a file.
pub(super) fn error(code: &'static str, path: String, message: String, place: Place) -> Diagnostic {
    Diagnostic { severity: Severity::Error, code, path, message, place }
}
