//! What does not fit together, by file.

use ackguard::json::Place;
use ackguard::policy::{Fault, Faults};

use super::origin::{Origin, attribute};
use super::{BASE, Directory};
use crate::diagnostic::Diagnostic;
use crate::document::Unreadable;
use crate::render::refusal::{Refusal, error};

/// The stable name of everything that keeps files from being merged.
const CODE: &str = "conflict";

/// What was found so far.
pub(super) struct Conflicts<'s> {
    directory: &'s Directory,
    found: Vec<(String, Diagnostic)>,
}

impl<'s> Conflicts<'s> {
    pub(super) fn new(directory: &'s Directory) -> Self {
        Conflicts { directory, found: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// A conflict in `file`, at a place and a path of it.
    pub(super) fn add(&mut self, file: &str, place: Place, path: String, problem: impl Into<String>) {
        self.found.push((file.to_owned(), error(CODE, path, problem.into(), place)));
    }

    /// A file that is no document.
    pub(super) fn unreadable(&mut self, file: &str, fault: Unreadable) {
        self.found.push((file.to_owned(), error(fault.code, String::new(), fault.problem, Some(fault.place))));
    }

    /// A fault of the merged document, by the file that it stands in. A fault of a tenant's `defaults` shows in each of
    /// its rules, and is told once.
    pub(super) fn fault(&mut self, fault: &Fault, origins: &[Origin<'_>]) {
        let (file, path) = attribute(fault, origins).unwrap_or((BASE, fault.path.clone()));
        let message = fault.problem.to_string();
        let known = |(known, one): &(String, Diagnostic)| known == file && one.path == path && one.message == message;
        if !self.found.iter().any(known) {
            self.found.push((file.to_owned(), error(fault.problem.code(), path, message, fault.place)));
        }
    }

    /// All of them, by file and place.
    pub(super) fn refusal(self) -> Refusal {
        self.told(0)
    }

    /// The same where the merged policy has these faults, of which the first are told.
    pub(super) fn refusal_of(self, faults: &Faults) -> Refusal {
        self.told(faults.count() - faults.told().len())
    }

    fn told(mut self, untold: usize) -> Refusal {
        self.found.sort_by(|(one, first), (other, second)| (one, first.place).cmp(&(other, second.place)));
        let files = &self.directory.files;
        let found = self.found.into_iter();
        let errors: Vec<_> = found.filter_map(|(file, error)| Some((files.get(&file)?, error))).collect();
        Refusal::of_files(&self.directory.path.display().to_string(), &errors, untold)
    }
}
