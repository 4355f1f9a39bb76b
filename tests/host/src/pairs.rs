//! Header maps as the ABI has them: a count, the length of each name and value, then the names and values, each ended by a
//! zero. All numbers are of 32 bits, the lowest byte first.

/// The names, in lower case, and the values of headers, in their order.
pub type Headers = Vec<(String, Vec<u8>)>;

/// Writes a map; nothing where it is empty, as Envoy does.
pub(crate) fn write(headers: &Headers) -> Vec<u8> {
    if headers.is_empty() {
        return Vec::new();
    }
    let number = |number: usize| u32::try_from(number).expect("a small map").to_le_bytes();
    let mut out = number(headers.len()).to_vec();
    for (name, value) in headers {
        out.extend(number(name.len()));
        out.extend(number(value.len()));
    }
    for (name, value) in headers {
        for text in [name.as_bytes(), value] {
            out.extend_from_slice(text);
            out.push(0);
        }
    }
    out
}

/// Reads a map. None where the bytes are none.
pub(crate) fn read(bytes: &[u8]) -> Option<Headers> {
    if bytes.is_empty() {
        return Some(Headers::new());
    }
    let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let count = number(0)?;
    let mut rest = bytes.get(4 + count.checked_mul(8)?..)?;
    let mut headers = Headers::new();
    for index in 0..count {
        let mut text = |size: usize| {
            let (text, after) = rest.split_at_checked(size)?;
            rest = after.strip_prefix(&[0])?;
            Some(text.to_vec())
        };
        let name = text(number(4 + index * 8)?)?;
        headers.push((String::from_utf8(name).ok()?, text(number(8 + index * 8)?)?));
    }
    rest.is_empty().then_some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_the_form_of_the_abi() {
        let headers = vec![("a".to_owned(), b"bc".to_vec()), ("d".to_owned(), Vec::new())];
        let bytes = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0a\0bc\0d\0\0";
        assert_eq!(write(&headers), bytes);
        assert_eq!(read(bytes), Some(headers));
        assert_eq!(write(&Headers::new()), b"");
        assert_eq!(read(b""), Some(Headers::new()));
    }

    #[test]
    fn bytes_that_are_no_map_are_not_read() {
        for bytes in [&b"\x01"[..], b"\xff\xff\xff\xff", b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b", b"\0\0\0\0x"] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }
}
