//! The histogram of how long brokers take.

use crate::dialect::Dialect;
use crate::operation::Kind;

use super::metric;

/// The statuses that are told apart: those of queues, and of Envoy in their place. All others share one name, so that a
/// broker that makes statuses up adds no series.
const CODES: [u16; 21] =
    [200, 201, 202, 204, 400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 422, 429, 500, 501, 502, 503, 504];

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// With this status.
    Status(u16),
    /// Envoy gave up waiting for the broker, and said so with this status.
    Timeout(u16),
    /// The client left before there was an answer.
    Left,
}

/// The requests of one kind, by how long they took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Duration {
    dialect: Dialect,
    operation: Kind,
    ending: Ending,
}

impl Duration {
    /// That of requests that ended alike.
    pub fn of(dialect: Dialect, operation: Kind, ending: Ending) -> Duration {
        let known = |status| if CODES.contains(&status) { status } else { 0 };
        let ending = match ending {
            Ending::Status(status) => Ending::Status(known(status)),
            Ending::Timeout(status) => Ending::Timeout(known(status)),
            Ending::Left => Ending::Left,
        };
        Duration { dialect, operation, ending }
    }

    /// The name of its series.
    pub fn name(&self) -> String {
        let (code, timeout) = match self.ending {
            Ending::Status(code) => (code_name(code), "false"),
            Ending::Timeout(code) => (code_name(code), "true"),
            Ending::Left => ("none".to_owned(), "false"),
        };
        metric::REQUEST_DURATION.series(&[self.dialect.name(), self.operation.name(), &code, timeout])
    }
}

fn code_name(code: u16) -> String {
    if code == 0 { "other".to_owned() } else { code.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart_and_a_time_out_from_an_error() {
        for (ending, labels) in [
            (Ending::Status(200), "code=200;timeout=false"),
            (Ending::Status(504), "code=504;timeout=false"),
            (Ending::Timeout(504), "code=504;timeout=true"),
            (Ending::Status(799), "code=other;timeout=false"),
            (Ending::Left, "code=none;timeout=false"),
        ] {
            let name = Duration::of(Dialect::Tmq, Kind::Ack, ending).name();
            assert_eq!(name, format!("ackguard_request_duration_ms;dialect=tmq;operation=ack;{labels}"));
        }
        assert_eq!(
            Duration::of(Dialect::Tmq, Kind::Ack, Ending::Status(777)),
            Duration::of(Dialect::Tmq, Kind::Ack, Ending::Status(778)),
            "one series, however many statuses a broker makes up"
        );
    }
}
