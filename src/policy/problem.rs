//! What can be wrong with a document, each kind with a code that tools may rely on.

use core::fmt;

use super::wording::one_of;

/// What is wrong at one place of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The document is larger than what is read.
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most that is read.
        most: usize,
    },
    /// The text is not of its format.
    Syntax {
        /// The format, such as JSON.
        format: &'static str,
        /// Where it breaks, and what was expected there.
        fault: String,
    },
    /// A value is none of those that may stand there.
    Wrong {
        /// The value, as it is written.
        found: String,
        /// What may stand there.
        expected: String,
    },
    /// A field is absent that must be there.
    Missing {
        /// What may stand there.
        expected: String,
    },
    /// An object says nothing.
    Empty {
        /// What it may say.
        expected: String,
    },
    /// A field is none of those that may stand there.
    Unknown {
        /// Those that may.
        known: Vec<&'static str>,
    },
    /// A field stands twice in its object.
    Repeated,
    /// A field is part of the document's version and has no effect in this release. A policy that seems to be in force
    /// and is not would be worse than a refused one.
    Unavailable,
    /// Two fields exclude each other.
    Exclusive {
        /// Their names.
        fields: &'static str,
    },
    /// A list is longer than what is read.
    TooMany {
        /// How many elements it has.
        count: usize,
        /// What its elements are.
        what: &'static str,
        /// The most that are read.
        most: usize,
    },
    /// A name has a meaning of its own.
    Reserved {
        /// The name.
        name: String,
    },
    /// A name must be told apart from an earlier one.
    Taken {
        /// The name.
        name: String,
        /// Whose it is.
        by: &'static str,
    },
    /// A lower bound is over its upper one.
    Inverted {
        /// The lower bound.
        min: String,
        /// The upper bound.
        max: String,
    },
    /// A default is out of its own bounds.
    DefaultOutside {
        /// The default.
        default: String,
        /// The lower bound.
        min: String,
        /// The upper bound.
        max: String,
    },
}

/// Gives every kind of problem its code, and lists the codes.
macro_rules! codes {
    ($($kind:ident => $code:literal,)*) => {
        /// Every code that [`Problem::code`] returns.
        pub const CODES: &[&str] = &[$($code),*];

        /// The name of this kind of problem, the same in every release.
        pub fn code(&self) -> &'static str {
            match self {
                $(Problem::$kind { .. } => $code,)*
            }
        }
    };
}

impl Problem {
    codes! {
        TooLarge => "too-large",
        Syntax => "syntax",
        Wrong => "wrong-value",
        Missing => "missing-field",
        Empty => "empty",
        Unknown => "unknown-field",
        Repeated => "repeated-field",
        Unavailable => "unavailable",
        Exclusive => "exclusive",
        TooMany => "too-many",
        Reserved => "reserved-name",
        Taken => "taken-name",
        Inverted => "inverted-bounds",
        DefaultOutside => "default-outside",
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::TooLarge { bytes, most } => write!(f, "{bytes} bytes; expected at most {most}"),
            Problem::Syntax { format, fault } => write!(f, "not {format}: {fault}"),
            Problem::Wrong { found, expected } => write!(f, "{found} is not {expected}"),
            Problem::Missing { expected } => write!(f, "missing; expected {expected}"),
            Problem::Empty { expected } => write!(f, "empty; expected {expected}"),
            Problem::Unknown { known } => write!(f, "unknown field; expected {}", one_of(known)),
            Problem::Repeated => f.write_str("stands more than once"),
            Problem::Unavailable => f.write_str("this release of AckGuard does not act on it; leave it out"),
            Problem::Exclusive { fields } => write!(f, "{fields}; expected one of them"),
            Problem::TooMany { count, what, most } => write!(f, "{count} {what}; expected at most {most}"),
            Problem::Reserved { name } => write!(f, "\"{name}\" is taken; expected another name"),
            Problem::Taken { name, by } => write!(f, "\"{name}\" is the name of {by}"),
            Problem::Inverted { min, max } => write!(f, "min {min} is over max {max}"),
            Problem::DefaultOutside { default, min, max } => {
                write!(f, "default {default} is not between min {min} and max {max}")
            }
        }
    }
}
