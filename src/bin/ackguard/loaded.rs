//! A policy that is needed for something else than being checked.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use ackguard::json::{Node, Place};
use ackguard::policy::Policy;

use crate::check;
use crate::document;
use crate::output::{self, REFUSED, UNREAD};
use crate::source::Source;

/// A policy with the document that it was compiled from.
pub(crate) struct Loaded<'s> {
    source: &'s Source,
    /// The document.
    pub(crate) node: Node<'s>,
    /// What it compiled to.
    pub(crate) policy: Policy,
}

/// Opens a policy's file; says on standard error why it cannot be read.
pub(crate) fn open(path: &Path) -> Result<Source, ExitCode> {
    document::open(path).map_err(|fault| {
        output::complain(path, &fault);
        ExitCode::from(UNREAD)
    })
}

/// Compiles the policy of a source; says on standard error what is wrong with it, and where in the file it was found.
pub(crate) fn compile(source: &Source) -> Result<Loaded<'_>, ExitCode> {
    match check::compiled(source) {
        Ok((document, policy)) => {
            if let Some(within) = document.within {
                anstream::eprintln!("{}: the policy at {within}", source.name());
            }
            Ok(Loaded { source, node: document.node, policy })
        }
        Err(faults) => {
            let mut out = anstream::stderr().lock();
            for fault in faults.told {
                // Nothing is left to be told where standard error is closed.
                let _ = fault.write(source, &mut out);
            }
            let _ = writeln!(out, "{}: refused with {}", source.name(), output::count(faults.count, "error"));
            Err(ExitCode::from(REFUSED))
        }
    }
}

impl Loaded<'_> {
    /// A place as `file:line`, and the name alone where there is no place.
    pub(crate) fn file_line(&self, place: Place) -> String {
        match self.line(place) {
            Some(line) => format!("{}:{line}", self.source.name()),
            None => self.source.name().to_owned(),
        }
    }

    /// The line of a place.
    pub(crate) fn line(&self, place: Place) -> Option<usize> {
        place.map(|place| self.source.position(place).line)
    }

    /// The file's name.
    pub(crate) fn file(&self) -> &str {
        self.source.name()
    }
}
