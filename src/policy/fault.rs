//! What is wrong with a document.

use core::fmt;

/// How many faults are told; a document with more is beyond reading them one by one.
const TOLD: usize = 100;

/// One fault: where, what, and what was expected instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path in the document, such as `rules[0].ack_timeout.min`; empty for the document as a whole.
    pub path: String,
    /// What is wrong there, with the value and what was expected.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)
    }
}

/// All faults of one document, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    found: Vec<Fault>,
    untold: usize,
}

impl Faults {
    pub(super) fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        if self.found.len() < TOLD {
            self.found.push(Fault { path: path.into(), problem: problem.into() });
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
