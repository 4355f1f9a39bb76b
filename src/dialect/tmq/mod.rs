//! T-MQ over HTTP, version 1: JSON bodies, operations told apart by method and path.
//!
//! The client's signature covers method, path and date and leaves the body free, so every rewrite here keeps it valid.

mod answers;
mod body;
mod refusal;
mod target;

#[cfg(test)]
mod tests;

pub use answers::AnswerReader;
pub use body::{messages, read, subscribed, write};
pub use refusal::refuse;
pub use target::{ConsumerName, Target, route};

use crate::operation::{Field, Millis};

/// What the broker takes where a subscription does not set them (T-MQ over HTTP, "Defaults of subscribe").
const DEFAULT_ACK_TIMEOUT: Millis = Millis(5000);
const DEFAULT_AUTO_ACK: bool = false;
const DEFAULT_MAX_RECONSUME_TIMES: i64 = 3;
/// What the broker delivers to a pull at most that does not say.
const DEFAULT_MAX_MESSAGES: u32 = 16;

/// The member of a body that holds a field.
///
/// `maxReconsumeTimes` counts redeliveries; it is what a policy's `max_attempts` bounds, number for number.
pub fn field_name(field: Field) -> &'static str {
    match field {
        Field::AckTimeout => "ackTimeout",
        Field::AutoAck => "autoAck",
        Field::MaxAttempts => "maxReconsumeTimes",
        Field::DeadLetter => "deadLetterTopic",
        Field::MaxInFlight => "maxMessages",
    }
}
