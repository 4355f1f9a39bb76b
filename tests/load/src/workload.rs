//! What is published, and how long each message's work takes: a pure function of a seed, so that two runs with one
//! seed have the same work to do, whichever consumer gets which message when.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::client::Message;

/// The size of a message's body: that of a small order event, and of the requests that the benchmark measures.
const BODY_BYTES: usize = 200;

/// The messages of a run and the work that they make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    seed: u64,
    work: RangeInclusive<Duration>,
}

impl Default for Workload {
    /// The incident's: 20 to 150 ms a message.
    fn default() -> Self {
        Self { seed: 1, work: Duration::from_millis(20)..=Duration::from_millis(150) }
    }
}

/// Why there is no such workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("work of {} to {} is no range: the first must not be the longer", humantime::format_duration(*.min), humantime::format_duration(*.max))]
pub struct EmptyWorkRange {
    min: Duration,
    max: Duration,
}

impl Workload {
    /// Work that takes a time from `work`, ends included, drawn by `seed`.
    ///
    /// # Errors
    /// [`EmptyWorkRange`] when the range holds nothing.
    pub fn new(seed: u64, work: RangeInclusive<Duration>) -> Result<Self, EmptyWorkRange> {
        if work.is_empty() {
            return Err(EmptyWorkRange { min: *work.start(), max: *work.end() });
        }
        Ok(Self { seed, work })
    }

    /// What draws the times.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The shortest and the longest time that the work on a message may take.
    #[must_use]
    pub fn range(&self) -> &RangeInclusive<Duration> {
        &self.work
    }

    /// The message number `index`. Its key is its number, so that a delivery says which message it is.
    #[must_use]
    pub fn message(&self, index: u64) -> Message {
        let mut body = format!(r#"{{"order":{index},"note":""#);
        let end = r#""}"#;
        let padding = BODY_BYTES.saturating_sub(body.len() + end.len());
        body.extend(std::iter::repeat_n('.', padding));
        body.push_str(end);
        Message { key: index.to_string(), body }
    }

    /// How long the work on a delivery takes: of the message with `key`, after `reconsume_times` failed deliveries.
    #[must_use]
    pub fn work(&self, key: &str, reconsume_times: u32) -> Duration {
        let mut seed = [0; 32];
        let random_and_key = self.seed.to_le_bytes().into_iter().chain(key.bytes());
        for (byte, value) in seed.iter_mut().zip(random_and_key) {
            *byte = value;
        }
        let mut random = ChaCha8Rng::from_seed(seed);
        random.set_stream(u64::from(reconsume_times));
        random.random_range(self.work.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(20);
    const MAX: Duration = Duration::from_millis(150);

    fn schedule(seed: u64) -> Vec<Duration> {
        let workload = Workload::new(seed, MIN..=MAX).unwrap();
        let deliveries = (0..500_u64).flat_map(|index| (0..4).map(move |times| (index, times)));
        deliveries.map(|(index, times)| workload.work(&workload.message(index).key, times)).collect()
    }

    #[test]
    fn one_seed_makes_one_schedule() {
        assert_eq!(schedule(7), schedule(7));
        assert_ne!(schedule(7), schedule(8));
    }

    #[test]
    fn work_fills_the_range_and_does_not_leave_it() {
        let schedule = schedule(1);
        let (min, max) = (schedule.iter().min().unwrap(), schedule.iter().max().unwrap());
        assert!((MIN..MIN + MIN / 10).contains(min), "shortest {min:?}");
        assert!((MAX - MAX / 10..=MAX).contains(max), "longest {max:?}");
        let mean = schedule.iter().sum::<Duration>() / u32::try_from(schedule.len()).unwrap();
        assert!((MIN + MAX) / 2 - mean.min((MIN + MAX) / 2) < Duration::from_millis(5), "mean {mean:?}");
    }

    #[test]
    fn a_body_has_its_size_and_is_json() {
        let message = Workload::new(1, MIN..=MAX).unwrap().message(99_999);
        assert_eq!(message.body.len(), BODY_BYTES);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&message.body).unwrap()["order"], 99_999);
    }

    #[test]
    fn a_range_that_holds_nothing_is_refused() {
        let refused = Workload::new(1, MAX..=MIN).unwrap_err();
        assert_eq!(refused.to_string(), "work of 150ms to 20ms is no range: the first must not be the longer");
    }
}
