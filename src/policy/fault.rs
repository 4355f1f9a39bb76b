//! The faults of a document: where, and what.

use core::fmt;

use crate::json::Place;

use super::Problem;

/// How many faults are told; a document with more is beyond reading them one by one.
const TOLD: usize = 100;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path in the document, such as `rules[0].ack_timeout.min`; empty for the document as a whole.
    pub path: String,
    /// Where in the text it stands, as the tree's maker counts.
    pub place: Place,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        self.problem.fmt(f)
    }
}

/// All faults of one document, in the order of the policy's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    found: Vec<Fault>,
    untold: usize,
}

impl Faults {
    /// Adds a fault; its path is asked for only where it will be told.
    pub(super) fn add(&mut self, path: impl FnOnce() -> String, place: Place, problem: Problem) {
        if self.found.len() < TOLD {
            self.found.push(Fault { path: path(), place, problem });
        } else {
            self.untold += 1;
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.found.len() + self.untold
    }

    /// The faults that are told: the first hundred.
    pub fn told(&self) -> &[Fault] {
        &self.found
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.found.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        if self.untold > 0 {
            write!(f, "\nand {} more", self.untold)?;
        }
        Ok(())
    }
}

impl core::error::Error for Faults {}
