//! Envoy's statistics, read from what `/stats?format=json` answers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::output::visible;

/// The largest answer that is read, in bytes: ten thousand series, each with a name of some hundred bytes and a
/// histogram's bins, are a quarter of it.
pub(super) const MOST_BYTES: u64 = 16 << 20;

/// How many series are kept of one answer. The filter's own are some hundreds: what clients choose it counts under at
/// most a hundred names.
const MOST_SERIES: usize = 10_000;

/// What Envoy puts before the name of a filter's statistic.
const PREFIX: &str = "wasmcustom.";

/// A statistic's name taken apart: `NAME;label=value;label=value`, without Envoy's prefix. Values are as a person reads
/// them, with escapes for what nobody could see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    /// The name.
    pub(crate) metric: String,
    labels: BTreeMap<String, String>,
}

impl Series {
    /// Takes a name apart.
    pub(crate) fn read(name: &str) -> Series {
        let mut parts = name.strip_prefix(PREFIX).unwrap_or(name).split(';');
        let shown = |text: &str| visible(text.as_bytes());
        Series {
            metric: parts.next().map(shown).unwrap_or_default(),
            labels: parts
                .map(|part| part.split_once('=').unwrap_or((part, "")))
                .map(|(label, value)| (shown(label), shown(&readable(value))))
                .collect(),
        }
    }

    /// A label's value; empty where it has none.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// A label's value with its letters that are no ASCII, which the filter percent-encodes, as themselves. No two values
/// become one by that: ASCII that stands encoded stays so.
fn readable(value: &str) -> Cow<'_, str> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let encoded = rest.get(1..3).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match encoded.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte @ 0x80..) => {
                bytes.push(byte);
                rest = rest.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    // One that is cut within a letter, or was never UTF-8, stays as it is.
    String::from_utf8(bytes).map_or(Cow::Borrowed(value), Cow::Owned)
}

/// A bin of a histogram. Envoy's have two significant digits.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(crate) struct Bin {
    /// The lowest value in it.
    #[serde(rename = "lower_bound")]
    pub(crate) lower: f64,
    /// How far it goes from there.
    pub(crate) width: f64,
    /// How many values are in it.
    pub(crate) count: u64,
}

/// Statistics at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    /// Counters and gauges.
    pub(crate) values: BTreeMap<Series, u64>,
    /// The bins of all values that a histogram has had.
    pub(crate) histograms: BTreeMap<Series, Vec<Bin>>,
    /// How many more there were than are kept.
    pub(crate) left_out: usize,
}

#[derive(Deserialize)]
struct Answer {
    stats: Vec<Entry>,
}

/// One entry; the last of them has all histograms.
#[derive(Deserialize)]
struct Entry {
    name: Option<String>,
    value: Option<Value>,
    histograms: Option<Histograms>,
}

#[derive(Deserialize)]
struct Histograms {
    /// Absent where Envoy is too old to tell bins.
    #[serde(default)]
    details: Vec<Histogram>,
}

#[derive(Deserialize)]
struct Histogram {
    name: String,
    totals: Vec<Bin>,
}

impl Stats {
    /// Reads an answer. Statistics that are texts are passed over.
    ///
    /// # Errors
    /// Where it is no answer of Envoy's.
    pub(crate) fn read(answer: &str) -> Result<Stats, serde_json::Error> {
        let answer: Answer = serde_json::from_str(answer)?;
        let mut stats = Stats::default();
        for entry in answer.stats {
            if let (Some(name), Some(value)) = (entry.name, entry.value.as_ref().and_then(Value::as_u64))
                && stats.has_room()
            {
                stats.values.insert(Series::read(&name), value);
            }
            for Histogram { name, totals } in entry.histograms.into_iter().flat_map(|all| all.details) {
                if stats.has_room() {
                    stats.histograms.insert(Series::read(&name), totals);
                }
            }
        }
        Ok(stats)
    }

    fn has_room(&mut self) -> bool {
        let room = self.values.len() + self.histograms.len() < MOST_SERIES;
        self.left_out += usize::from(!room);
        room
    }

    /// A counter or gauge that has no labels; 0 where Envoy has none of this name, as it makes most at their first use.
    pub(crate) fn value(&self, name: &str) -> u64 {
        self.values.get(&Series::read(name)).copied().unwrap_or(0)
    }

    /// All series of a metric.
    pub(crate) fn all<'s>(&'s self, metric: &str) -> impl Iterator<Item = (&'s Series, u64)> {
        self.values
            .range(Series::read(metric)..)
            .take_while({
                let metric = metric.to_owned();
                move |(series, _)| series.metric == metric
            })
            .map(|(series, value)| (series, *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart_and_what_nobody_sees_is_escaped() {
        let series = Series::read("wasmcustom.ackguard_x_total;tenant=a=b.c\u{1b}[2J;dialect=tmq;odd");
        assert_eq!(series.metric, "ackguard_x_total");
        let labels = ["tenant", "dialect", "odd", "absent"].map(|label| series.label(label));
        assert_eq!(labels, ["a=b.c\\u{1b}[2J", "tmq", "", ""]);
        assert_eq!(Series::read("server.uptime").metric, "server.uptime");
    }

    #[test]
    fn letters_are_read_and_ascii_that_is_encoded_stays_so() {
        for (value, shown) in [
            ("%E6%B6%88%E6%81%AF 7", "消息 7"),
            ("%1B[2J%3B%25%41", "%1B[2J%3B%25%41"),
            ("%E2%80%AEgone", "\\u{202e}gone"),
            ("%C3%A9%C3", "%C3%A9%C3"),
            ("%FF%", "%FF%"),
            ("%+9%é", "%+9%é"),
        ] {
            assert_eq!(Series::read(&format!("a;tenant={value}")).label("tenant"), shown, "{value}");
        }
    }

    #[test]
    fn numbers_and_bins_are_read_and_texts_passed_over() {
        let stats = Stats::read(
            r#"{"stats":[{"name":"t","value":"text"},{"name":"wasmcustom.c;a=1","value":3},{"name":"wasmcustom.cc","value":4},
            {"histograms":{"supported_percentiles":[50],"details":[{"name":"wasmcustom.h;a=1",
            "totals":[{"lower_bound":1e+02,"width":10,"count":2}],"intervals":[],"percentiles":[]}]}}]}"#,
        )
        .expect("an answer of Envoy's");
        assert_eq!(stats.all("c").map(|(series, value)| (series.label("a"), value)).collect::<Vec<_>>(), [("1", 3)]);
        assert_eq!((stats.value("cc"), stats.value("t"), stats.left_out), (4, 0, 0));
        let bins: Vec<_> = stats.histograms.values().flatten().copied().collect();
        assert_eq!(bins, [Bin { lower: 100.0, width: 10.0, count: 2 }]);
    }

    #[test]
    fn what_is_none_of_envoys_answers_is_refused() {
        for answer in ["", "<html>", "{}", r#"{"stats":{}}"#, r#"{"stats":[3]}"#] {
            assert!(Stats::read(answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn series_beyond_the_most_are_counted_and_not_kept() {
        let entries: Vec<String> =
            (0..MOST_SERIES + 7).map(|number| format!(r#"{{"name":"a;n={number}","value":1}}"#)).collect();
        let stats = Stats::read(&format!(r#"{{"stats":[{}]}}"#, entries.join(","))).expect("an answer of Envoy's");
        assert_eq!((stats.values.len(), stats.left_out), (MOST_SERIES, 7));
    }
}
