//! What a request costs Envoy that a limit is asked about, beside Envoy's own `local_ratelimit`, and how exactly the limit
//! holds.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use stack::{Bootstrap, BootstrapError, HostMode, http_connection_manager};

use super::super::quantiles::median;
use super::super::rounds::{self, Side};
use super::super::{Figure, Goal, Options, Outcome, Unit};
use crate::limits::{self, ACKGUARD, HOT, limit_natively, publish, token_bucket};
use crate::measure::{MeasureError, Progress, Site};
use crate::steady::{Expected, LISTENER, Traffic};

/// More than any round asks for, a second.
const PLENTY: u32 = 1_000_000;
/// For how many rounds the limit's accuracy is measured.
const ACCURACY_ROUNDS: u32 = 4;

/// Who is asked.
#[derive(Debug, Clone, Copy)]
enum Filter {
    /// Nobody.
    None,
    /// Envoy's own filter, with one bucket for all.
    Native,
    /// AckGuard without a limit.
    AckGuard,
    /// AckGuard with a limit by tenant.
    Limited,
}

/// What becomes of a request that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Admitted,
    Refused,
}

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, MeasureError> {
    let sides = [
        side(Filter::None, Fate::Admitted).await?,
        side(Filter::Native, Fate::Admitted).await?,
        side(Filter::AckGuard, Fate::Admitted).await?,
        side(Filter::Limited, Fate::Admitted).await?,
        side(Filter::Native, Fate::Refused).await?,
        side(Filter::Limited, Fate::Refused).await?,
    ];
    // Six sides where other rows have two.
    let rounds = rounds::measure(sides, options.rounds, options.round / 2, progress).await?;
    let nothing = || MeasureError::Nothing("no round");
    let of_rounds = |of: &dyn Fn([f64; 6]) -> f64| {
        let values = rounds.spent.iter().map(|spent| of(spent.map(|time| time.as_secs_f64() * 1e6)));
        median(&values.collect::<Vec<f64>>()).ok_or_else(nothing)
    };
    let accuracy = limits::measure(&HOT, options.round * ACCURACY_ROUNDS).await?;
    let figures = vec![
        // Of the whole request: what local_ratelimit adds is too little to divide by.
        Figure::new(
            "limited_vs_local_ratelimit",
            "Envoy's CPU for a publish, AckGuard with a limit over local_ratelimit",
            of_rounds(&|[_, native, _, limited, ..]| limited / native)?,
            Unit::Ratio,
        ),
        Figure::new("limit_bare_us", "· without either", of_rounds(&|[bare, ..]| bare)?, Unit::Micros),
        Figure::new(
            "local_ratelimit_added_us",
            "· local_ratelimit adds",
            of_rounds(&|[bare, native, ..]| native - bare)?,
            Unit::Micros,
        ),
        Figure::new(
            "limited_added_us",
            "· AckGuard with a limit adds",
            of_rounds(&|[bare, _, _, limited, ..]| limited - bare)?,
            Unit::Micros,
        ),
        Figure::new(
            "limit_alone_added_us",
            "· of that the limit",
            of_rounds(&|[_, _, ackguard, limited, ..]| limited - ackguard)?,
            Unit::Micros,
        ),
        Figure::new(
            "refused_vs_local_ratelimit",
            "the same for one that is refused",
            of_rounds(&|[.., native, ackguard]| ackguard / native)?,
            Unit::Ratio,
        ),
        Figure::new("refused_us", "· by AckGuard", of_rounds(&|[.., ackguard]| ackguard)?, Unit::Micros),
        Figure::failed("limit_failed", rounds.load.failed),
        Figure::new(
            "limit_max_share",
            "let through in any window, of rate · t + burst, at 3 × the rate",
            accuracy.max_share,
            Unit::Ratio,
        )
        .goal(Goal::AtMost(1.0)),
        Figure::new(
            "limit_min_share",
            "let through in all, of rate · t, once the burst is used up",
            accuracy.min_share.ok_or_else(nothing)?,
            Unit::Ratio,
        )
        .goal(Goal::AtLeast(0.98)),
    ];
    Ok(Outcome::new(figures, &rounds.load))
}

async fn side(filter: Filter, fate: Fate) -> Result<Side, MeasureError> {
    let site = Site::start(bootstrap(filter, fate)?).await?;
    let (request, expected): (fn(u64) -> _, _) = match fate {
        Fate::Admitted => (admitted, Expected::Status(200)),
        Fate::Refused => (refused, Expected::Status(429)),
    };
    // As fast as they are answered: with pauses, Envoy's own waking would be measured.
    let traffic = Traffic { request, expected, every: Duration::ZERO };
    if fate == Fate::Refused {
        // The one that the bucket holds.
        for mut connection in site.cover(1).await?.into_iter().take(1) {
            crate::steady::answer(&mut connection, refused(0)).await.map_err(MeasureError::Request)?;
        }
    }
    Side::new(site, traffic).await
}

/// The shipped configuration with another filter, or with a limit.
fn bootstrap(filter: Filter, fate: Fate) -> Result<Bootstrap, BootstrapError> {
    let bootstrap = Bootstrap::load("static.yaml")?.host_mode(HostMode::Held);
    let (rate, bucket) = match fate {
        Fate::Admitted => (format!("{PLENTY}/s"), token_bucket(PLENTY, PLENTY, "1s")),
        Fate::Refused => ("1/h".to_owned(), token_bucket(1, 1, "3600s")),
    };
    let burst = if fate == Fate::Admitted { PLENTY } else { 1 };
    let limit = json!([{ "name": "l", "operations": ["publish"], "key": ["tenant"], "rate": rate, "burst": burst }]);
    Ok(match filter {
        Filter::None => bootstrap.with(unguard),
        Filter::Native => bootstrap.with(|document| limit_natively(document, bucket)),
        Filter::AckGuard => bootstrap,
        Filter::Limited => bootstrap.edit_policy(|policy| policy["limits"] = limit),
    })
}

/// Takes AckGuard out.
fn unguard(document: &mut Value) {
    if let Some(filters) = http_connection_manager(document, LISTENER)["http_filters"].as_array_mut() {
        filters.retain(|filter| filter["name"] != ACKGUARD);
    }
}

/// A publish of 200 bytes.
fn admitted(_number: u64) -> Request<Full<Bytes>> {
    publish("bench", format!(r#"{{"messages":[{{"body":"{:170}"}}]}}"#, ""))
}

/// One without a body: Envoy ends an HTTP/1 connection on which it has answered before the body was there.
fn refused(_number: u64) -> Request<Full<Bytes>> {
    publish("bench", Bytes::new())
}
