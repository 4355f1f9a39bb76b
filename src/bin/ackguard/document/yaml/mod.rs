//! YAML 1.2 as the same tree that the filter makes of JSON.
//!
//! Plain scalars are read by the core schema, quoted ones are strings, aliases are copies of what they name. The tree
//! keeps a name that stands twice, so that the policy's own fault tells it.

mod scalar;

use std::collections::HashMap;

use ackguard::json::{Content, MAX_DEPTH, Member, Node};
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use super::Unreadable;
use scalar::plain_scalar;

/// The most values in a document with its aliases expanded. A policy of 1 MiB has some 200,000 at most; a few aliases of
/// aliases would make billions.
const MAX_NODES: usize = 1_000_000;

/// Reads a whole document.
pub(super) fn read(text: &str) -> Result<Node<'_>, Unreadable> {
    let mut reader =
        Reader { parser: Parser::new_from_str(text), offsets: Offsets::of(text), anchors: HashMap::new(), nodes: 0 };
    let document = reader.document()?;
    match reader.next()? {
        (Event::StreamEnd, _) => Ok(document),
        (_, at) => Err(Unreadable::new("yaml-documents", at, "a second document; expected one document")),
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    offsets: Offsets,
    /// What each anchor names, with the number of its nodes.
    anchors: HashMap<usize, (Node<'t>, usize)>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Node<'t>, Unreadable> {
        let null = Node { place: Some(0), content: Content::Null };
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd, _) => return Ok(null),
                (event, at) => {
                    let node = self.node(event, at, 0)?;
                    // What comes behind the node is the document's end.
                    self.next()?;
                    return Ok(node);
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, usize), Unreadable> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.offsets.byte(span.start.index()))),
            Some(Err(fault)) => {
                let at = self.offsets.byte(fault.marker().index());
                Err(Unreadable::new("syntax", at, format!("not YAML: {}", fault.info())))
            }
            None => Ok((Event::StreamEnd, self.offsets.end)),
        }
    }

    fn node(&mut self, event: Event<'t>, at: usize, depth: u32) -> Result<Node<'t>, Unreadable> {
        if depth >= MAX_DEPTH {
            return Err(Unreadable::new(
                "yaml-depth",
                at,
                format!("nested too deep; expected at most {MAX_DEPTH} levels"),
            ));
        }
        let before = self.nodes;
        self.count(1, at)?;
        let (anchor, content) = match event {
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.as_deref(), at)?;
                let plain = style == ScalarStyle::Plain;
                (anchor, if plain { plain_scalar(text) } else { Content::String(text) })
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at)?;
                (anchor, self.sequence(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at)?;
                (anchor, self.mapping(depth)?)
            }
            // The parser gives these only between documents.
            _ => return Err(Unreadable::new("syntax", at, "not YAML: expected a value")),
        };
        let node = Node { place: Some(at), content };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, at: usize) -> Result<Node<'t>, Unreadable> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(Unreadable::new("yaml-alias", at, "an alias inside of what it names; expected an end to it"));
        };
        let size = *size;
        let node = node.clone();
        self.count(size, at)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, at: usize) -> Result<(), Unreadable> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(Unreadable::new(
                "yaml-size",
                at,
                format!("too many values with aliases expanded; expected at most {MAX_NODES}"),
            ));
        }
        Ok(())
    }

    fn sequence(&mut self, depth: u32) -> Result<Content<'t>, Unreadable> {
        let mut elements = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::Array(elements)),
                (event, at) => elements.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: u32) -> Result<Content<'t>, Unreadable> {
        let mut members = Vec::new();
        loop {
            let (name, place) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Content::Object(members)),
                (Event::Scalar(name, _, anchor, tag), at) => {
                    refuse_tag(tag.as_deref(), at)?;
                    if anchor > 0 {
                        let node = Node { place: Some(at), content: Content::String(name.clone()) };
                        self.anchors.insert(anchor, (node, 1));
                    }
                    (name, at)
                }
                (Event::Alias(anchor), at) => match self.alias(anchor, at)?.content {
                    Content::String(name) => (name, at),
                    _ => return Err(no_name(at)),
                },
                (_, at) => return Err(no_name(at)),
            };
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            members.push(Member { name, place: Some(place), node });
        }
    }
}

fn no_name(at: usize) -> Unreadable {
    Unreadable::new("yaml-key", at, "a list or an object is no field's name; expected a text")
}

fn refuse_tag(tag: Option<&Tag>, at: usize) -> Result<(), Unreadable> {
    match tag {
        None => Ok(()),
        Some(tag) => Err(Unreadable::new("yaml-tag", at, format!("the tag {tag} is not read; leave it out"))),
    }
}

/// The byte offset of each character, because the parser counts characters.
struct Offsets {
    /// Empty where every character is one byte.
    bytes: Vec<usize>,
    end: usize,
}

impl Offsets {
    fn of(text: &str) -> Offsets {
        let bytes = if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        Offsets { bytes, end: text.len() }
    }

    fn byte(&self, character: usize) -> usize {
        if self.bytes.is_empty() {
            return character.min(self.end);
        }
        self.bytes.get(character).copied().unwrap_or(self.end)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let text = "[ -~é消\\u{1f600}\\n\\t]{0,12}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from);
            let object = prop::collection::btree_map(text, inner, 0..6);
            prop_oneof![list, object.prop_map(|members| Value::Object(members.into_iter().collect()))]
        })
    }

    proptest! {
        /// JSON is YAML: both readers make the same tree of it, with the same places.
        #[test]
        fn json_is_read_as_json_is(value in json(), pretty in any::<bool>()) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(read(&text).map_err(|fault| fault.problem), Ok(Node::parse(text.as_bytes()).unwrap()));
        }

        #[test]
        fn no_text_is_a_panic(text in "([-:?,&*!|>'\"%@#\\[\\]{} \\n\\t\\r]|[a-c0-9é]|- |: |\\n +|\u{feff}){0,60}") {
            if let Err(fault) = read(&text) {
                prop_assert!(fault.place <= text.len() && text.is_char_boundary(fault.place), "{:?} in {:?}", fault, text);
            }
        }
    }

    #[test]
    fn every_value_stands_where_the_text_has_it() {
        let text = "# é\r\nü: [1, \"2\", &a {b: c}, *a]\r\nd:\r\n  - e: |\r\n      f\r\n";
        let node = read(text).unwrap();
        let Content::Object(members) = &node.content else { panic!("{node:?}") };
        let at = |needle: &str| text.find(needle);
        assert_eq!(members[0].place, at("ü"));
        let elements = members[0].node.elements().unwrap();
        assert_eq!(elements[0], Node { place: at("1"), content: Content::Number(Cow::Borrowed("1")) });
        assert_eq!(elements[1], Node { place: at("\"2"), content: Content::String(Cow::Borrowed("2")) });
        assert_eq!(elements[2].member("b").unwrap().place, at("c}"));
        assert_eq!(elements[3], elements[2], "an alias is what it names");
        let block = members[1].node.elements().unwrap()[0].member("e").unwrap();
        assert_eq!(block.text(), Some("f\n"));
    }

    #[test]
    fn a_name_that_stands_twice_is_kept_twice() {
        let Content::Object(members) = read("a: 1\na: 2\n").unwrap().content else { panic!("no object") };
        assert_eq!(members.len(), 2);
    }

    #[test]
    fn what_is_no_plain_document_is_told_with_its_place() {
        let laughs: String = (1..30)
            .map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1))
            .fold("a0: &a0 [x]\n".to_owned(), |text, line| text + &line);
        let deep = "[".repeat(200);
        for (text, code, at) in [
            ("a: b\n  c: [1\n", "syntax", 8),
            ("a: }\n", "syntax", 3),
            ("a: !x b\n", "yaml-tag", 3),
            ("a: !!str b\n", "yaml-tag", 3),
            ("a: 1\n---\nb: 2\n", "yaml-documents", 5),
            ("? [1]\n: 2\n", "yaml-key", 2),
            ("a: &a [*a]\n", "yaml-alias", 7),
            ("a: *b\n", "syntax", 3),
            (deep.as_str(), "yaml-depth", 127),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!((fault.code, fault.place), (code, at), "{text}: {}", fault.problem);
        }
        assert_eq!(read(&laughs).unwrap_err().code, "yaml-size");
    }
}
