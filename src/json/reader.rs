//! The reader: one pass over a JSON text, no allocation, no recursion.

use core::fmt;
use core::ops::Range;
use std::borrow::Cow;

use super::MAX_DEPTH;
use super::nesting::{Container, Nesting};
use super::text;

/// A range of byte offsets in the text that was read.
pub type Span = Range<usize>;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// Any number.
    Number,
    /// Any string.
    String,
    /// Any array.
    Array,
    /// Any object.
    Object,
}

/// A value's kind and where its text stands; a string's span includes its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub span: Span,
}

/// A member's name as it is written, between its quotes.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    raw: &'a str,
    escaped: bool,
    at: usize,
}

impl<'a> Key<'a> {
    /// Whether this key, with its escapes read, is `name`: `"ack\u0054imeout"` is `ackTimeout` to a broker too.
    pub fn is(&self, name: &str) -> bool {
        if self.escaped { text::unescape(self.raw).is_some_and(|key| key == name) } else { self.raw == name }
    }

    /// The key with its escapes read; `None` where they are no text (half of a surrogate pair).
    pub fn name(&self) -> Option<Cow<'a, str>> {
        if self.escaped { text::unescape(self.raw) } else { Some(Cow::Borrowed(self.raw)) }
    }

    /// The byte offset of its opening quote.
    pub fn at(&self) -> usize {
        self.at
    }
}

/// Where a text stops being JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The byte offset of the fault.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: expected {}", self.at, self.expected)
    }
}

impl core::error::Error for Malformed {}

/// The outline of an object, which is what an insertion needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// From `{` to `}`, both included.
    pub span: Span,
    /// Where the last member's value ends, or just behind `{` in an empty object.
    pub last: usize,
    /// Whether it has no members.
    pub empty: bool,
}

/// Reads one JSON text from its start to its end.
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The containers that callers of `members` and `elements` are in.
    depth: u32,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`, which must be UTF-8 without a byte order mark.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(Reader { text, at: 0, depth: 0 }),
            Err(fault) => Err(Malformed { at: fault.valid_up_to(), expected: "UTF-8" }),
        }
    }

    /// The byte offset of what comes next.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The text of a span that this reader reported.
    pub fn slice(&self, span: &Span) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// The kind of the value that begins next, without reading it.
    pub fn peek_kind(&mut self) -> Result<Kind, Malformed> {
        self.skip_whitespace();
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            _ => Err(self.fault("a value")),
        }
    }

    /// Reads the next value whole, whatever is nested in it.
    pub fn value(&mut self) -> Result<Value, Malformed> {
        let kind = self.peek_kind()?;
        let start = self.at;
        let mut open = Nesting::default();
        loop {
            match self.peek_kind()? {
                Kind::Object => {
                    self.nest(open.depth())?;
                    self.at += 1;
                    if !self.skip_if(b'}') {
                        open.push(Container::Object);
                        self.key()?;
                        continue;
                    }
                }
                Kind::Array => {
                    self.nest(open.depth())?;
                    self.at += 1;
                    if !self.skip_if(b']') {
                        open.push(Container::Array);
                        continue;
                    }
                }
                scalar => self.scalar(scalar)?,
            }
            loop {
                match open.top() {
                    None => {
                        return Ok(Value { kind, span: start..self.at });
                    }
                    Some(Container::Object) => {
                        if self.skip_if(b',') {
                            self.key()?;
                            break;
                        }
                        self.require(b'}', "',' or '}'")?;
                    }
                    Some(Container::Array) => {
                        if self.skip_if(b',') {
                            break;
                        }
                        self.require(b']', "',' or ']'")?;
                    }
                }
                open.pop();
            }
        }
    }

    /// Reads an object, calling `member` at each value with its key; `member` must read the value.
    pub fn members<F>(&mut self, mut member: F) -> Result<Object, Malformed>
    where
        F: FnMut(&mut Self, Key<'a>) -> Result<(), Malformed>,
    {
        self.require(b'{', "an object")?;
        let start = self.at - 1;
        self.nest(0)?;
        self.depth += 1;
        let mut last = self.at;
        let empty = self.skip_if(b'}');
        if !empty {
            loop {
                let key = self.key()?;
                member(self, key)?;
                last = self.at;
                if !self.skip_if(b',') {
                    break;
                }
            }
            self.require(b'}', "',' or '}'")?;
        }
        self.depth -= 1;
        Ok(Object { span: start..self.at, last, empty })
    }

    /// Reads an array, calling `element` at each value; `element` must read the value.
    pub fn elements<F>(&mut self, mut element: F) -> Result<(), Malformed>
    where
        F: FnMut(&mut Self) -> Result<(), Malformed>,
    {
        self.require(b'[', "an array")?;
        self.nest(0)?;
        self.depth += 1;
        if !self.skip_if(b']') {
            loop {
                element(self)?;
                if !self.skip_if(b',') {
                    break;
                }
            }
            self.require(b']', "',' or ']'")?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Checks that nothing but whitespace is left.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.skip_whitespace();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fault("the end")) }
    }

    fn fault(&self, expected: &'static str) -> Malformed {
        Malformed { at: self.at, expected }
    }

    /// Checks that one more container may open within `open` ones of the value that is being read.
    fn nest(&self, open: u32) -> Result<(), Malformed> {
        if self.depth + open < MAX_DEPTH { Ok(()) } else { Err(self.fault("less nesting")) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Whether `byte` comes next, behind whitespace; it is read if so.
    fn skip_if(&mut self, byte: u8) -> bool {
        self.skip_whitespace();
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn require(&mut self, byte: u8, expected: &'static str) -> Result<(), Malformed> {
        if self.skip_if(byte) { Ok(()) } else { Err(self.fault(expected)) }
    }

    fn key(&mut self) -> Result<Key<'a>, Malformed> {
        self.skip_whitespace();
        if self.peek() != Some(b'"') {
            return Err(self.fault("a key in quotes"));
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let raw = self.slice(&(start..self.at - 1));
        self.require(b':', "':'")?;
        Ok(Key { raw, escaped, at: start - 1 })
    }

    fn scalar(&mut self, kind: Kind) -> Result<(), Malformed> {
        match kind {
            Kind::String => self.string().map(|_| ()),
            Kind::Number => self.number(),
            Kind::Null => self.literal("null"),
            _ if self.peek() == Some(b't') => self.literal("true"),
            _ => self.literal("false"),
        }
    }

    fn literal(&mut self, word: &'static str) -> Result<(), Malformed> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.fault(word))
        }
    }

    /// Reads a string from its opening quote to behind its closing one; tells whether it holds an escape.
    fn string(&mut self) -> Result<bool, Malformed> {
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let plain = text::plain(rest);
            self.at += plain;
            match rest.get(plain) {
                None => return Err(self.fault("'\"'")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                _ => return Err(self.fault("an escape for a control character")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
                if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    self.at += 5;
                    Ok(())
                } else {
                    Err(self.fault("four hexadecimal digits"))
                }
            }
            _ => Err(self.fault("an escape")),
        }
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.fault("a digit")) }
    }
}
