//! The answer to a refused request: the dialect's error form, and what every dialect's has.

use crate::http::Reply;
use crate::operation::Millis;
use crate::policy::limit::Cost;
use crate::policy::verdict::{Quota, Refusal, Throttle};
use crate::telemetry::HEADER;

use super::Guarded;

/// The answer to `refusal`; `told` is the value of the header `x-ackguard`.
pub fn answer(guarded: &Guarded, refusal: &Refusal, told: Option<&str>) -> Reply {
    let mut reply = guarded.dialect.refuse(refusal, guarded.request_id.as_deref());
    if let Refusal::Throttled { limit, quota, throttle: Throttle::Wait { wait, left }, .. } = refusal {
        let seconds = seconds(*wait).max(1);
        reply.headers.push(("retry-after", seconds.to_string()));
        if let Some(quota) = quota {
            reply.headers.push(("ratelimit-policy", policy(limit, *quota)));
            reply.headers.push(("ratelimit", format!("\"{limit}\";r={left};t={seconds}")));
        }
    }
    reply.headers.extend(told.map(|told| (HEADER, told.to_owned())));
    if guarded.is_grpc { in_grpc(reply, refusal) } else { reply }
}

/// The header `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11): so many of a unit in so many seconds.
fn policy(limit: &str, Quota { rate, unit }: Quota) -> String {
    let unit = match unit {
        // The draft's default.
        Cost::Requests => "",
        Cost::Messages => ";qu=\"messages\"",
        Cost::Bytes => ";qu=\"content-bytes\"",
    };
    format!("\"{limit}\";q={};w={}{unit}", rate.tokens, seconds(rate.period))
}

/// Whole seconds, no fewer.
fn seconds(Millis(millis): Millis) -> i64 {
    millis.saturating_add(999) / 1_000
}

/// The same refusal to a client that speaks gRPC, whose status is in a header of its own.
fn in_grpc(mut reply: Reply, refusal: &Refusal) -> Reply {
    // RESOURCE_EXHAUSTED, INVALID_ARGUMENT
    reply.grpc_status = Some(if matches!(refusal, Refusal::Throttled { .. }) { 8 } else { 3 });
    reply.status = 200;
    reply.headers.retain(|(name, _)| *name != "content-type");
    reply.headers.push(("grpc-message", percent_encode(&reply.body)));
    reply.body.clear();
    reply
}

/// What gRPC's `grpc-message` may hold: printable ASCII but for `%`, everything else as `%XX`.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
