//! When requests are planned, counted from the begin of a turn.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// `rate` requests a second for `time`, each as long after the other.
pub(crate) fn even(rate: f64, time: Duration) -> impl Iterator<Item = Duration> {
    (0_u32..).map(move |number| Duration::from_secs_f64(f64::from(number) / rate)).take_while(move |at| *at < time)
}

/// The same on average, each at a time that has nothing to do with the others', as those of many clients are.
pub(crate) fn poisson(rate: f64, time: Duration, seed: u64) -> impl Iterator<Item = Duration> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut at = 0.0;
    let next = move || {
        // Of 0 to less than 1, so that the logarithm is of more than 0.
        let share: f64 = random.random();
        at -= (1.0 - share).ln() / rate;
        Some(Duration::from_secs_f64(at))
    };
    std::iter::from_fn(next).take_while(move |at| *at < time)
}

/// As many as are answered in `time`, which begins now: each is due at once.
pub(crate) fn at_once(time: Duration) -> impl Iterator<Item = Duration> {
    let begin = Instant::now();
    std::iter::from_fn(move || (begin.elapsed() < time).then_some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    #[test]
    fn an_even_schedule_has_its_rate_and_no_gap_but_one() {
        let all: Vec<Duration> = even(1_000.0, TIME).collect();
        assert_eq!(all.len(), 10_000);
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_millis(1)));
    }

    #[test]
    fn a_random_schedule_has_its_rate_and_gaps_of_an_exponential_distribution() {
        let all: Vec<f64> = poisson(1_000.0, TIME, 1).map(|at| at.as_secs_f64()).collect();
        assert!(all.is_sorted());
        assert!((9_700..10_300).contains(&all.len()), "{}", all.len());
        // Of such gaps the share e⁻ⁿ is longer than n means.
        for (means, share) in [(1.0, 0.368), (2.0, 0.135), (3.0, 0.050)] {
            let longer = all.windows(2).filter(|pair| pair[1] - pair[0] > means / 1_000.0).count() as f64;
            assert!((longer / all.len() as f64 - share).abs() < 0.02, "{means}: {longer} of {}", all.len());
        }
    }

    #[test]
    fn a_seed_has_its_schedule() {
        let of = |seed| poisson(1_000.0, TIME, seed).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
