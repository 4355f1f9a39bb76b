//! What a plain scalar says, by the core schema of YAML 1.2.

use std::borrow::Cow;

use ackguard::json::Content;

/// A plain scalar by the core schema of YAML 1.2.2, section 10.3.2. Whole numbers are written in decimal digits.
pub(super) fn plain_scalar(text: Cow<'_, str>) -> Content<'_> {
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" | "True" | "TRUE" => return Content::Bool(true),
        "false" | "False" | "FALSE" => return Content::Bool(false),
        _ => {}
    }
    match number(&text) {
        Some(Cow::Borrowed(_)) => Content::Number(text),
        Some(Cow::Owned(number)) => Content::Number(Cow::Owned(number)),
        None => Content::String(text),
    }
}

/// A number of the core schema as JSON would write it, where it is one.
fn number(text: &str) -> Option<Cow<'_, str>> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let whole = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = u128::from_str_radix(digits, radix).ok().filter(|_| whole)?;
            return Some(Cow::Owned(number.to_string()));
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Cow::Borrowed(text));
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    if !exponent_fits || !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let padded = text.starts_with('+') || whole.is_empty() || mantissa.ends_with('.');
    if !padded && (whole == "0" || !whole.starts_with('0')) {
        return Some(Cow::Borrowed(text));
    }
    let mut number = if text.starts_with('-') { "-".to_owned() } else { String::new() };
    let whole = whole.trim_start_matches('0');
    number.push_str(if whole.is_empty() { "0" } else { whole });
    if !fraction.is_empty() {
        number.push('.');
        number.push_str(fraction);
    }
    if let Some(exponent) = exponent {
        number.push('e');
        number.push_str(exponent);
    }
    Some(Cow::Owned(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number_of(text: &str) -> Option<String> {
        match plain_scalar(Cow::Borrowed(text)) {
            Content::Number(number) => Some(number.into_owned()),
            _ => None,
        }
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, number) in [
            ("12", "12"),
            ("-12", "-12"),
            ("+12", "12"),
            ("010", "10"),
            ("-007", "-7"),
            ("0", "0"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("1.5", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1e3"),
            ("+1.0E-3", "1.0e-3"),
            ("-.inf", "-.inf"),
            (".nan", ".nan"),
        ] {
            assert_eq!(number_of(text).as_deref(), Some(number), "{text}");
        }
        for text in ["5s", "1.2.3", "e3", ".", "+", "1e", "0x", "0xg", "0x+1", "1_000", "--1", "nan", "1:30"] {
            assert_eq!(plain_scalar(Cow::Borrowed(text)), Content::String(Cow::Borrowed(text)), "{text}");
        }
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(plain_scalar(Cow::Borrowed(text)), Content::Null, "{text}");
        }
        // Words of YAML 1.1 that 1.2 reads as text.
        for text in ["yes", "no", "on", "off", "y", "n", "tRUE"] {
            assert_eq!(plain_scalar(Cow::Borrowed(text)), Content::String(Cow::Borrowed(text)), "{text}");
        }
        assert_eq!(plain_scalar(Cow::Borrowed("True")), Content::Bool(true));
        assert_eq!(plain_scalar(Cow::Borrowed("FALSE")), Content::Bool(false));
    }
}
