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

impl Ending {
    /// That of a response with this status. `details` says where it comes from, in Envoy's words; it is asked for the two
    /// statuses alone that Envoy makes of a time-out.
    ///
    /// Where a whole stream took too long, the status says who was waited for: 408 for a client that was still sending, 504
    /// for the broker.
    pub fn of(status: u16, details: impl FnOnce() -> Vec<u8>) -> Ending {
        let is_timeout = matches!(status, 408 | 504)
            && match &*details() {
                b"response_timeout"
                | b"upstream_response_timeout"
                | b"upstream_per_try_timeout"
                | b"upstream_per_try_idle_timeout"
                | b"upstream_max_stream_duration_reached" => true,
                b"stream_idle_timeout" | b"max_duration_timeout" => status == 504,
                _ => false,
            };
        if is_timeout { Ending::Timeout(status) } else { Ending::Status(status) }
    }
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
    fn envoys_details_tell_a_slow_broker_from_a_slow_client() {
        for (status, details, is_timeout) in [
            (504, "response_timeout", true),
            (504, "upstream_per_try_timeout", true),
            (504, "upstream_per_try_idle_timeout", true),
            (408, "upstream_max_stream_duration_reached", true),
            (504, "stream_idle_timeout", true),
            (408, "stream_idle_timeout", false),
            (504, "max_duration_timeout", true),
            (408, "max_duration_timeout", false),
            (408, "request_overall_timeout", false),
            (408, "request_header_timeout", false),
            (504, "via_upstream", false),
            (504, "fault_filter_abort", false),
            (504, "", false),
        ] {
            let expected = if is_timeout { Ending::Timeout(status) } else { Ending::Status(status) };
            assert_eq!(Ending::of(status, || details.into()), expected, "{status} {details}");
        }
        assert_eq!(Ending::of(200, || panic!("nobody asks")), Ending::Status(200));
    }

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
