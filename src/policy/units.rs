//! The units of a document: durations such as `"250ms"`, `"5s"`, `"10m"`, `"3h"`.

use crate::operation::Millis;

/// The longest duration: a week. Every broker's longest lease is shorter (SQS 12 h, Azure Queue 7 d).
pub(super) const MAX_DURATION: Millis = Millis(7 * 24 * 3_600_000);

/// Reads a duration. `None` where it is none, or longer than [`MAX_DURATION`].
pub(super) fn duration(text: &str) -> Option<Millis> {
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
}
