//! How figures are written, in few characters.

use super::track::Tally;

/// What stands where a figure is not known.
pub(super) const UNKNOWN: &str = "–";

/// Times a second, in at most five characters below 10^12.
pub(super) fn rate(rate: Option<f64>) -> String {
    match rate {
        None => UNKNOWN.to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(rate) if rate < 0.05 => "<0.1".to_owned(),
        Some(rate) if rate < 9.95 => format!("{rate:.1}"),
        Some(rate) => match rate.round() as u64 {
            number @ 100_000..1_000_000 => format!("{}k", number / 1_000),
            number => large(number),
        },
    }
}

/// A number of things.
pub(super) fn total(total: u64) -> String {
    large(total)
}

/// Milliseconds, of which the filter counts whole ones.
pub(super) fn millis(millis: Option<f64>) -> String {
    match millis {
        None => UNKNOWN.to_owned(),
        Some(millis) if millis < 1.0 => "<1ms".to_owned(),
        Some(millis) if millis < 999.5 => format!("{millis:.0}ms"),
        Some(millis) if millis < 9_950.0 => format!("{:.1}s", millis / 1_000.0),
        Some(millis) => format!("{}s", large((millis / 1_000.0).round() as u64)),
    }
}

/// A rate and a total, for lines of text.
pub(super) fn tally(tally: Tally) -> String {
    format!("{}/s ({})", rate(tally.rate), total(tally.total))
}

/// Seconds in the two largest units that say something.
pub(super) fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// At most six characters up to 10^18.
fn large(number: u64) -> String {
    match number {
        0..1_000_000 => number.to_string(),
        1_000_000..1_000_000_000 => format!("{}M", tenths(number, 1_000_000)),
        1_000_000_000..1_000_000_000_000 => format!("{}G", tenths(number, 1_000_000_000)),
        _ => format!("{}T", number / 1_000_000_000_000),
    }
}

/// Cut, not rounded: 1.0 is never told of less.
fn tenths(number: u64, unit: u64) -> String {
    format!("{}.{}", number / unit, number % unit / (unit / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let rates = [
            None,
            Some(0.0),
            Some(0.01),
            Some(0.05),
            Some(9.94),
            Some(9.96),
            Some(1_234.6),
            Some(345_678.0),
            Some(2.5e6),
        ];
        assert_eq!(rates.map(rate), ["–", "0", "<0.1", "0.1", "9.9", "10", "1235", "345k", "2.5M"]);
        let totals = [0, 999_999, 1_000_000, 1_999_999, 12_345_678_901, u64::MAX];
        assert_eq!(totals.map(total), ["0", "999999", "1.0M", "1.9M", "12.3G", "18446744T"]);
        let durations = [None, Some(0.5), Some(3.05), Some(9.96), Some(999.4), Some(999.6), Some(12_000.0)];
        assert_eq!(durations.map(millis), ["–", "<1ms", "3ms", "10ms", "999ms", "1.0s", "12s"]);
        assert_eq!([0, 59, 61, 3_661, 90_000].map(age), ["0s", "59s", "1m 1s", "1h 1m", "1d 1h"]);
    }
}
