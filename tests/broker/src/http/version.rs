//! The protocol's versions, and which of them a request is served in.
//!
//! Both have the same operations and fields; they differ in how messages fare, which is settled for each consumer by
//! its subscribe. A client is served in the older of its own version and the broker's.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::clock::Millis;
use crate::error::Error;
use crate::group::settings::Semantics;

/// The header of the client's version in a request, and of the version it is served in in the answer.
pub(super) const VERSION: &str = "x-dingtalk-mq-version";

/// A version of the protocol, the older the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    /// 2.7, the legacy semantics.
    Legacy,
    /// 2.8, the fixed semantics.
    Fixed,
}

impl Version {
    /// The version that the head of a request states: 2.8 where there is none, as the protocol has it.
    pub(super) fn stated(headers: &HeaderMap) -> Result<Self, Error> {
        let mut values = headers.get_all(VERSION).iter().map(HeaderValue::as_bytes);
        match (values.next(), values.next()) {
            (None | Some(b"2.8"), None) => Ok(Self::Fixed),
            (Some(b"2.7"), None) => Ok(Self::Legacy),
            _ => Err(Error::invalid("X-DingTalk-MQ-Version", "the broker speaks 2.7 and 2.8")),
        }
    }

    /// The version of a broker that keeps these semantics.
    pub(super) fn of(semantics: Semantics) -> Self {
        match semantics {
            Semantics::Legacy => Self::Legacy,
            Semantics::Fixed => Self::Fixed,
        }
    }

    /// How the messages of a consumer fare that subscribes in this version.
    pub(super) fn semantics(self) -> Semantics {
        match self {
            Self::Legacy => Semantics::Legacy,
            Self::Fixed => Semantics::Fixed,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "2.7",
            Self::Fixed => "2.8",
        }
    }

    /// When a long poll of a client of this version is to be answered at the latest. One of 2.7 gives up after the
    /// `fallback` time-out; an eighth of it is left to the answer's way.
    pub(super) fn answer_by(self, arrived: Instant, fallback: Millis) -> Option<Instant> {
        let wait = Duration::from_millis(fallback.0 - fallback.0 / 8);
        match self {
            Self::Legacy => arrived.checked_add(wait),
            Self::Fixed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_that_is_known() {
        let stated = |values: &[&'static str]| {
            let value = |text: &&'static str| (VERSION.parse().unwrap(), HeaderValue::from_static(text));
            Version::stated(&values.iter().map(value).collect::<HeaderMap>()).ok()
        };
        assert_eq!(stated(&[]), Some(Version::Fixed));
        assert_eq!(stated(&["2.8"]), Some(Version::Fixed));
        assert_eq!(stated(&["2.7"]), Some(Version::Legacy));
        for values in [&["2.70"][..], &["3.0"], &[""], &["2.7, 2.8"], &["2.7", "2.8"], &["2.8", "2.8"]] {
            assert_eq!(stated(values), None, "{values:?}");
        }
    }

    #[test]
    fn only_a_legacy_client_gives_up_and_is_answered_before_it_does() {
        let arrived = Instant::now();
        assert_eq!(Version::Fixed.answer_by(arrived, Millis(800)), None);
        assert_eq!(Version::Legacy.answer_by(arrived, Millis(800)), Some(arrived + Duration::from_millis(700)));
    }
}
