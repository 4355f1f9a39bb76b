//! Reads a policy's file.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use super::tree::Tree;

/// Why a file gave no document.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// It cannot be read at all.
    File(io::Error),
    /// It is neither YAML nor JSON; where and why, in one line.
    Syntax(String),
}

/// Reads YAML, of which JSON is a part, from a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Tree, Unreadable> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        io::stdin().read_to_string(&mut text).map_err(Unreadable::File)?;
    } else {
        text = fs::read_to_string(path).map_err(Unreadable::File)?;
    }
    serde_saphyr::from_str(&text).map_err(|error| {
        let message = error.to_string();
        Unreadable::Syntax(message.lines().next().unwrap_or_default().to_owned())
    })
}
