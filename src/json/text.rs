//! JSON's strings and integers, and plain ones.

use std::borrow::Cow;

/// How many bytes of `bytes` may stand in a string as they are: up to the first quote, backslash or control character.
///
/// Most of a body is the inside of strings, so it is looked at in words, and in pieces of several once it is no short one.
pub(super) fn plain(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    if let Some((word, after)) = rest.split_first_chunk::<8>() {
        let ends = ends(*word);
        if ends != 0 {
            return ends.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    while let Some((piece, after)) = rest.split_first_chunk::<PIECE>() {
        if has_end(piece) {
            break;
        }
        rest = after;
    }
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let ends = ends(*word);
        if ends != 0 {
            return bytes.len() - rest.len() + ends.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    bytes.len() - rest.len() + end.unwrap_or(rest.len())
}

/// So many bytes are looked at together.
const PIECE: usize = 32;

/// Whether a string ends in these bytes, or something in them is escaped.
#[cfg(not(target_feature = "simd128"))]
fn has_end(piece: &[u8; PIECE]) -> bool {
    let (words, _) = piece.as_chunks::<8>();
    words.iter().fold(0, |all, word| all | ends(*word)) != 0
}

/// The same in WebAssembly's vectors, which the compiler does not find by itself.
#[cfg(target_feature = "simd128")]
fn has_end(piece: &[u8; PIECE]) -> bool {
    use core::arch::wasm32::{u8x16_eq, u8x16_lt, u8x16_splat, u64x2, v128_any_true, v128_or};
    let (words, _) = piece.as_chunks::<8>();
    let &[a, b, c, d] = words else { return true };
    let of = |low, high| {
        let bytes = u64x2(u64::from_le_bytes(low), u64::from_le_bytes(high));
        let is = |byte| u8x16_eq(bytes, u8x16_splat(byte));
        v128_or(u8x16_lt(bytes, u8x16_splat(0x20)), v128_or(is(b'"'), is(b'\\')))
    };
    v128_any_true(v128_or(of(a, b), of(c, d)))
}

/// The high bit of each byte of a word that is a quote, a backslash or a control character. The lowest one is right; a
/// subtraction that borrows may set others above it.
fn ends(word: [u8; 8]) -> u64 {
    const EACH: u64 = u64::MAX / 255;
    let word = u64::from_le_bytes(word);
    let controls = word.wrapping_sub(EACH * 0x20);
    let quotes = (word ^ (EACH * 0x22)).wrapping_sub(EACH);
    let backslashes = (word ^ (EACH * 0x5c)).wrapping_sub(EACH);
    (controls | quotes | backslashes) & !word & (EACH << 7)
}

/// Reads the escapes of a string's inside (without its quotes).
///
/// `raw` must have been read by a [`Reader`](super::Reader). `None` where an escape is half of a surrogate pair: such
/// a string has no UTF-8 form, and two programs would read two different names from it.
pub fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('\\') {
        return Some(Cow::Borrowed(raw));
    }
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => code_point(&mut chars)?,
            same => same,
        });
    }
    Some(Cow::Owned(out))
}

/// Reads a string with its quotes, as a [`Value`](super::Value)'s span has them.
pub fn unquote(string: &str) -> Option<Cow<'_, str>> {
    unescape(string.strip_prefix('"')?.strip_suffix('"')?)
}

fn code_point(chars: &mut core::str::Chars<'_>) -> Option<char> {
    let first = code_unit(chars)?;
    if !(0xD800..0xDC00).contains(&first) {
        return char::from_u32(first);
    }
    if chars.next()? != '\\' || chars.next()? != 'u' {
        return None;
    }
    let second = code_unit(chars)?;
    if !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
}

fn code_unit(chars: &mut core::str::Chars<'_>) -> Option<u32> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit * 16 + chars.next()?.to_digit(16)?;
    }
    Some(unit)
}

/// Appends `text` as a JSON string, quotes included.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    loop {
        // What ends here is ASCII, so it is no part of a character.
        let (as_it_is, special) = rest.split_at_checked(plain(rest.as_bytes())).unwrap_or((rest, ""));
        out.push_str(as_it_is);
        let mut chars = special.chars();
        match chars.next() {
            None => break,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => {
                out.push_str("\\u00");
                push_hex(u64::from(control), 2, out);
            }
        }
        rest = chars.as_str();
    }
    out.push('"');
}

/// Appends the last `digits` hexadecimal digits of a number, in lower case.
pub fn push_hex(number: u64, digits: u32, out: &mut String) {
    for place in (0..digits).rev() {
        let nibble = (number >> (4 * place)) as u32 & 0xF;
        out.push(char::from_digit(nibble, 16).unwrap_or('0'));
    }
}

/// Reads a number's text as an integer, or `None` where it is written with a fraction or an exponent.
///
/// `1e4` and `10000.0` are integers to some programs and errors to others, so they are integers to nobody here.
/// An integer of any length saturates.
pub fn integer(number: &str) -> Option<i64> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if digits.len() > SAFE_DIGITS {
        let limit = if negative { i64::MIN } else { i64::MAX };
        return Some(number.parse().unwrap_or(limit));
    }
    let value = digits.bytes().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some(if negative { -value } else { value })
}

/// So many digits are an `i64`, whichever they are. WebAssembly has no product of 64 bits that tells of its overflow, so that a
/// checked one is a product of 128 bits, for each digit.
const SAFE_DIGITS: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_saturate_and_other_number_forms_are_none() {
        for (number, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("10000", Some(10_000)),
            ("-1", Some(-1)),
            ("999999999999999999", Some(999_999_999_999_999_999)),
            ("-999999999999999999", Some(-999_999_999_999_999_999)),
            ("-1000000000000000000", Some(-1_000_000_000_000_000_000)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", Some(i64::MAX)),
            ("-99999999999999999999999", Some(i64::MIN)),
            ("1e4", None),
            ("10000.0", None),
            ("1.5", None),
            ("-", None),
        ] {
            assert_eq!(integer(number), expected, "{number}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_plain_ends_at_the_first_byte_that_is_not(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100),
            ends in proptest::collection::vec((0_usize..100, proptest::sample::select(b"\"\\\x1f\x00 !#[]\x7f\x80\xff".to_vec())), 0..6),
        ) {
            // Random bytes are rarely plain for long: most are made so, and some of the telling ones put in.
            let mut bytes: Vec<u8> = bytes.into_iter().map(|byte| byte | 0x60).collect();
            for (at, end) in ends {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = end;
                }
            }
            let first = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            proptest::prop_assert_eq!(plain(&bytes), first.unwrap_or(bytes.len()));
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        assert_eq!(unescape(r"\ud83d\ude00\u00e9\n").as_deref(), Some("\u{1F600}\u{e9}\n"));
        assert_eq!(unescape(r"\ud83d"), None);
        assert_eq!(unescape(r"\ud83dx"), None);
        assert_eq!(unescape(r"\ud83d\u0041"), None);
        assert_eq!(unescape(r"\ude00"), None);
        assert_eq!(unescape(r"\ud83d\ue000"), None);
        assert_eq!(unescape(r"\udbff\udfff").as_deref(), Some("\u{10FFFF}"));
    }

    #[test]
    fn every_control_character_is_escaped() {
        let plain: String = ('\u{0}'..='\u{21}').chain(['"', '\\', 'é']).collect();
        let mut quoted = String::new();
        quote(&plain, &mut quoted);
        assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), plain);
    }
}
