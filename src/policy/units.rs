//! The units of a document: durations such as `"250ms"`, `"5s"`, `"10m"`, `"3h"`, and rates such as `"100/s"`.

use crate::operation::Millis;

use super::limit::{MAX_RATE, Rate};

/// The times that a rate may be for.
const PERIODS: [(&str, Millis); 3] = [("s", Millis(1_000)), ("m", Millis(60_000)), ("h", Millis(3_600_000))];

/// The longest duration: a week. Every broker's longest lease is shorter (SQS 12 h, Azure Queue 7 d).
pub(super) const MAX_DURATION: Millis = Millis(7 * 24 * 3_600_000);

/// Reads a duration. `None` where it is none, or longer than a week.
pub fn duration(text: &str) -> Option<Millis> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let millis = number.parse::<i64>().ok()?.checked_mul(factor)?;
    Some(Millis(millis)).filter(|millis| *millis <= MAX_DURATION)
}

/// Writes a duration as a person would: in the largest unit that has no remainder.
pub fn write_duration(millis: Millis) -> String {
    for (factor, unit) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if millis.0 != 0 && millis.0 % factor == 0 {
            return format!("{}{unit}", millis.0 / factor);
        }
    }
    format!("{}ms", millis.0)
}

/// Reads a rate. `None` where it is none, under one token or over [`MAX_RATE`] tokens a second.
pub(super) fn rate(text: &str) -> Option<Rate> {
    let (number, unit) = text.split_once('/')?;
    let (_, period) = *PERIODS.iter().find(|(name, _)| *name == unit)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rate = Rate { tokens: number.parse().ok()?, period };
    let most = u128::from(MAX_RATE) * u128::from(period.0.unsigned_abs()) / 1_000;
    (1..=most).contains(&u128::from(rate.tokens)).then_some(rate)
}

/// Writes a rate as a document does.
pub fn write_rate(rate: Rate) -> String {
    let unit = PERIODS
        .iter()
        .find(|(_, period)| *period == rate.period)
        .map_or_else(|| write_duration(rate.period), |(name, _)| (*name).to_owned());
    format!("{}/{unit}", rate.tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, millis) in [("250ms", 250), ("5s", 5_000), ("10m", 600_000), ("3h", 10_800_000), ("0s", 0)] {
            assert_eq!(duration(text), Some(Millis(millis)), "{text}");
            if millis > 0 {
                assert_eq!(write_duration(Millis(millis)), text);
            }
        }
        for text in ["", "5", "s", "-5s", "5 s", "1.5s", "5d", "169h", "99999999999999999999s", "5S"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn rates_have_a_number_and_a_time() {
        for (text, tokens, seconds) in [
            ("1/s", 1, 1),
            ("1000000000/s", 1_000_000_000, 1),
            ("6000/m", 6_000, 60),
            ("60000000000/m", 60_000_000_000, 60),
            ("100/h", 100, 3_600),
            ("3600000000000/h", 3_600_000_000_000, 3_600),
        ] {
            let read = Rate { tokens, period: Millis(seconds * 1_000) };
            assert_eq!(rate(text), Some(read), "{text}");
            assert_eq!(write_rate(read), text);
        }
        assert_eq!(rate("007/s"), rate("7/s"));
        for text in [
            "",
            "/",
            "5",
            "5/",
            "/s",
            "0/s",
            "+5/s",
            "-5/s",
            "5 /s",
            "5/ s",
            "5/S",
            "1.5/s",
            "5/d",
            "5/s/s",
            "5/2s",
            "1000000001/s",
            "60000000001/m",
            "3600000000001/h",
            "99999999999999999999/s",
        ] {
            assert_eq!(rate(text), None, "{text}");
        }
    }
}
