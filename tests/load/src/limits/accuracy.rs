//! What a limit let through, over every window.
//!
//! Only the gateway knows when it let a request through. Whoever sent it knows a time before, when it was sent, and one
//! after, when it was answered. So a window counts the requests that were sent and answered inside of it: those were
//! surely let through in it, and a share over 1 proves that the limit let too much through. How long the answers took
//! tells what such a count can miss: at most what went over either end of the window.

use std::collections::HashMap;
use std::time::Duration;

use super::{Case, SETTLING};

/// The lengths of windows that the table has.
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(1);

/// One answered request. Times are since the start of the demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) tenant: u64,
    pub(super) sent: Duration,
    pub(super) answered: Duration,
    pub(super) admitted: bool,
}

/// How exactly a limit held. Shares of windows are of `rate · t + burst`, the most of any tenant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// Tokens a second that were asked for, of all tenants together.
    pub asked_per_s: f64,
    /// Tokens a second that were let through.
    pub admitted_per_s: f64,
    /// Requests that were refused.
    pub refused: u64,
    /// The greatest share in any window of whatever length.
    pub max_share: f64,
    /// The same in any window of 100 ms.
    pub max_share_100_ms: f64,
    /// The same in any window of a second.
    pub max_share_1_s: f64,
    /// What was let through once the burst was used up, of `rate · t`. `None` where no more was asked for than may pass.
    pub min_share: Option<f64>,
    /// Within which time 99 of 100 requests were answered, in ms.
    pub answered_p99_ms: f64,
}

/// The greatest shares of one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Shares {
    any: f64,
    short: f64,
    long: f64,
}

impl Accuracy {
    /// Of `samples`, sent for `time` after [`SETTLING`]. `None` where none was let through.
    pub(super) fn of(samples: Vec<Sample>, case: &Case, time: Duration) -> Option<Self> {
        let mut admitted: Vec<Sample> = samples.iter().filter(|sample| sample.admitted).copied().collect();
        admitted.sort_by_key(|sample| sample.answered);
        let mut took: Vec<Duration> = admitted.iter().map(|sample| sample.answered - sample.sent).collect();
        took.sort();
        let p99 = took.get((took.len() * 99).div_ceil(100).checked_sub(1)?)?;
        let mut tenants: HashMap<u64, Vec<Sample>> = HashMap::new();
        for sample in &admitted {
            tenants.entry(sample.tenant).or_default().push(*sample);
        }
        let shares = tenants.values().map(|samples| Shares::of(samples, case)).fold(Shares::default(), Shares::max);
        let end = SETTLING + time;
        let steady = admitted.iter().filter(|sample| (SETTLING..end).contains(&sample.answered)).count();
        let steady = tokens(steady, case) / time.as_secs_f64();
        let allowed = f64::from(case.rate) * f64::from(case.tenants);
        Some(Self {
            asked_per_s: tokens(samples.len(), case) / end.as_secs_f64(),
            admitted_per_s: tokens(admitted.len(), case) / end.as_secs_f64(),
            refused: (samples.len() - admitted.len()) as u64,
            max_share: shares.any,
            max_share_100_ms: shares.short,
            max_share_1_s: shares.long,
            min_share: case.is_over().then_some(steady / allowed),
            answered_p99_ms: p99.as_secs_f64() * 1_000.0,
        })
    }
}

impl Shares {
    /// Of one tenant's requests, in the order of their answers.
    fn of(samples: &[Sample], case: &Case) -> Self {
        let share = |count, window: Duration| {
            let allowed = f64::from(case.rate) * window.as_secs_f64() + f64::from(case.burst);
            tokens(count, case) / allowed
        };
        let mut most = Self::default();
        // A window that holds most begins where a request was sent.
        for begin in samples.iter().map(|sample| sample.sent) {
            let first = samples.partition_point(|sample| sample.answered < begin);
            let inside = samples[first..].iter().filter(|sample| sample.sent >= begin);
            let (mut short, mut long) = (0, 0);
            for (count, sample) in (1..).zip(inside) {
                let window = sample.answered - begin;
                most.any = most.any.max(share(count, window));
                short += usize::from(window <= SHORT);
                long += usize::from(window <= LONG);
            }
            most.short = most.short.max(share(short, SHORT));
            most.long = most.long.max(share(long, LONG));
        }
        most
    }

    fn max(self, other: Self) -> Self {
        Self { any: self.any.max(other.any), short: self.short.max(other.short), long: self.long.max(other.long) }
    }
}

/// What `count` requests cost.
fn tokens(count: usize, case: &Case) -> f64 {
    count as f64 * f64::from(case.cost())
}

#[cfg(test)]
mod tests {
    use super::super::HOT;
    use super::*;

    fn sample(sent_ms: u64, answered_ms: u64) -> Sample {
        let millis = Duration::from_millis;
        Sample { tenant: 0, sent: millis(sent_ms), answered: millis(answered_ms), admitted: true }
    }

    /// 1 request a millisecond, each answered `took` later.
    fn at_the_rate(from_ms: u64, to_ms: u64, took: u64) -> impl Iterator<Item = Sample> {
        (from_ms..to_ms).map(move |ms| sample(ms, ms + took))
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 0.002, "{found} is not {expected}");
    }

    #[test]
    fn what_comes_at_the_rate_is_all_that_may_pass_once_the_burst_is_gone() {
        let time = Duration::from_secs(2);
        let accuracy = Accuracy::of(at_the_rate(0, 3_000, 0).collect(), &HOT, time).unwrap();
        near(accuracy.min_share.unwrap(), 1.0);
        near(accuracy.max_share_1_s, 1_001.0 / 1_200.0);
        near(accuracy.max_share, 3_000.0 / 3_199.0);
        assert_eq!(accuracy.refused, 0);
    }

    #[test]
    fn one_request_more_than_burst_and_rate_allow_is_found_wherever_it_is() {
        let share =
            |samples: &[Sample]| Accuracy::of(samples.to_vec(), &HOT, Duration::from_secs(2)).unwrap().max_share;
        // Half of the burst at once, then the rate, then the other half at once: all that may pass by then.
        let mut samples = vec![sample(500, 500); 100];
        samples.extend(at_the_rate(501, 1_501, 0));
        samples.extend(vec![sample(1_500, 1_500); 100]);
        assert_eq!(share(&samples), 1.0);
        samples.push(sample(1_500, 1_500));
        assert!(share(&samples) > 1.0);
    }

    #[test]
    fn what_goes_over_the_end_of_a_window_is_not_held_against_the_limit() {
        let wide = vec![sample(0, 1_000); 300];
        near(Accuracy::of(wide, &HOT, Duration::from_secs(2)).unwrap().max_share, 300.0 / 1_200.0);
    }

    #[test]
    fn each_tenant_has_a_window_of_its_own() {
        let two = (0..2).flat_map(|tenant| vec![Sample { tenant, ..sample(0, 0) }; 200]);
        near(Accuracy::of(two.collect(), &HOT, Duration::from_secs(2)).unwrap().max_share, 1.0);
    }
}
