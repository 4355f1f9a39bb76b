//! Reads one object of a document: its fields by name and type, with a fault for each that is wrong or unknown.
//!
//! A policy is read once and Envoy compiles all of the module before it serves: so what reads a field is not inlined where
//! it is called, which is in a hundred places.

use core::fmt;
use core::ops::RangeInclusive;
use std::cell::RefCell;
use std::collections::HashSet;

use crate::json::{Content, Member, Node, Place, text};
use crate::operation::Millis;

use super::Problem;
use super::fault::Faults;
use super::pattern::{MAX_PATTERN, Pattern};
use super::units::{MAX_DURATION, duration, write_duration};
use super::wording::{counted, one_of, quoted, shown};

/// The longest label (a version, a rule's name), in bytes. Labels go into headers and metrics.
const MAX_LABEL: usize = 64;
/// Room for the fields that an object of the policy may have; a guard has the most.
const FIELDS: usize = 16;
/// Up to so many fields of an object are compared with each other; more are put into a set.
const FEW: usize = 16;

/// The way from the root of a document to a part of it. Written out only for faults: a document of ten thousand rules
/// has a hundred thousand of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trail<'p> {
    /// The document.
    Root,
    /// A field of an object.
    Field(&'p Trail<'p>, &'p str),
    /// An element of the list in a field of an object.
    Element(&'p Trail<'p>, &'p str, usize),
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = |parent: &Trail<'_>, f: &mut fmt::Formatter<'_>| match parent {
            Trail::Root => Ok(()),
            parent => write!(f, "{parent}."),
        };
        match self {
            Trail::Root => Ok(()),
            Trail::Field(parent, name) => {
                within(parent, f)?;
                f.write_str(name)
            }
            Trail::Element(parent, name, index) => {
                within(parent, f)?;
                write!(f, "{name}[{index}]")
            }
        }
    }
}

/// An object of the document that is being read.
#[derive(Debug)]
pub(super) struct Section<'n, 'p> {
    trail: Trail<'p>,
    place: Place,
    members: &'n [Member<'n>],
    /// The fields that were asked for, each once, in order.
    known: [&'static str; FIELDS],
    asked: usize,
    /// How many of `members` they are.
    found: usize,
    faults: &'p RefCell<Faults>,
}

impl<'n, 'p> Section<'n, 'p> {
    /// Opens the object at `trail`; a fault where `node` is no object.
    #[inline(never)]
    pub(super) fn open(trail: Trail<'p>, node: &'n Node<'n>, faults: &'p RefCell<Faults>) -> Option<Self> {
        match &node.content {
            Content::Object(members) => {
                Some(Section { trail, place: node.place, members, known: [""; FIELDS], asked: 0, found: 0, faults })
            }
            _ => {
                add(faults, trail, node.place, wrong(node, &"an object"));
                None
            }
        }
    }

    /// The object at another place of the document, whose faults are told with those of this one.
    pub(super) fn elsewhere<'q>(&self, trail: Trail<'q>, node: &'n Node<'n>) -> Option<Section<'n, 'q>>
    where
        'p: 'q,
    {
        Section::open(trail, node, self.faults)
    }

    /// Whether the document has had faults so far.
    pub(super) fn any_faults(&self) -> bool {
        self.faults.borrow().count() > 0
    }

    /// A fault of the object as a whole.
    pub(super) fn fault_here(&self, problem: Problem) {
        add(self.faults, self.trail, self.place, problem);
    }

    /// A fault of the field `name`, at its value, or at the object where it is absent.
    #[cold]
    #[inline(never)]
    pub(super) fn fault(&self, name: &str, problem: Problem) {
        let member = self.members.iter().find(|member| member.name == name);
        let place = member.map_or(self.place, |member| member.node.place);
        self.fault_at(name, place, problem);
    }

    fn fault_at(&self, name: &str, place: Place, problem: Problem) {
        add(self.faults, Trail::Field(&self.trail, name), place, problem);
    }

    /// A fault of the field `name`, whose value is not what is expected.
    #[cold]
    #[inline(never)]
    pub(super) fn wrong(&self, name: &str, expected: &dyn fmt::Display) {
        let member = self.members.iter().find(|member| member.name == name);
        let found = member.map_or_else(String::new, |member| quoted(&member.node));
        self.fault(name, Problem::Wrong { found, expected: expected.to_string() });
    }

    /// The value of a field, which is a known one from here on.
    #[inline(never)]
    pub(super) fn get(&mut self, name: &'static str) -> Option<&'n Node<'n>> {
        let is_known = self.known().contains(&name);
        // Where every member was found by another name, this one is not there.
        let is_there = is_known || self.found < self.members.len();
        let member = self.members.iter().find(|member| is_there && member.name == name);
        if !is_known && let Some(slot) = self.known.get_mut(self.asked) {
            *slot = name;
            self.asked += 1;
            self.found += usize::from(member.is_some());
        }
        Some(&member?.node)
    }

    fn known(&self) -> &[&'static str] {
        self.known.get(..self.asked).unwrap_or_default()
    }

    /// Whether a field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|member| member.name == name)
    }

    /// A fault where a field is absent that must be there.
    #[inline(never)]
    pub(super) fn require(&mut self, name: &'static str, expected: &str) {
        if self.get(name).is_none() {
            self.fault(name, Problem::Missing { expected: expected.to_owned() });
        }
    }

    /// The object in a field.
    #[inline(never)]
    pub(super) fn section(&mut self, name: &'static str) -> Option<Section<'n, '_>> {
        let node = self.get(name)?;
        Section::open(Trail::Field(&self.trail, name), node, self.faults)
    }

    /// The elements of a list in a field.
    #[inline(never)]
    pub(super) fn list(&mut self, name: &'static str) -> Option<&'n [Node<'n>]> {
        let node = self.get(name)?;
        let elements = node.elements();
        if elements.is_none() {
            self.wrong(name, &"a list");
        }
        elements
    }

    /// The elements of a list in a field, where they are not more than `most`. `what` they are is for the fault.
    #[inline(never)]
    pub(super) fn short_list(&mut self, name: &'static str, what: &'static str, most: usize) -> Option<&'n [Node<'n>]> {
        let elements = self.list(name)?;
        if elements.len() <= most {
            return Some(elements);
        }
        self.fault(name, Problem::TooMany { count: elements.len(), what, most });
        None
    }

    /// The object at an index of a list in a field.
    #[inline(never)]
    pub(super) fn element(&self, name: &'static str, index: usize, node: &'n Node<'n>) -> Option<Section<'n, '_>> {
        Section::open(Trail::Element(&self.trail, name, index), node, self.faults)
    }

    /// A text of any form.
    #[inline(never)]
    pub(super) fn text(&mut self, name: &'static str) -> Option<&'n str> {
        let node = self.get(name)?;
        let text = node.text();
        if text.is_none() {
            self.wrong(name, &"a string");
        }
        text
    }

    /// A name that may stand in headers and metrics.
    #[inline(never)]
    pub(super) fn label(&mut self, name: &'static str) -> Option<&'n str> {
        let label = self.text(name)?;
        let fits = (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@+".contains(&byte));
        if fits {
            return Some(label);
        }
        self.wrong(name, &format_args!("1 to {MAX_LABEL} letters, digits and -_./:@+"));
        None
    }

    /// A glob.
    #[inline(never)]
    pub(super) fn pattern(&mut self, name: &'static str) -> Option<Pattern> {
        let glob = self.text(name)?;
        let pattern = Pattern::new(glob);
        if pattern.is_none() {
            self.wrong(name, &format_args!("a pattern of 1 to {MAX_PATTERN} bytes"));
        }
        pattern
    }

    /// Puts a duration into `slot`, if the field is there.
    pub(super) fn duration(&mut self, name: &'static str, slot: &mut Millis) {
        self.duration_within(name, "5s", MAX_DURATION, slot);
    }

    /// Puts a duration of at most `most` into `slot`, if the field is there; `example` is one, for the fault.
    #[inline(never)]
    pub(super) fn duration_within(&mut self, name: &'static str, example: &str, most: Millis, slot: &mut Millis) {
        let Some(node) = self.get(name) else { return };
        match node.text().and_then(duration).filter(|millis| (Millis(1)..=most).contains(millis)) {
            Some(millis) => *slot = millis,
            None => {
                let most = write_duration(most);
                self.wrong(name, &format_args!("a duration such as \"{example}\", over 0 and at most {most}"));
            }
        }
    }

    /// Puts a whole number in `range` into `slot`, if the field is there.
    #[inline(never)]
    pub(super) fn count(&mut self, name: &'static str, range: RangeInclusive<i64>, slot: &mut i64) {
        let Some(node) = self.get(name) else { return };
        match whole(node).filter(|number| range.contains(number)) {
            Some(number) => *slot = number,
            None => self.wrong(name, &counted(&range)),
        }
    }

    /// Puts a whole number in `range` into `slot`, or nothing for `word`, if the field is there.
    pub(super) fn count_or<T: TryFrom<i64>>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<i64>,
        word: &str,
        slot: &mut Option<T>,
    ) {
        let Some(node) = self.get(name) else { return };
        let number = whole(node).filter(|number| range.contains(number)).and_then(|number| number.try_into().ok());
        if number.is_some() || node.text() == Some(word) {
            *slot = number;
        } else {
            self.wrong(name, &format_args!("{}, or {word}", counted(&range)));
        }
    }

    /// A number that `fits`, if the field is there; `expected` says which do. It may stand in quotes: Envoy 1.40 makes a
    /// text of `0.5` where it reads a `google.protobuf.Struct` from YAML.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        fits: impl FnOnce(f64) -> bool,
        expected: &'static str,
    ) -> Option<f64> {
        let node = self.get(name)?;
        let number = match &node.content {
            Content::Number(number) => number.parse().ok(),
            Content::String(text) if text.starts_with(|first: char| first.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| fits(*number));
        if number.is_none() {
            self.wrong(name, &expected);
        }
        number
    }

    /// Puts a switch into `slot`, if the field is there.
    #[inline(never)]
    pub(super) fn flag(&mut self, name: &'static str, slot: &mut bool) {
        match self.get(name).map(|node| &node.content) {
            None => {}
            Some(Content::Bool(flag)) => *slot = *flag,
            Some(_) => self.wrong(name, &"true or false"),
        }
    }

    /// Puts the choice that a word stands for into `slot`, if the field is there.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)], slot: &mut T) {
        let Some(node) = self.get(name) else { return };
        match node.text().and_then(|word| choices.iter().find(|(choice, _)| *choice == word)) {
            Some((_, value)) => *slot = *value,
            None => self.wrong(name, &one_of(&words(choices))),
        }
    }

    /// What the words of a list stand for, in their order; a fault for each that is none of `choices`, or stands twice.
    pub(super) fn choices<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Vec<T> {
        let chosen = self.chosen(name, &words(choices));
        chosen.into_iter().filter_map(|index| choices.get(index)).map(|(_, value)| *value).collect()
    }

    /// The indexes of the words of a list among `words`.
    #[inline(never)]
    fn chosen(&mut self, name: &'static str, words: &[&str]) -> Vec<usize> {
        let elements = self.list(name).unwrap_or_default();
        let mut chosen = Vec::new();
        for (index, node) in elements.iter().enumerate() {
            let text = node.text();
            let problem = match words.iter().position(|word| text == Some(*word)) {
                Some(choice) if chosen.contains(&choice) => Problem::Repeated,
                Some(choice) => {
                    chosen.push(choice);
                    continue;
                }
                None => wrong(node, &one_of(words)),
            };
            add(self.faults, Trail::Element(&self.trail, name, index), node.place, problem);
        }
        chosen
    }

    /// Faults every field that was not asked for, every one that stands twice, and those of `unavailable`, which are
    /// part of the document's version and have no effect in this release.
    #[inline(never)]
    pub(super) fn close(self, unavailable: &[&'static str]) {
        if self.found == self.members.len() {
            // Each is known, and none stands twice: a second one is never found.
            return;
        }
        for name in unavailable {
            if self.has(name) {
                self.fault(name, Problem::Unavailable);
            }
        }
        let mut seen = Seen::new(self.members);
        for (index, Member { name, place, .. }) in self.members.iter().enumerate() {
            if seen.before(index, name) {
                self.fault_at(&shown(name), *place, Problem::Repeated);
            } else if !self.known().iter().chain(unavailable).any(|known| known == name) {
                let known = self.known().iter().copied().filter(|known| !unavailable.contains(known)).collect();
                self.fault_at(&shown(name), *place, Problem::Unknown { known });
            }
        }
    }
}

/// A value that is not what is expected.
fn wrong(node: &Node<'_>, expected: &dyn fmt::Display) -> Problem {
    Problem::Wrong { found: quoted(node), expected: expected.to_string() }
}

#[cold]
#[inline(never)]
fn add(faults: &RefCell<Faults>, trail: Trail<'_>, place: Place, problem: Problem) {
    faults.borrow_mut().add(|| trail.to_string(), place, problem);
}

fn words<'w, T>(choices: &[(&'w str, T)]) -> Vec<&'w str> {
    choices.iter().map(|(word, _)| *word).collect()
}

/// Which names stood before.
enum Seen<'n> {
    Few(&'n [Member<'n>]),
    Many(HashSet<&'n str>),
}

impl<'n> Seen<'n> {
    fn new(members: &'n [Member<'n>]) -> Self {
        if members.len() <= FEW { Seen::Few(members) } else { Seen::Many(HashSet::new()) }
    }

    fn before(&mut self, index: usize, name: &'n str) -> bool {
        match self {
            Seen::Few(members) => members.iter().take(index).any(|member| member.name == name),
            Seen::Many(names) => !names.insert(name),
        }
    }
}

/// The whole number that a value is. A `google.protobuf.Struct` holds doubles only, so that it may arrive as `3.0`.
fn whole(node: &Node<'_>) -> Option<i64> {
    match &node.content {
        Content::Number(number) => text::integer(number.strip_suffix(".0").unwrap_or(number)),
        _ => None,
    }
}
