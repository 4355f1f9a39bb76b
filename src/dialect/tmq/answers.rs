//! What answers say of messages and of their leases: which a pull brought, which are over, which go on.

use crate::dialect::Tally;
use crate::json::{Event, Malformed, Scalar, Stream, Wanted, text};
use crate::operation::{LeaseChange, Millis, Receipt};

const fn of(list: &'static str, field: &'static str) -> Wanted {
    Wanted { list, field: Some(field) }
}

const fn each(list: &'static str) -> Wanted {
    Wanted { list, field: None }
}

/// The code of a receipt whose lease is over. It is the only fault that the broker knows of one that it gave out; any other is
/// of a text that is no receipt.
const EXPIRED: &str = "ReceiptExpired";

/// Where that stands in answers.
const WANTED: [Wanted; 12] = [
    of("messages", "receipt"),
    of("messages", "ackTimeout"),
    of("messages", "deliveredAt"),
    of("messages", "ackDeadline"),
    of("messages", "reconsumeTimes"),
    of("messages", "maxReconsumeTimes"),
    of("extended", "receipt"),
    of("extended", "ackDeadline"),
    of("failed", "receipt"),
    of("failed", "code"),
    each("acked"),
    each("rejected"),
];

/// Reads an answer; see [`AnswerReader`](crate::dialect::AnswerReader).
#[derive(Debug)]
pub struct AnswerReader {
    stream: Stream,
    element: Element,
    tally: Tally,
}

/// What was read of an element so far.
#[derive(Debug, Default)]
struct Element {
    delivered: Option<Receipt>,
    extended: Option<Receipt>,
    failed: Option<Receipt>,
    is_expired: bool,
    ack_timeout: Option<i64>,
    delivered_at: Option<i64>,
    ack_deadline: Option<i64>,
    attempts: Option<i64>,
    most_attempts: Option<i64>,
}

impl Default for AnswerReader {
    fn default() -> Self {
        AnswerReader { stream: Stream::new(&WANTED), element: Element::default(), tally: Tally::default() }
    }
}

impl AnswerReader {
    /// Takes the next piece of the answer.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn push(&mut self, piece: &[u8], told: &mut impl FnMut(LeaseChange)) -> Result<(), Malformed> {
        let AnswerReader { stream, element, tally } = self;
        stream.push(piece, &mut |event| match event {
            Event::Found(index, scalar) => element.take(index, scalar, told),
            Event::Ended => {
                element.count(tally);
                if let Some(change) = std::mem::take(element).change() {
                    told(change);
                }
            }
        })
    }

    /// What it has told so far, in numbers.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Checks that the answer is whole.
    ///
    /// # Errors
    /// When it is not.
    pub fn end(&self) -> Result<(), Malformed> {
        self.stream.end()
    }
}

impl Element {
    fn take(&mut self, index: usize, scalar: Scalar<'_>, told: &mut impl FnMut(LeaseChange)) {
        let receipt = match scalar {
            Scalar::Text(text) => Some(Receipt::of(text)),
            Scalar::Number(_) => None,
        };
        let number = match scalar {
            Scalar::Number(number) => text::integer(number),
            Scalar::Text(_) => None,
        };
        match index {
            0 => self.delivered = receipt,
            1 => self.ack_timeout = number,
            2 => self.delivered_at = number,
            3 | 7 => self.ack_deadline = number,
            4 => self.attempts = number,
            5 => self.most_attempts = number,
            6 => self.extended = receipt,
            8 => self.failed = receipt,
            9 => self.is_expired = matches!(scalar, Scalar::Text(EXPIRED)),
            _ => {
                if let Some(receipt) = receipt {
                    told(LeaseChange::Ended { receipt });
                }
            }
        }
    }

    /// Counts the message or the refused receipt that it was, if it was one.
    fn count(&self, tally: &mut Tally) {
        if self.failed.is_some() {
            tally.refused += 1;
            tally.late += u64::from(self.is_expired);
        }
        if self.delivered.is_none() {
            return;
        }
        tally.delivered += 1;
        tally.redelivered += u64::from(self.attempts.is_some_and(|attempts| attempts > 0));
        let is_last = self.attempts.zip(self.most_attempts).is_some_and(|(attempts, most)| attempts >= most);
        tally.last += u64::from(is_last);
    }

    fn change(self) -> Option<LeaseChange> {
        match self {
            // Both times are by the broker's clock, so their distance is by any. It is zero where the delivery counts as
            // acknowledged at once, which the ack timeout does not tell.
            Element { delivered: Some(receipt), delivered_at: Some(from), ack_deadline: Some(to), .. } => {
                Some(LeaseChange::Begun { receipt, ack_timeout: Millis(to.saturating_sub(from)) })
            }
            Element { delivered: Some(receipt), ack_timeout: Some(millis), .. } => {
                Some(LeaseChange::Begun { receipt, ack_timeout: Millis(millis) })
            }
            Element { extended: Some(receipt), ack_deadline: Some(deadline), .. } => {
                Some(LeaseChange::Extended { receipt, deadline: u64::try_from(deadline).unwrap_or(0) })
            }
            Element { failed: Some(receipt), .. } => Some(LeaseChange::Ended { receipt }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an answer tells, one byte at a time; none where it cannot be read.
    fn told(answer: &str) -> Option<Vec<LeaseChange>> {
        let mut changes = Vec::new();
        let mut reader = AnswerReader::default();
        for byte in answer.as_bytes() {
            reader.push(&[*byte], &mut |change| changes.push(change)).ok()?;
        }
        reader.end().ok()?;
        Some(changes)
    }

    fn begun(receipt: &str, millis: i64) -> LeaseChange {
        LeaseChange::Begun { receipt: Receipt::of(receipt), ack_timeout: Millis(millis) }
    }

    fn ended(receipt: &str) -> LeaseChange {
        LeaseChange::Ended { receipt: Receipt::of(receipt) }
    }

    #[test]
    fn an_answer_tells_of_its_leases() {
        let extended = LeaseChange::Extended { receipt: Receipt::of("a"), deadline: 1_800_000_000_000 };
        let gone = LeaseChange::Extended { receipt: Receipt::of("b"), deadline: 0 };
        for (answer, expected) in [
            (r#"{"messages":[]}"#, vec![]),
            (
                r#"{"messages":[{"receipt":"a","ackTimeout":5000},{"ackTimeout":7000,"receipt":"b","body":"{\"receipt\":1}"}]}"#,
                vec![begun("a", 5_000), begun("b", 7_000)],
            ),
            (
                r#"{"messages":[{"receipt":"a","ackTimeout":5000,"deliveredAt":100,"ackDeadline":400}]}"#,
                vec![begun("a", 300)],
            ),
            (
                r#"{"messages":[{"receipt":"auto","ackTimeout":5000,"deliveredAt":100,"ackDeadline":100}]}"#,
                vec![begun("auto", 0)],
            ),
            (
                r#"{"messages":[{"ackTimeout":5000},{"receipt":"a"},{"receipt":null,"ackTimeout":5000},{"receipt":"a","ackTimeout":"5s"}]}"#,
                vec![],
            ),
            (
                r#"{"acked":["a","b"],"failed":[{"receipt":"c","code":"ReceiptExpired"}]}"#,
                vec![ended("a"), ended("b"), ended("c")],
            ),
            (r#"{"rejected":["a"],"failed":[{"code":"InvalidArgument"}]}"#, vec![ended("a")]),
            (
                r#"{"extended":[{"receipt":"a","ackDeadline":1800000000000},{"receipt":"b","ackDeadline":-1}],"failed":[]}"#,
                vec![extended, gone],
            ),
            (r#"{"code":"Unavailable"}"#, vec![]),
        ] {
            assert_eq!(told(answer), Some(expected), "{answer}");
        }
    }

    #[test]
    fn an_answer_tells_how_many_it_brings_and_how_often_they_came_before() {
        let message = |attempts: &str| format!(r#"{{"receipt":"r",{attempts}"body":"{{\"reconsumeTimes\":9}}"}}"#);
        let pulled = |messages: &[String]| format!(r#"{{"messages":[{}]}}"#, messages.join(","));
        let first = message(r#""reconsumeTimes":0,"maxReconsumeTimes":3,"#);
        let second = message(r#""reconsumeTimes":1,"maxReconsumeTimes":3,"#);
        let last = message(r#""maxReconsumeTimes":3,"reconsumeTimes":3,"#);
        let only = message(r#""reconsumeTimes":0,"maxReconsumeTimes":0,"#);
        for (answer, tally) in [
            (pulled(&[]), Tally::default()),
            (pulled(&[message("")]), Tally { delivered: 1, ..Tally::default() }),
            (pulled(&[first, second, last, only]), Tally { delivered: 4, redelivered: 2, last: 2, ..Tally::default() }),
            (
                r#"{"acked":["a"],"failed":[{"receipt":"b","code":"ReceiptExpired"},{"code":"ReceiptExpired"}]}"#.to_owned(),
                Tally { refused: 1, late: 1, ..Tally::default() },
            ),
            (
                concat!(
                    r#"{"failed":[{"code":"ReceiptExpired","receipt":"b"},{"receipt":"c"},{"receipt":"d","code":1},"#,
                    r#"{"receipt":"no receipt","code":"InvalidArgument"},{"code":"Receipt\u0045xpired","receipt":"e"}]}"#
                )
                .to_owned(),
                Tally { refused: 5, late: 2, ..Tally::default() },
            ),
        ] {
            let mut reader = AnswerReader::default();
            reader.push(answer.as_bytes(), &mut |_| {}).expect("JSON");
            assert_eq!(reader.tally(), tally, "{answer}");
        }
    }

    #[test]
    fn what_is_no_json_tells_of_nothing_more() {
        for answer in ["", "{", r#"{"messages":[{"receipt":"a","ackTimeout":5000}"#, "<html>", "\u{1f}\u{8b}"] {
            assert_eq!(told(answer), None, "{answer}");
        }
    }
}
