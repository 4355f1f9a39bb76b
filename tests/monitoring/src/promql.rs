//! The metrics of an expression, found without a parser of the whole language.

use std::collections::BTreeSet;

/// Words of the language before a list of labels.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// The names in `expression` that are metrics of AckGuard, of Envoy or of the broker, or that recording rules made of them
/// (those have a colon). A histogram is there under the names of its parts.
#[must_use]
pub fn metrics(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = expression;
    let mut after_grouping = false;
    while let Some(first) = rest.chars().next() {
        let word: &str = &rest[..rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len())];
        if !word.is_empty() {
            if is_metric(word) {
                found.insert(word.to_owned());
            }
            after_grouping = GROUPINGS.contains(&word);
            rest = &rest[word.len()..];
            continue;
        }
        let skipped = match first {
            '{' => end_of(rest, '}'),
            '"' => 1 + end_of(&rest[1..], '"'),
            '(' if after_grouping => end_of(rest, ')'),
            other => other.len_utf8(),
        };
        after_grouping = after_grouping && first.is_whitespace();
        rest = &rest[skipped..];
    }
    found
}

/// The metric that `name` is a part of: itself, or the histogram whose buckets, count or sum it is.
#[must_use]
pub fn family(name: &str) -> &str {
    ["_bucket", "_count", "_sum"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
}

fn is_metric(word: &str) -> bool {
    word.contains(':') || ["ackguard_", "tmq_", "envoy_"].iter().any(|prefix| word.starts_with(prefix))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// The length of `text` up to `close` and with it, past every quoted one.
fn end_of(text: &str, close: char) -> usize {
    let mut quoted = false;
    for (place, c) in text.char_indices() {
        if c == close && !quoted {
            return place + c.len_utf8();
        }
        quoted = (c == '"') != quoted;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_texts_and_functions_are_no_metrics() {
        let expression = r#"sum by (job, envoy_response_code_class) (rate(ackguard_acks_total{limit="a}_tmq_x",envoy_cluster_name="b"}[5m]))
            / on (job) job:ackguard_acks:increase5m > 400 or label_replace(tmq_x_bucket, "envoy_y", "$1", "job", "(.*)")"#;
        let expected = ["ackguard_acks_total", "job:ackguard_acks:increase5m", "tmq_x_bucket"].map(str::to_owned);
        assert_eq!(metrics(expression), expected.into());
    }

    #[test]
    fn a_part_of_a_histogram_belongs_to_it() {
        assert_eq!(family("ackguard_request_duration_ms_bucket"), "ackguard_request_duration_ms");
        assert_eq!(family("ackguard_requests_total"), "ackguard_requests_total");
    }
}
