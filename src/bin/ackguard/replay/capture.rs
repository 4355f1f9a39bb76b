//! Captures, read as a stream: JSON Lines, HAR 1.2, or what Envoy's tap filter writes. A capture may be larger than
//! memory; one exchange is not.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::exchange::{Exchange, HarEntry, Record, Trace};

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 64 << 20;
/// How much of a capture's beginning tells its format.
const BEGINNING: u64 = 4096;

/// What a capture is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A record a line.
    JsonLines,
    /// The entries of a HAR file, from 1.
    Har,
    /// The traces of Envoy's tap filter, one behind the other.
    Tap,
}

impl Format {
    /// What one record of it is called.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Format::JsonLines => "line",
            Format::Har => "entry",
            Format::Tap => "trace",
        }
    }

    /// So many records of it.
    pub(super) fn count(self, number: u64) -> String {
        match (self, number) {
            (_, 1) => format!("1 {}", self.unit()),
            (Format::JsonLines | Format::Tap, _) => format!("{number} {}s", self.unit()),
            (Format::Har, _) => format!("{number} entries"),
        }
    }
}

/// What takes a capture's records one by one, with their numbers from 1; why one could not be read, where it could not.
pub(super) trait Sink {
    fn take(&mut self, format: Format, number: u64, exchange: Result<Exchange, String>);
}

/// Reads a capture to its end; `-` is standard input.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read(path: &Path, sink: &mut impl Sink) -> io::Result<()> {
    let mut input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::with_capacity(1 << 16, File::open(path)?))
    };
    let mut beginning = Vec::new();
    input.by_ref().take(BEGINNING).read_to_end(&mut beginning)?;
    let mark = beginning.strip_prefix("\u{feff}".as_bytes()).map_or(0, |rest| beginning.len() - rest.len());
    let format = format_of(beginning.get(mark..).unwrap_or_default());
    let rest = io::Cursor::new(beginning.split_off(mark)).chain(input);
    match format {
        Format::JsonLines => lines(rest, sink),
        Format::Har => har(rest, sink),
        Format::Tap => tap(rest, sink),
    }
}

/// A HAR file is one object whose only member is `log`, a trace one whose only member is `http_buffered_trace`.
fn format_of(beginning: &[u8]) -> Format {
    let inside = beginning.trim_ascii_start().strip_prefix(b"{").unwrap_or_default();
    let inside = inside.trim_ascii_start();
    match () {
        () if inside.starts_with(b"\"log\"") => Format::Har,
        () if inside.starts_with(b"\"http_buffered_trace\"") => Format::Tap,
        () => Format::JsonLines,
    }
}

fn lines(mut input: impl BufRead, sink: &mut impl Sink) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if !line.ends_with(b"\n") && line.len() as u64 == MAX_LINE {
            skip_line(&mut input)?;
            sink.take(Format::JsonLines, number, Err(format!("over {} MiB", MAX_LINE >> 20)));
        } else if !line.trim_ascii().is_empty() {
            let record = serde_json::from_slice::<Record<'_>>(&line).map_err(|fault| fault.to_string());
            sink.take(Format::JsonLines, number, record.and_then(Record::into_exchange));
        }
    }
    Ok(())
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        input.consume(taken);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn tap(input: impl Read, sink: &mut impl Sink) -> io::Result<()> {
    for (number, trace) in (1..).zip(serde_json::Deserializer::from_reader(input).into_iter::<Value>()) {
        let trace = match trace {
            Err(fault) if fault.is_io() => return Err(fault.into()),
            Err(fault) => Err(format!("not JSON from here on: {fault}")),
            Ok(trace) => serde_json::from_value::<Trace>(trace).map_err(|fault| fault.to_string()),
        };
        sink.take(Format::Tap, number, trace.and_then(Trace::into_exchange));
    }
    Ok(())
}

fn har(input: impl Read, sink: &mut impl Sink) -> io::Result<()> {
    let mut entries = Entries { sink, number: 0 };
    let mut deserializer = serde_json::Deserializer::from_reader(input);
    match Within("log", Within("entries", &mut entries)).deserialize(&mut deserializer) {
        Ok(()) => Ok(()),
        Err(fault) if fault.is_io() => Err(fault.into()),
        Err(fault) => {
            let number = entries.number + 1;
            entries.sink.take(Format::Har, number, Err(format!("not HAR from here on: {fault}")));
            Ok(())
        }
    }
}

/// Hands one member of an object to `1`, and skips the others.
struct Within<S>(&'static str, S);

impl<'de, S: DeserializeSeed<'de, Value = ()>> DeserializeSeed<'de> for Within<S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de, Value = ()>> Visitor<'de> for Within<S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with {}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Within(wanted, seed) = self;
        let mut seed = Some(seed);
        while let Some(name) = members.next_key::<String>()? {
            match seed.take_if(|_| name == wanted) {
                Some(seed) => members.next_value_seed(seed)?,
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The list of a HAR file's entries.
struct Entries<'s, S> {
    sink: &'s mut S,
    number: u64,
}

impl<'de, S: Sink> DeserializeSeed<'de> for &mut Entries<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S: Sink> Visitor<'de> for &mut Entries<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<Value>()? {
            self.number += 1;
            let entry = serde_json::from_value::<HarEntry>(entry).map_err(|fault| fault.to_string());
            self.sink.take(Format::Har, self.number, entry.and_then(HarEntry::into_exchange));
        }
        Ok(())
    }
}
