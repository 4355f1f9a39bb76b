//! A JSON text that comes in pieces: some members of it are found as it passes, whatever it weighs.
//!
//! An answer of a broker streams through the gateway and is never held up or kept, so what it says is read by a state
//! machine that takes any split of the text. It checks the text as strictly as the [`Reader`](super::Reader) does, but
//! for the UTF-8 of strings that nobody asked for.

use core::ops::Range;

use super::MAX_DEPTH;
use super::nesting::{Container, Nesting};
use super::reader::Malformed;
use super::text;

/// The longest key that is compared, as it is written: a name of twenty letters with each one escaped.
const MAX_KEY: usize = 128;
/// The longest value that is found, as it is written. The longest receipts of brokers are of some 1,000 bytes (SQS).
const MAX_VALUE: usize = 4096;

/// What to find: in the list that is the member `list` of the whole, the member `field` of each element, or each element
/// itself. All that is wanted of one list stands together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The list's key.
    pub list: &'static str,
    /// The key in each element; none where the elements are the values.
    pub field: Option<&'static str>,
}

/// A value that holds no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// A string, with its escapes read.
    Text(&'a str),
    /// A number, as it is written.
    Number(&'a str),
}

/// What is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The value that is wanted at this index. `null`, `true`, `false`, a list, an object, and a string that is no text
    /// (half of a surrogate pair) are as good as absent.
    Found(usize, Scalar<'a>),
    /// An element that is an object has ended, of a list in which something is wanted.
    Ended,
}

/// Finds what is wanted in a text that comes in pieces. Its own memory is bounded.
#[derive(Debug)]
pub struct Stream {
    wanted: &'static [Wanted],
    state: State,
    open: Nesting,
    /// What is wanted of the list that is being read.
    list: Range<usize>,
    /// What the current key of an element is of what is wanted.
    field: Option<usize>,
    held: Held,
    bytes: Vec<u8>,
    /// How many bytes were taken before the current piece.
    taken: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    /// A comma, or the end of what is open.
    Next,
    Text(Role, Escape),
    Number(Number),
    /// The rest of `true`, `false` or `null`.
    Word(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Key,
    Value,
}

/// Where in an escape a string is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    Outside,
    Begun,
    /// So many hexadecimal digits are missing.
    Digits(u8),
}

/// What was read of a number last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Digit,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigit,
}

/// What the bytes of the current key, string or number are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    Key,
    Value(usize),
}

impl Stream {
    /// A stream at its start.
    pub fn new(wanted: &'static [Wanted]) -> Stream {
        Stream {
            wanted,
            state: State::Value,
            open: Nesting::default(),
            list: 0..0,
            field: None,
            held: Held::Nothing,
            bytes: Vec::new(),
            taken: 0,
        }
    }

    /// Takes the next piece, and tells what it finds.
    ///
    /// # Errors
    /// Where the text stops being JSON, or a value that is wanted is longer than 4096 bytes. Nothing after that has a
    /// meaning.
    pub fn push(&mut self, piece: &[u8], found: &mut impl FnMut(Event<'_>)) -> Result<(), Malformed> {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = self.step(rest, found).map_err(|expected| {
                let at = self.taken + piece.len() - rest.len();
                Malformed { at, expected }
            })?;
        }
        self.taken += piece.len();
        Ok(())
    }

    /// Checks that the text is whole.
    ///
    /// # Errors
    /// When it is not.
    pub fn end(&self) -> Result<(), Malformed> {
        let whole = match self.state {
            State::Next => true,
            State::Number(number) => number.is_whole(),
            _ => false,
        };
        if whole && self.open.depth() == 0 {
            return Ok(());
        }
        Err(Malformed { at: self.taken, expected: "the rest of the text" })
    }

    /// Reads on from the first byte of `rest`; returns what is left.
    fn step<'r>(&mut self, rest: &'r [u8], found: &mut impl FnMut(Event<'_>)) -> Result<&'r [u8], &'static str> {
        let Some((byte, after)) = rest.split_first() else { return Ok(rest) };
        match self.state {
            State::Text(role, Escape::Outside) => return self.text(role, rest, found),
            State::Text(role, escape) => {
                self.hold(&[*byte])?;
                self.state = State::Text(role, escape.next(*byte)?);
            }
            State::Number(number) => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if digits > 0 && number.repeats() {
                    let (digits, after) = rest.split_at(digits);
                    self.hold(digits)?;
                    return Ok(after);
                }
                let Some(next) = number.next(*byte) else {
                    if !number.is_whole() {
                        return Err("a digit");
                    }
                    self.number_ended(found);
                    return Ok(rest);
                };
                self.hold(&[*byte])?;
                self.state = State::Number(next);
            }
            State::Word(word) => {
                let Some(tail) = word.strip_prefix(char::from(*byte)) else { return Err("null, true or false") };
                self.state = if tail.is_empty() { State::Next } else { State::Word(tail) };
            }
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {}
            State::ValueOrEnd if *byte == b']' => self.close(found),
            State::Value | State::ValueOrEnd => return self.begin(rest, found),
            State::KeyOrEnd if *byte == b'}' => self.close(found),
            State::Key | State::KeyOrEnd if *byte == b'"' => {
                let compared = match self.open.depth() {
                    1 => true,
                    3 => !self.list.is_empty(),
                    _ => false,
                };
                if let Some((key, after)) = whole_text(after) {
                    if compared {
                        self.compare((key.len() <= MAX_KEY).then_some(key));
                    }
                    self.state = State::Colon;
                    // Most values stand right behind their keys.
                    return match after {
                        [b':', value @ ..] if begins_value(value) => self.begin(value, found),
                        _ => Ok(after),
                    };
                }
                self.keep(if compared { Held::Key } else { Held::Nothing });
                self.state = State::Text(Role::Key, Escape::Outside);
            }
            State::Key | State::KeyOrEnd => return Err("a key in quotes"),
            State::Colon if *byte == b':' => self.state = State::Value,
            State::Colon => return Err("':'"),
            State::Next => match (self.open.top(), byte) {
                (Some(Container::Object), b',') => self.state = State::Key,
                (Some(Container::Array), b',') => self.state = State::Value,
                (Some(Container::Object), b'}') | (Some(Container::Array), b']') => self.close(found),
                (None, _) => return Err("the end"),
                _ => return Err("',' or the end of what is open"),
            },
        }
        Ok(after)
    }

    /// Begins the value that `value` begins with; returns what is left of what comes after its beginning.
    fn begin<'r>(&mut self, value: &'r [u8], found: &mut impl FnMut(Event<'_>)) -> Result<&'r [u8], &'static str> {
        let Some((&byte, after)) = value.split_first() else { return Ok(value) };
        let wanted = self.wanted();
        if byte == b'"'
            && let Some((text, after)) = whole_text(after)
        {
            if let Some(place) = wanted {
                if text.len() > MAX_VALUE {
                    return Err("a shorter value");
                }
                if let Ok(text) = core::str::from_utf8(text) {
                    found(Event::Found(place, Scalar::Text(text)));
                }
            }
            return Ok(self.ended(after));
        }
        if let Some((number, after)) = whole_integer(value) {
            if let (Some(place), Ok(number)) = (wanted, core::str::from_utf8(number)) {
                if number.len() > MAX_VALUE {
                    return Err("a shorter value");
                }
                found(Event::Found(place, Scalar::Number(number)));
            }
            return Ok(self.ended(after));
        }
        self.keep(wanted.map_or(Held::Nothing, Held::Value));
        self.state = match byte {
            b'{' => {
                self.open(Container::Object, State::KeyOrEnd)?;
                return Ok(after);
            }
            b'[' => {
                self.open(Container::Array, State::ValueOrEnd)?;
                return Ok(after);
            }
            b'"' => State::Text(Role::Value, Escape::Outside),
            b't' => State::Word("rue"),
            b'f' => State::Word("alse"),
            b'n' => State::Word("ull"),
            _ => {
                let number = Number::first(byte).ok_or("a value")?;
                self.hold(&[byte])?;
                State::Number(number)
            }
        };
        Ok(after)
    }

    /// Goes on behind a value, and behind the comma that may stand there.
    fn ended<'r>(&mut self, after: &'r [u8]) -> &'r [u8] {
        let (state, after) = match (after, self.open.top()) {
            ([b',', after @ ..], Some(Container::Object)) => (State::Key, after),
            ([b',', after @ ..], Some(Container::Array)) => (State::Value, after),
            _ => (State::Next, after),
        };
        self.state = state;
        after
    }

    fn open(&mut self, container: Container, state: State) -> Result<(), &'static str> {
        if self.open.depth() >= MAX_DEPTH {
            return Err("less nesting");
        }
        if self.open.depth() == 1 && container == Container::Object {
            self.list = 0..0;
        }
        if self.open.depth() == 2 {
            self.field = None;
        }
        self.open.push(container);
        self.state = state;
        Ok(())
    }

    fn close(&mut self, found: &mut impl FnMut(Event<'_>)) {
        let element = self.open.depth() == 3 && self.open.top() == Some(Container::Object);
        self.open.pop();
        self.state = State::Next;
        if element && !self.list.is_empty() {
            found(Event::Ended);
        }
    }

    /// The value that begins here, where it is wanted.
    fn wanted(&self) -> Option<usize> {
        match (self.open.depth(), self.open.top()?) {
            (2, _) => self.place(None),
            (3, Container::Object) => self.field,
            _ => None,
        }
    }

    /// The place of what is wanted of the list that is being read, by its key in each element.
    fn place(&self, field: Option<&[u8]>) -> Option<usize> {
        let is_wanted = |wanted: &Wanted| wanted.field.map(str::as_bytes) == field;
        self.list.clone().find(|place| self.wanted.get(*place).is_some_and(is_wanted))
    }

    /// Reads a string on to its end, its next escape, or the end of the piece.
    fn text<'r>(
        &mut self,
        role: Role,
        rest: &'r [u8],
        found: &mut impl FnMut(Event<'_>),
    ) -> Result<&'r [u8], &'static str> {
        let (plain, rest) = rest.split_at_checked(text::plain(rest)).unwrap_or_default();
        let Some((byte, after)) = rest.split_first() else {
            self.hold(plain)?;
            return Ok(rest);
        };
        match (byte, role) {
            (b'"', Role::Key) => self.key(plain),
            (b'"', Role::Value) => self.text_ended(plain, found)?,
            (b'\\', _) => {
                self.hold(plain)?;
                self.hold(b"\\")?;
                self.state = State::Text(role, Escape::Begun);
            }
            _ => return Err("an escape for a control character"),
        }
        Ok(after)
    }

    /// Takes the key that ends with `last`.
    fn key(&mut self, last: &[u8]) {
        self.state = State::Colon;
        // A value's bound alone is a fault.
        let _ = self.hold(last);
        if self.held != Held::Key {
            return self.compare(None);
        }
        let held = core::mem::take(&mut self.bytes);
        let key = core::str::from_utf8(&held).ok().and_then(text::unescape);
        self.compare(key.as_deref().map(str::as_bytes));
        self.bytes = held;
    }

    /// Finds out what the member of this key is of what is wanted; none is nobody's.
    fn compare(&mut self, key: Option<&[u8]>) {
        match self.open.depth() {
            1 => {
                let is_of = |wanted: &Wanted| Some(wanted.list.as_bytes()) == key;
                let first = self.wanted.iter().position(is_of).unwrap_or(self.wanted.len());
                let after = self.wanted.iter().rposition(is_of).map_or(first, |last| last + 1);
                self.list = first..after;
            }
            3 => self.field = key.and_then(|key| self.place(Some(key))),
            _ => {}
        }
    }

    /// Tells the string that ends with `last`, where it is wanted.
    fn text_ended(&mut self, last: &[u8], found: &mut impl FnMut(Event<'_>)) -> Result<(), &'static str> {
        self.hold(last)?;
        self.state = State::Next;
        let Held::Value(place) = self.held else { return Ok(()) };
        let Ok(raw) = core::str::from_utf8(&self.bytes) else { return Ok(()) };
        if let Some(text) = text::unescape(raw) {
            found(Event::Found(place, Scalar::Text(&text)));
        }
        Ok(())
    }

    /// Tells the number that has just ended, where it is wanted.
    fn number_ended(&mut self, found: &mut impl FnMut(Event<'_>)) {
        self.state = State::Next;
        let Held::Value(place) = self.held else { return };
        if let Ok(raw) = core::str::from_utf8(&self.bytes) {
            found(Event::Found(place, Scalar::Number(raw)));
        }
    }

    fn keep(&mut self, held: Held) {
        self.held = held;
        self.bytes.clear();
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let length = self.bytes.len() + bytes.len();
        match self.held {
            Held::Nothing => {}
            Held::Key if length > MAX_KEY => self.keep(Held::Nothing),
            Held::Value(_) if length > MAX_VALUE => return Err("a shorter value"),
            Held::Key | Held::Value(_) => self.bytes.extend_from_slice(bytes),
        }
        Ok(())
    }
}

/// The text up to the quote that ends it, and what comes after that, where all of it is here and nothing in it is escaped.
fn whole_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(text::plain(bytes))?;
    rest.strip_prefix(b"\"").map(|after| (text, after))
}

/// Whether a value begins with the first of these bytes.
fn begins_value(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'"' | b'-' | b'0'..=b'9' | b'[' | b'f' | b'n' | b't' | b'{'))
}

/// The integer that `bytes` begin with, and what comes after it, where all of it is here.
fn whole_integer(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if !matches!(bytes.first(), Some(b'1'..=b'9')) {
        return None;
    }
    let (digits, after) = bytes.split_at_checked(bytes.iter().position(|byte| !byte.is_ascii_digit())?)?;
    // What has a fraction or an exponent is read step by step.
    (!matches!(after.first(), Some(b'.' | b'e' | b'E'))).then_some((digits, after))
}

impl Escape {
    fn next(self, byte: u8) -> Result<Escape, &'static str> {
        match (self, byte) {
            (Escape::Begun, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(Escape::Outside),
            (Escape::Begun, b'u') => Ok(Escape::Digits(4)),
            (Escape::Digits(1), digit) if digit.is_ascii_hexdigit() => Ok(Escape::Outside),
            (Escape::Digits(missing), digit) if digit.is_ascii_hexdigit() => Ok(Escape::Digits(missing - 1)),
            (Escape::Digits(_), _) => Err("four hexadecimal digits"),
            _ => Err("an escape"),
        }
    }
}

impl Number {
    fn first(byte: u8) -> Option<Number> {
        match byte {
            b'-' => Some(Number::Minus),
            b'0' => Some(Number::Zero),
            b'1'..=b'9' => Some(Number::Digit),
            _ => None,
        }
    }

    /// What it is with one more byte; none where the byte is not of the number.
    fn next(self, byte: u8) -> Option<Number> {
        Some(match (self, byte) {
            (Number::Minus, b'0') => Number::Zero,
            (Number::Minus | Number::Digit, b'0'..=b'9') => Number::Digit,
            (Number::Zero | Number::Digit, b'.') => Number::Point,
            (Number::Point | Number::Fraction, b'0'..=b'9') => Number::Fraction,
            (Number::Zero | Number::Digit | Number::Fraction, b'e' | b'E') => Number::Exponent,
            (Number::Exponent, b'+' | b'-') => Number::ExponentSign,
            (Number::Exponent | Number::ExponentSign | Number::ExponentDigit, b'0'..=b'9') => Number::ExponentDigit,
            _ => return None,
        })
    }

    /// Whether any number of digits may follow and change nothing.
    fn repeats(self) -> bool {
        matches!(self, Number::Digit | Number::Fraction | Number::ExponentDigit)
    }

    fn is_whole(self) -> bool {
        matches!(self, Number::Zero | Number::Digit | Number::Fraction | Number::ExponentDigit)
    }
}
