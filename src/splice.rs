//! Byte-exact edits: an edit changes its own range of the original bytes and nothing else.

use crate::json::{Object, Span, text};

/// One replacement of a range of the original by other bytes; an empty range is an insertion.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    span: Span,
    with: String,
}

/// Edits of the members of one JSON object.
#[derive(Debug)]
pub struct ObjectEdits<'a> {
    object: &'a Object,
    /// In the order of their places.
    edits: Vec<Edit>,
    populated: bool,
}

impl<'a> ObjectEdits<'a> {
    /// No edits yet of the object that stands at this place of the original.
    pub fn new(object: &'a Object) -> Self {
        ObjectEdits { object, edits: Vec::new(), populated: !object.empty }
    }

    /// Sets the member `name` to `json`, which must be JSON already: in place of its value at `value`, or as a new
    /// last member where it has none.
    pub fn set(&mut self, name: &str, value: Option<&Span>, json: &str) {
        let edit = match value {
            Some(span) => Edit { span: span.clone(), with: json.to_owned() },
            None => {
                let mut with = String::with_capacity(name.len() + json.len() + 4);
                if self.populated {
                    with.push(',');
                }
                self.populated = true;
                text::quote(name, &mut with);
                with.push(':');
                with.push_str(json);
                Edit { span: self.object.last..self.object.last, with }
            }
        };
        // What an object has edited is little, and insertions, which share one offset, keep the order that their commas need.
        let place = self.edits.partition_point(|earlier| earlier.span.start <= edit.span.start);
        self.edits.insert(place, edit);
    }

    /// The original with its edits. `None` where a span is not of this original, or two overlap.
    pub fn apply(self, original: &[u8]) -> Option<Vec<u8>> {
        let growth: usize = self.edits.iter().map(|edit| edit.with.len()).sum();
        let mut out = Vec::with_capacity(original.len() + growth);
        let mut done = 0;
        for edit in &self.edits {
            out.extend_from_slice(original.get(done..edit.span.start)?);
            out.extend_from_slice(edit.with.as_bytes());
            done = edit.span.end;
        }
        out.extend_from_slice(original.get(done..)?);
        Some(out)
    }
}
