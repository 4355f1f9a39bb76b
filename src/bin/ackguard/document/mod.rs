//! A policy file as a document: JSON or YAML, the policy itself or an Envoy or Istio configuration that holds one.

mod yaml;

use std::path::Path;

use ackguard::json::{Content, Node};

use crate::source::Source;

/// What a policy's `apiVersion` begins with, whatever version it is.
const API: &str = "ackguard/";

/// Fields of which a policy that has lost its `apiVersion` still has one.
const POLICY_FIELDS: [&str; 4] = ["traffic", "defaults", "rules", "tenant"];

/// How many strings are looked into, one within the other: a `ConfigMap` may hold a resource of Envoy, and that may hold
/// JSON.
const STRINGS: u32 = 2;

/// Why a file's text is no document.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// A stable name of the fault.
    pub(crate) code: &'static str,
    /// The byte offset.
    pub(crate) place: usize,
    /// What is wrong, and what was expected.
    pub(crate) problem: String,
}

impl Unreadable {
    fn new(code: &'static str, place: usize, problem: impl Into<String>) -> Self {
        Unreadable { code, place, problem: problem.into() }
    }
}

/// A policy's document.
#[derive(Debug)]
pub(crate) struct Document<'s> {
    /// The tree of the policy alone.
    pub(crate) node: Node<'s>,
    /// Where in its file it stands, unless it is the file.
    pub(crate) within: Option<String>,
}

/// Opens a policy file; `-` is standard input. Where the file holds the policy in a string, as a
/// `google.protobuf.StringValue` or a `ConfigMap` does, the source is that string, named by its file and its path.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn open(path: &Path) -> std::io::Result<Source> {
    Source::read(path).map(settle)
}

/// The text that holds the policy itself: the source, or a string in it.
pub(crate) fn settle(mut source: Source) -> Source {
    for _ in 0..STRINGS {
        let found = tree(&source).ok().and_then(|root| match find(&root, String::new(), STRINGS) {
            Some((Found::Text(text), path)) => Some((text.to_owned(), path)),
            _ => None,
        });
        match found {
            Some((text, path)) => source = Source::new(format!("{}({path})", source.name()), text),
            None => break,
        }
    }
    source
}

/// The policy's document in a source.
///
/// # Errors
/// When the text is neither JSON nor YAML, or holds no policy.
pub(crate) fn read(source: &Source) -> Result<Document<'_>, Unreadable> {
    let root = tree(source)?;
    let is_policy = POLICY_FIELDS.iter().any(|field| root.member(field).is_some()) || is_versioned(&root);
    let is_object = matches!(root.content, Content::Object(_));
    if is_policy || !is_object {
        return Ok(Document { node: root, within: None });
    }
    match find(&root, String::new(), STRINGS) {
        Some((Found::Policy(node), path)) => {
            let node = node.clone();
            Ok(Document { node, within: Some(path) })
        }
        _ if matches!(&root.content, Content::Object(members) if members.is_empty()) => {
            Ok(Document { node: root, within: None })
        }
        _ => Err(Unreadable::new(
            "no-policy",
            root.place.unwrap_or_default(),
            "holds no policy; expected an object with apiVersion: ackguard/v1",
        )),
    }
}

/// The whole text as a tree: JSON where it begins as an object of JSON, or the name says so; YAML else.
pub(crate) fn tree(source: &Source) -> Result<Node<'_>, Unreadable> {
    tree_of(source.text(), source.name().ends_with(".json"))
}

fn tree_of(text: &str, is_json: bool) -> Result<Node<'_>, Unreadable> {
    if !is_json && !text.trim_ascii_start().starts_with('{') {
        return yaml::read(text);
    }
    Node::parse(text.as_bytes())
        .map_err(|fault| Unreadable::new("syntax", fault.at, format!("not JSON: expected {}", fault.expected)))
}

enum Found<'n, 's> {
    Policy(&'n Node<'s>),
    Text(&'n str),
}

/// The first policy below `node`, depth first in the document's order, with its path. So many `strings` may lie within
/// each other.
fn find<'n, 's>(node: &'n Node<'s>, path: String, strings: u32) -> Option<(Found<'n, 's>, String)> {
    match &node.content {
        Content::Object(_) if is_versioned(node) => Some((Found::Policy(node), path)),
        Content::Object(members) => members.iter().find_map(|member| {
            let dot = if path.is_empty() { "" } else { "." };
            find(&member.node, format!("{path}{dot}{}", member.name), strings)
        }),
        Content::Array(elements) => {
            elements.iter().enumerate().find_map(|(index, element)| find(element, format!("{path}[{index}]"), strings))
        }
        Content::String(text) if text.contains(API) => {
            let strings = strings.checked_sub(1)?;
            let inner = tree_of(text, false).ok()?;
            find(&inner, String::new(), strings).map(|_| (Found::Text(text), path))
        }
        _ => None,
    }
}

fn is_versioned(node: &Node<'_>) -> bool {
    node.member("apiVersion").and_then(Node::text).is_some_and(|version| version.starts_with(API))
}
