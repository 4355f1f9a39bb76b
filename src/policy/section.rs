//! Reads one object of a document: its fields by name and type, with a fault for each that is wrong or unknown.

use std::collections::HashSet;

use crate::json::{Node, text};
use crate::operation::Millis;

use super::fault::Faults;
use super::pattern::{MAX_PATTERN, Pattern};
use super::units::{MAX_DURATION, duration, write_duration};

/// The longest label (a version, a rule's name), in bytes. Labels go into headers and metrics.
const MAX_LABEL: usize = 64;
/// How much of a wrong value is quoted, in characters.
const QUOTED: usize = 60;

/// An object of the document that is being read.
pub(super) struct Section<'n, 'f> {
    path: String,
    members: &'n [(String, Node)],
    known: Vec<&'static str>,
    faults: &'f mut Faults,
}

impl<'n, 'f> Section<'n, 'f> {
    /// Opens the object at `path`; a fault where `node` is no object.
    pub(super) fn open(path: String, node: &'n Node, faults: &'f mut Faults) -> Option<Self> {
        match node {
            Node::Object(members) => Some(Section { path, members, known: Vec::new(), faults }),
            other => {
                faults.add(path, format!("{} is not an object", quoted(other)));
                None
            }
        }
    }

    /// The path of a field of this object.
    fn path(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    /// A fault of the field `name`, or of the object itself where `name` is empty.
    pub(super) fn fault(&mut self, name: &str, problem: impl Into<String>) {
        let path = if name.is_empty() { self.path.clone() } else { self.path(name) };
        self.faults.add(path, problem);
    }

    /// The value of a field, which is a known one from here on.
    pub(super) fn get(&mut self, name: &'static str) -> Option<&'n Node> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        let (_, node) = self.members.iter().find(|(member, _)| member == name)?;
        Some(node)
    }

    /// A fault where a field is absent that must be there.
    pub(super) fn require(&mut self, name: &'static str, expected: &str) {
        if self.get(name).is_none() {
            self.fault(name, format!("missing; expected {expected}"));
        }
    }

    /// The object in a field.
    pub(super) fn section(&mut self, name: &'static str) -> Option<Section<'n, '_>> {
        let node = self.get(name)?;
        let path = self.path(name);
        Section::open(path, node, self.faults)
    }

    /// The elements of an array in a field, each with its path.
    pub(super) fn list(&mut self, name: &'static str) -> Option<&'n [Node]> {
        match self.get(name)? {
            Node::Array(elements) => Some(elements),
            other => {
                self.wrong(name, other, "a list");
                None
            }
        }
    }

    /// The object at an index of a list in a field.
    pub(super) fn element(&mut self, name: &str, index: usize, node: &'n Node) -> Option<Section<'n, '_>> {
        let path = format!("{}[{index}]", self.path(name));
        Section::open(path, node, self.faults)
    }

    /// A text of any form.
    pub(super) fn text(&mut self, name: &'static str) -> Option<&'n str> {
        match self.get(name)? {
            Node::String(text) => Some(text),
            other => {
                self.wrong(name, other, "a string");
                None
            }
        }
    }

    /// A name that may stand in headers and metrics.
    pub(super) fn label(&mut self, name: &'static str) -> Option<&'n str> {
        let label = self.text(name)?;
        let fits = (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@+".contains(&byte));
        if fits {
            return Some(label);
        }
        let expected = format!("1 to {MAX_LABEL} letters, digits and -_./:@+");
        self.wrong(name, &Node::String(label.to_owned()), &expected);
        None
    }

    /// A glob.
    pub(super) fn pattern(&mut self, name: &'static str) -> Option<Pattern> {
        let glob = self.text(name)?;
        let pattern = Pattern::new(glob);
        if pattern.is_none() {
            let expected = format!("a pattern of 1 to {MAX_PATTERN} bytes");
            self.wrong(name, &Node::String(glob.to_owned()), &expected);
        }
        pattern
    }

    /// Puts a duration into `slot`, if the field is there.
    pub(super) fn duration(&mut self, name: &'static str, slot: &mut Millis) {
        let Some(node) = self.get(name) else { return };
        match node {
            Node::String(text) if duration(text).is_some_and(|millis| millis > Millis(0)) => {
                *slot = duration(text).unwrap_or(*slot);
            }
            other => {
                let most = write_duration(MAX_DURATION);
                let expected = format!("a duration such as \"5s\", over 0 and at most {most}");
                self.wrong(name, other, &expected);
            }
        }
    }

    /// Puts a whole number in `range` into `slot`, if the field is there.
    pub(super) fn count(&mut self, name: &'static str, range: core::ops::RangeInclusive<i64>, slot: &mut i64) {
        let Some(node) = self.get(name) else { return };
        // A google.protobuf.Struct holds doubles only, so a whole number may arrive as `3.0`.
        let number = match node {
            Node::Number(number) => text::integer(number.strip_suffix(".0").unwrap_or(number)),
            _ => None,
        };
        match number.filter(|number| range.contains(number)) {
            Some(number) => *slot = number,
            None => {
                let expected = format!("a whole number, {} to {}", range.start(), range.end());
                self.wrong(name, node, &expected);
            }
        }
    }

    /// Puts a switch into `slot`, if the field is there.
    pub(super) fn flag(&mut self, name: &'static str, slot: &mut bool) {
        match self.get(name) {
            None => {}
            Some(Node::Bool(flag)) => *slot = *flag,
            Some(other) => self.wrong(name, other, "true or false"),
        }
    }

    /// Puts the choice that a word stands for into `slot`, if the field is there.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)], slot: &mut T) {
        let Some(node) = self.get(name) else { return };
        let chosen = match node {
            Node::String(word) => choices.iter().find(|(choice, _)| choice == word),
            _ => None,
        };
        match chosen {
            Some((_, value)) => *slot = *value,
            None => {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                self.wrong(name, node, &one_of(&words));
            }
        }
    }

    /// Faults the fields that are part of the policy's version 1 and that this release does not act on: a policy
    /// that seems to be in force and is not would be worse than a refused one.
    fn unavailable(&mut self, names: &[&'static str]) {
        for name in names {
            if self.get(name).is_some() {
                self.fault(name, "this release of AckGuard does not act on it; leave it out");
            }
        }
        self.known.retain(|known| !names.contains(known));
    }

    /// Faults every field that was not asked for, and every one that stands twice.
    pub(super) fn close(mut self, unavailable: &[&'static str]) {
        self.unavailable(unavailable);
        let mut seen = HashSet::new();
        for (name, _) in self.members {
            let known = self.known.iter().chain(unavailable).any(|known| known == name);
            if !seen.insert(name) {
                self.fault(&shown(name), "stands more than once");
            } else if !known {
                let expected = one_of(&self.known);
                self.fault(&shown(name), format!("unknown field; expected {expected}"));
            }
        }
    }

    fn wrong(&mut self, name: &str, found: &Node, expected: &str) {
        self.fault(name, format!("{} is not {expected}", quoted(found)));
    }
}

/// A field's name for an error message: as it is where it is a plain one, else quoted and cut.
fn shown(name: &str) -> String {
    let plain = name.len() <= QUOTED && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if plain { name.to_owned() } else { quoted(&Node::String(name.to_owned())) }
}

fn one_of(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [word] => (*word).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A value for an error message: as it is written, cut where it is long.
pub(super) fn quoted(node: &Node) -> String {
    let text = match node {
        Node::Null => "null".to_owned(),
        Node::Bool(flag) => flag.to_string(),
        Node::Number(number) => number.clone(),
        Node::String(plain) => {
            let mut out = String::new();
            text::quote(plain, &mut out);
            out
        }
        Node::Array(_) => "a list".to_owned(),
        Node::Object(_) => "an object".to_owned(),
    };
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
