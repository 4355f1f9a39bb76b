//! Medians and percentiles of few values, without any binning.

use std::time::Duration;

/// The value below which the share `quantile` of `values` lies, by the nearest rank. `None` where there are none.
pub(super) fn quantile(values: &[f64], quantile: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// The middle value, or the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some((low + high) / 2.0)
}

/// Between what the median lies of all that `values` were drawn from, in 95 of 100 cases and whatever its distribution is: two of
/// the values, as many in from either end as it seldom has below it or above. `None` where there are fewer than six.
pub(super) fn interval(values: &[f64]) -> Option<[f64; 2]> {
    /// How often the median may be beyond either end.
    const BEYOND: f64 = 0.025;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    // How many are below the median follows the binomial distribution: how likely none is, or one at most, and so on.
    let (mut below, mut likely) = (0, 0.0);
    let mut exactly = -(count as f64) * std::f64::consts::LN_2;
    while below < count && likely + exactly.exp() <= BEYOND {
        likely += exactly.exp();
        exactly += ((count - below) as f64 / (below + 1) as f64).ln();
        below += 1;
    }
    let first = below.checked_sub(1)?;
    Some([sorted[first], sorted[count - below]])
}

/// The middle of values, what half of them lie between, and how well the middle is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The first and the third quartile.
    pub quartiles: [f64; 2],
    /// Between what the median lies in 95 of 100 cases. `None` where there is too little to tell.
    pub interval: Option<[f64; 2]>,
}

impl Spread {
    /// That of `values`, which were drawn each by itself. `None` where there are none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let quartiles = [quantile(values, 0.25)?, quantile(values, 0.75)?];
        Some(Self { median: median(values)?, quartiles, interval: interval(values) })
    }
}

/// `durations` in milliseconds.
pub(super) fn millis(durations: &[Duration]) -> Vec<f64> {
    durations.iter().map(|duration| duration.as_secs_f64() * 1_000.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let cases = [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0)];
        for (share, expected) in cases {
            assert_eq!(quantile(&values, share), Some(expected), "{share}");
        }
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn an_interval_is_as_wide_as_a_table_of_the_sign_test_says() {
        // The ranks of its ends, by the number of values.
        let cases =
            [(6, [1, 6]), (8, [1, 8]), (9, [2, 8]), (10, [2, 9]), (15, [4, 12]), (20, [6, 15]), (100, [40, 61])];
        for (count, ends) in cases {
            let values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
            assert_eq!(interval(&values), Some(ends.map(f64::from)), "{count}");
        }
        assert_eq!(interval(&[1.0; 5]), None);
        assert_eq!(interval(&[]), None);
        // So many that how likely it is that none is below the median is nothing to a computer.
        let many: Vec<f64> = (1..=10_000).map(f64::from).collect();
        assert_eq!(interval(&many), Some([4_902.0, 5_099.0]));
    }

    #[test]
    fn a_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
