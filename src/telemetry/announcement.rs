//! The response header that tells a client's developer what the gateway did.

use core::fmt::Write as _;

use crate::dialect::{Dialect, Layout};
use crate::operation::Field;
use crate::policy::verdict::{Change, NewValue, Outcome, Refusal};

/// The header's name. It is removed from every request, so that no client can speak for the gateway.
pub const HEADER: &str = "x-ackguard";

/// How much of a client's value the header repeats, in bytes.
const REPEATED: usize = 64;

/// The header's value: one element for each change, or one for a refusal. `None` where the request passed as it came.
///
/// `body` and `layout` are those that came, from which the old values are told.
pub fn announce(
    outcome: &Outcome,
    dialect: Dialect,
    (body, layout): (&[u8], &Layout),
    (rule, policy): (&str, &str),
) -> Option<String> {
    let mut out = String::new();
    let from = |field: Field, out: &mut String| {
        out.push_str("; from=");
        match layout.value(field).and_then(|span| body.get(span.clone())) {
            Some(value) => token(value, out),
            None => out.push_str("absent"),
        }
    };
    let end = |out: &mut String| {
        // Writing to a String cannot fail.
        let _ = write!(out, "; rule={rule}; policy={policy}");
    };
    match outcome {
        Outcome::Pass => return None,
        Outcome::Edit(changes) => {
            for Change { field, action, to } in changes {
                if !out.is_empty() {
                    out.push_str(", ");
                }
                out.push_str(action.name());
                out.push_str("; field=");
                out.push_str(dialect.field_name(*field));
                from(*field, &mut out);
                out.push_str("; to=");
                match to {
                    NewValue::Millis(millis) => out.push_str(&millis.0.to_string()),
                    NewValue::Count(count) => out.push_str(&count.to_string()),
                    NewValue::Flag(flag) => out.push_str(&flag.to_string()),
                    NewValue::Name(name) => token(name.as_bytes(), &mut out),
                }
                end(&mut out);
            }
        }
        Outcome::Reject(Refusal::Setting { field, .. }) => {
            out.push_str("reject; field=");
            out.push_str(dialect.field_name(*field));
            from(*field, &mut out);
            end(&mut out);
        }
        Outcome::Reject(Refusal::Throttled { limit, .. }) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "reject; limit={limit}; policy={policy}");
        }
        Outcome::Reject(Refusal::Unreadable(fault)) => {
            out.push_str("reject");
            if let Some(field) = fault.field {
                out.push_str("; field=");
                out.push_str(field);
            }
            out.push_str("; reason=");
            out.push_str(fault.reason.name());
            end(&mut out);
        }
    }
    Some(out)
}

/// Appends a client's bytes so that they can neither end the header nor an element of it: what is no letter, digit
/// or one of `-_.:/+` is percent-encoded, and a long value is cut.
fn token(value: &[u8], out: &mut String) {
    for byte in value.iter().take(REPEATED) {
        if byte.is_ascii_alphanumeric() || b"-_.:/+".contains(byte) {
            out.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn a_clients_bytes_end_no_element_and_are_cut() {
        let written = |value: &[u8]| {
            let mut out = String::new();
            token(value, &mut out);
            out
        };
        assert_eq!(written(b"a-_.:/+9; ,=%\"\r\n\xFF"), "a-_.:/+9%3B%20%2C%3D%25%22%0D%0A%FF");
        assert_eq!(written(&[b'7'; 65]), "7".repeat(64));
    }
}
