//! A request's body, as far as a gateway reads it.

use crate::http::RequestHead;
use crate::judgement::Guarded;
use crate::operation::{Reason, Unreadable};

/// The largest body that is read, in bytes. A quarter of the buffer that Envoy gives a stream by default (1 MiB), so that
/// the limit is met here, where the client can be told in its own terms.
pub const MAX_BODY: usize = 256 * 1024;

/// What the headers say already of a body that cannot be read.
pub fn unreadable(head: &RequestHead) -> Option<Unreadable> {
    if let Some(coding) = head.content_encoding() {
        let coding = String::from_utf8_lossy(coding);
        return Some(Unreadable {
            field: Some("Content-Encoding"),
            reason: Reason::Encoding,
            message: format!("Content-Encoding: {coding} is not identity"),
        });
    }
    match head.content_length() {
        Some(length) if length > MAX_BODY as u64 => Some(too_large(length)),
        _ => None,
    }
}

/// The fault of a body of which `size` bytes are here.
pub fn too_large(size: impl core::fmt::Display) -> Unreadable {
    Unreadable {
        field: None,
        reason: Reason::TooLarge,
        message: format!("the body has {size} bytes or more; expected at most {MAX_BODY}"),
    }
}

/// What is judged of a body that is whole: nothing of one that says nothing to a policy, or why it cannot be read.
///
/// # Errors
/// When its head says that it cannot be read, or it is too large.
pub fn readable<'b>(head: &RequestHead, guarded: &Guarded, body: &'b [u8]) -> Result<&'b [u8], Unreadable> {
    if !guarded.reads_body || body.is_empty() {
        return Ok(&[]);
    }
    match unreadable(head) {
        Some(fault) => Err(fault),
        None if body.len() > MAX_BODY => Err(too_large(body.len())),
        None => Ok(body),
    }
}
