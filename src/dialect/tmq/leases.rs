//! What answers say of leases: which a pull brought, which are over, which go on.

use crate::json::{Event, Malformed, Scalar, Stream, Wanted, text};
use crate::operation::{LeaseChange, Millis, Receipt};

const fn of(list: &'static str, field: &'static str) -> Wanted {
    Wanted { list, field: Some(field) }
}

const fn each(list: &'static str) -> Wanted {
    Wanted { list, field: None }
}

/// Where leases stand in answers. A receipt that failed is of a lease that is gone: the broker knows no other fault of
/// one that it gave out.
const WANTED: [Wanted; 9] = [
    of("messages", "receipt"),
    of("messages", "ackTimeout"),
    of("messages", "deliveredAt"),
    of("messages", "ackDeadline"),
    of("extended", "receipt"),
    of("extended", "ackDeadline"),
    of("failed", "receipt"),
    each("acked"),
    each("rejected"),
];

/// Reads the leases in an answer; see [`LeaseReader`](crate::dialect::LeaseReader).
#[derive(Debug)]
pub struct LeaseReader {
    stream: Stream,
    element: Element,
    delivered: u64,
}

/// What was read of an element so far.
#[derive(Debug, Default)]
struct Element {
    delivered: Option<Receipt>,
    extended: Option<Receipt>,
    ack_timeout: Option<i64>,
    delivered_at: Option<i64>,
    ack_deadline: Option<i64>,
}

impl Default for LeaseReader {
    fn default() -> Self {
        LeaseReader { stream: Stream::new(&WANTED), element: Element::default(), delivered: 0 }
    }
}

impl LeaseReader {
    /// Takes the next piece of the answer.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn push(&mut self, piece: &[u8], told: &mut impl FnMut(LeaseChange)) -> Result<(), Malformed> {
        let LeaseReader { stream, element, delivered } = self;
        stream.push(piece, &mut |event| match event {
            Event::Found(index, scalar) => element.take(index, scalar, told),
            Event::Ended => {
                *delivered += u64::from(element.delivered.is_some());
                if let Some(change) = std::mem::take(element).change() {
                    told(change);
                }
            }
        })
    }

    /// How many messages it has brought so far.
    pub fn delivered(&self) -> u64 {
        self.delivered
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
            3 | 5 => self.ack_deadline = number,
            4 => self.extended = receipt,
            _ => {
                if let Some(receipt) = receipt {
                    told(LeaseChange::Ended { receipt });
                }
            }
        }
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
        let mut reader = LeaseReader::default();
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
    fn what_is_no_json_tells_of_nothing_more() {
        for answer in ["", "{", r#"{"messages":[{"receipt":"a","ackTimeout":5000}"#, "<html>", "\u{1f}\u{8b}"] {
            assert_eq!(told(answer), None, "{answer}");
        }
    }
}
