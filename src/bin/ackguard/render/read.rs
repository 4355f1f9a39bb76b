//! Reads a policy's file as a tree.

use std::io;
use std::path::Path;

use ackguard::policy::{Faults, Policy};

use super::tree::Tree;
use crate::document;

/// Why a file gave no policy.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// It cannot be read at all.
    File(io::Error),
    /// It is neither YAML nor JSON; where and why, in one line.
    Syntax(String),
}

/// A document with what the filter makes of it.
pub(super) struct Read {
    pub(super) tree: Tree,
    pub(super) policy: Result<Policy, Faults>,
}

/// Reads YAML or JSON from a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Read, Unreadable> {
    let source = document::open(path).map_err(Unreadable::File)?;
    let document = document::read(&source).map_err(|fault| {
        let at = source.position(fault.place);
        Unreadable::Syntax(format!("{}:{}: {}", at.line, at.column, fault.problem))
    })?;
    Ok(Read { tree: Tree::from(&document.node), policy: Policy::compile(&document.node) })
}
