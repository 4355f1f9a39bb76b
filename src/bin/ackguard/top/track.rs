//! From the statistics at two moments to what happened between them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Add, AddAssign};
use std::time::Duration;

use crate::admin::{Bin, Series, Stats};

/// How far back durations are told: Envoy hands its histograms over every five seconds (`stats_flush_interval`), so that
/// a second's would mostly be empty.
pub(super) const WINDOW: Duration = Duration::from_secs(30);

const DURATION: &str = "ackguard_request_duration_ms";

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Since Envoy's start.
    pub(super) total: u64,
    /// Times a second between the last two moments; `None` where there is only one.
    pub(super) rate: Option<f64>,
}

impl Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        Tally {
            total: self.total.saturating_add(other.total),
            rate: self.rate.zip(other.rate).map(|(one, other)| one + other),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        *self = *self + other;
    }
}

/// A dialect and an operation.
pub(super) type Asked = (String, String);

/// How long requests of one kind took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spread {
    /// The bins by the bits of their lowest values, which are ordered as those are: none is below zero.
    bins: BTreeMap<u64, (f64, f64, u64)>,
    /// How many of them Envoy gave up, after its own time-out.
    pub(super) timeouts: u64,
}

impl Spread {
    fn add(&mut self, bins: &[Bin], timed_out: bool) {
        for bin in bins {
            let (_, _, count) = self.bins.entry(bin.lower.to_bits()).or_insert((bin.lower, bin.width, 0));
            *count = count.saturating_add(bin.count);
            if timed_out {
                self.timeouts = self.timeouts.saturating_add(bin.count);
            }
        }
    }

    /// What came since an earlier moment; all of it where that moment has more, as before a restart.
    fn since(&self, before: &Spread) -> Spread {
        let count = |bits: &u64| before.bins.get(bits).map_or(0, |(_, _, count)| *count);
        let has_begun_anew = before.timeouts > self.timeouts
            || before
                .bins
                .iter()
                .any(|(bits, (_, _, count))| self.bins.get(bits).is_none_or(|(_, _, now)| now < count));
        if has_begun_anew {
            return self.clone();
        }
        let bins = self.bins.iter().map(|(bits, (lower, width, now))| (*bits, (*lower, *width, now - count(bits))));
        Spread { bins: bins.collect(), timeouts: self.timeouts - before.timeouts }
    }

    /// The milliseconds that a share of the requests, from 0 to 1, took at most. `None` where there were none.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let all: f64 = self.bins.values().map(|(_, _, count)| *count as f64).sum();
        let wanted = all * share;
        let mut below = 0.0;
        let mut found = None;
        for (lower, width, count) in self.bins.values().filter(|(_, _, count)| *count > 0) {
            let count = *count as f64;
            let within = ((wanted - below) / count).clamp(0.0, 1.0);
            found = Some(lower + width * within);
            below += count;
            if below >= wanted {
                break;
            }
        }
        found
    }
}

type Spreads = BTreeMap<Asked, Spread>;

/// The statistics of one moment.
#[derive(Clone, Debug)]
struct Moment {
    /// Since some fixed moment.
    at: Duration,
    stats: Stats,
}

/// The last two moments, and how durations were up to half a minute before.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    now: Option<Moment>,
    before: Option<Moment>,
    /// Whether Envoy was started anew between the two.
    restarted: bool,
    /// Durations at the moments when they changed; the first is the newest that is out of the window, if there is one.
    spreads: VecDeque<(Duration, Spreads)>,
}

impl Track {
    /// Takes the statistics of a moment, told as the time since a fixed one.
    pub(super) fn take(&mut self, at: Duration, stats: Stats) {
        let spreads = spreads(&stats);
        self.before = self.now.take();
        self.restarted = self.before.as_ref().is_some_and(|before| is_restart(&before.stats, &stats));
        if self.restarted {
            self.spreads.clear();
            self.spreads.push_back((at, Spreads::new()));
        }
        if self.spreads.back().is_none_or(|(_, last)| *last != spreads) {
            self.spreads.push_back((at, spreads));
        }
        while self.spreads.get(1).is_some_and(|(second, _)| *second + WINDOW <= at) {
            self.spreads.pop_front();
        }
        self.now = Some(Moment { at, stats });
    }

    /// The statistics of the last moment.
    pub(super) fn stats(&self) -> Option<&Stats> {
        self.now.as_ref().map(|now| &now.stats)
    }

    /// All series of a counter.
    pub(super) fn tallies(&self, metric: &str) -> Vec<(&Series, Tally)> {
        let all = self.stats().into_iter().flat_map(|stats| stats.all(metric));
        all.map(|(series, total)| (series, Tally { total, rate: self.rate(series, total) })).collect()
    }

    /// All series of a counter together.
    pub(super) fn sum(&self, metric: &str) -> Tally {
        let none = Tally { total: 0, rate: self.before.as_ref().map(|_| 0.0) };
        self.tallies(metric).into_iter().fold(none, |sum, (_, tally)| sum + tally)
    }

    /// How fast a counter grew. One that is lower than before has begun anew, and one that was not there at zero: Envoy
    /// makes a counter when it first counts.
    fn rate(&self, series: &Series, total: u64) -> Option<f64> {
        let (now, before) = self.now.as_ref().zip(self.before.as_ref())?;
        let known = before.stats.values.get(series).copied();
        if known.is_none() && before.stats.left_out > 0 {
            return None;
        }
        let known = known.filter(|known| !self.restarted && *known <= total).unwrap_or(0);
        let seconds = now.at.saturating_sub(before.at).as_secs_f64();
        (seconds > 0.0).then(|| (total - known) as f64 / seconds)
    }

    /// How long requests took within the [`WINDOW`].
    pub(super) fn recent(&self) -> BTreeMap<Asked, Spread> {
        match (self.spreads.front(), self.spreads.back()) {
            (Some((_, first)), Some((_, last))) if self.spreads.len() > 1 => {
                let none = Spread::default();
                let since = |(asked, spread): (&Asked, &Spread)| {
                    (asked.clone(), spread.since(first.get(asked).unwrap_or(&none)))
                };
                last.iter().map(since).collect()
            }
            _ => Spreads::new(),
        }
    }

    /// How long requests took since Envoy's start.
    pub(super) fn since_start(&self) -> BTreeMap<Asked, Spread> {
        self.spreads.back().map(|(_, spreads)| spreads.clone()).unwrap_or_default()
    }
}

/// Whether Envoy was started anew: its uptime, which it tells to its last flush, only ever grows.
fn is_restart(before: &Stats, now: &Stats) -> bool {
    now.value("server.uptime") < before.value("server.uptime")
}

fn spreads(stats: &Stats) -> Spreads {
    let mut spreads = Spreads::new();
    for (series, bins) in stats.histograms.iter().filter(|(series, _)| series.metric == DURATION) {
        let asked = (series.label("dialect").to_owned(), series.label("operation").to_owned());
        spreads.entry(asked).or_default().add(bins, series.label("timeout") == "true");
    }
    spreads
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statistics with these counters, and one histogram with these bins of one millisecond.
    fn stats(values: &[(&str, u64)], bins: &[(f64, u64)]) -> Stats {
        let mut stats = Stats::default();
        stats.values.extend(values.iter().map(|(name, value)| (Series::read(name), *value)));
        let bins = bins.iter().map(|(lower, count)| Bin { lower: *lower, width: 1.0, count: *count }).collect();
        stats.histograms.insert(Series::read(&format!("{DURATION};dialect=tmq;operation=ack;timeout=true")), bins);
        stats
    }

    fn track(moments: &[(u64, Stats)]) -> Track {
        let mut track = Track::default();
        for (second, stats) in moments {
            track.take(Duration::from_secs(*second), stats.clone());
        }
        track
    }

    #[test]
    fn a_rate_is_what_came_between_two_moments() {
        for (case, first, second, rate) in [
            ("counts on", stats(&[("a", 10)], &[]), stats(&[("a", 30)], &[]), Some(10.0)),
            ("stands still", stats(&[("a", 10)], &[]), stats(&[("a", 10)], &[]), Some(0.0)),
            ("is new", stats(&[], &[]), stats(&[("a", 6)], &[]), Some(3.0)),
            ("begins anew", stats(&[("a", 10)], &[]), stats(&[("a", 4)], &[]), Some(2.0)),
            (
                "has passed its old value after a restart",
                stats(&[("a", 10), ("server.uptime", 60)], &[]),
                stats(&[("a", 20), ("server.uptime", 1)], &[]),
                Some(10.0),
            ),
            ("may have been left out", Stats { left_out: 1, ..stats(&[], &[]) }, stats(&[("a", 6)], &[]), None),
        ] {
            let track = track(&[(5, first), (7, second)]);
            assert_eq!(track.tallies("a").first().and_then(|(_, tally)| tally.rate), rate, "{case}");
        }
        let track = track(&[(5, stats(&[("a", 10)], &[]))]);
        assert_eq!(track.sum("a"), Tally { total: 10, rate: None });
        assert_eq!(track.sum("absent").rate, None);
    }

    #[test]
    fn two_moments_at_once_have_no_rate() {
        let track = track(&[(5, stats(&[("a", 10)], &[])), (5, stats(&[("a", 11)], &[]))]);
        assert_eq!(track.sum("a"), Tally { total: 11, rate: None });
    }

    #[test]
    fn durations_are_those_of_the_last_half_minute() {
        let asked = ("tmq".to_owned(), "ack".to_owned());
        let half = |track: &Track| track.recent().get(&asked).and_then(|spread| spread.quantile(0.5));
        let mut track = track(&[(0, stats(&[], &[(10.0, 100)]))]);
        assert_eq!(half(&track), None, "what was before is not known to be recent");
        assert_eq!(track.since_start()[&asked].quantile(0.5), Some(10.5));
        track.take(Duration::from_secs(5), stats(&[], &[(10.0, 100), (40.0, 2)]));
        assert_eq!(half(&track), Some(40.5));
        assert_eq!(track.recent()[&asked].timeouts, 2);
        track.take(Duration::from_secs(34), stats(&[], &[(10.0, 100), (40.0, 2)]));
        assert_eq!(half(&track), Some(40.5));
        track.take(Duration::from_secs(35), stats(&[], &[(10.0, 100), (40.0, 2)]));
        assert_eq!(half(&track), None);
        assert!(track.spreads.len() <= 2);
    }

    #[test]
    fn durations_after_a_restart_are_those_since_it() {
        let asked = ("tmq".to_owned(), "ack".to_owned());
        let track = track(&[
            (0, stats(&[("server.uptime", 90)], &[(10.0, 100)])),
            (1, stats(&[("server.uptime", 0)], &[(10.0, 200), (20.0, 1)])),
        ]);
        assert_eq!(track.recent()[&asked].quantile(1.0), Some(21.0));
        assert_eq!(track.recent()[&asked].timeouts, 201);
    }

    #[test]
    fn quantiles_lie_within_their_bins() {
        let mut spread = Spread::default();
        let bin = |lower, width, count| Bin { lower, width, count };
        spread.add(&[bin(0.0, 1.0, 50), bin(100.0, 10.0, 49), bin(1_000.0, 100.0, 1)], false);
        for (share, millis) in [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.99, 110.0), (1.0, 1_100.0)] {
            assert_eq!(spread.quantile(share), Some(millis), "{share}");
        }
        assert_eq!(Spread::default().quantile(0.5), None);
    }

    #[test]
    fn no_counter_ever_has_a_rate_below_zero() {
        use proptest::prelude::*;
        proptest!(|(values in prop::collection::vec((0u64..5, prop::option::of(any::<u64>()), 0u64..100), 1..20))| {
            let mut track = Track::default();
            let mut at = Duration::ZERO;
            for (seconds, value, uptime) in values {
                at += Duration::from_secs(seconds);
                let mut stats = stats(&[("server.uptime", uptime)], &[(1.0, value.unwrap_or(3))]);
                stats.values.extend(value.map(|value| (Series::read("a"), value)));
                track.take(at, stats);
                prop_assert!(track.sum("a").rate.is_none_or(|rate| rate >= 0.0 && rate.is_finite()));
                prop_assert!(track.recent().values().all(|spread| spread.quantile(0.5).is_none_or(|half| half >= 1.0)));
            }
        });
    }
}
