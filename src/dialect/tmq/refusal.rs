//! T-MQ's error form: `{"code":"…","message":"…","field":"…"}`.

use super::field_name;
use crate::http::Reply;
use crate::json::text::quote;
use crate::operation::{Field, Reason};
use crate::policy::verdict::{Refusal, Throttle};

/// The answer to a refused request; see [`Dialect::refuse`](crate::dialect::Dialect::refuse).
pub fn refuse(refusal: &Refusal, request_id: Option<&str>) -> Reply {
    let mut retry_after = None;
    let (status, code, field, message) = match refusal {
        Refusal::Unreadable(fault) => {
            let (status, code) = match fault.reason {
                Reason::TooLarge if fault.field.is_none() => (413, "MessageTooLarge"),
                _ => (400, "InvalidArgument"),
            };
            (status, code, fault.field, fault.message.clone())
        }
        Refusal::Setting { field, found, expected, rule, policy } => {
            let code = match field {
                Field::AckTimeout => "AckTimeoutRejected",
                Field::AutoAck => "AutoAckRejected",
                Field::MaxAttempts => "MaxAttemptsRejected",
                Field::DeadLetter => "DeadLetterRequired",
                Field::MaxInFlight => "InvalidArgument",
            };
            let name = field_name(*field);
            let message = format!("{name}: {found}; policy {policy} (rule {rule}) expects {expected}");
            (400, code, Some(name), message)
        }
        Refusal::Throttled { limit, throttle, policy, .. } => match throttle {
            Throttle::Wait { wait, .. } => {
                retry_after = Some(wait.0);
                let message = format!("over the limit {limit} of policy {policy}; try again in {} ms", wait.0);
                (429, "Throttled", None, message)
            }
            // To wait would not help: the client has to send less at once.
            Throttle::TooCostly { cost, burst } => {
                let message = format!("costs {cost}; the limit {limit} of policy {policy} lets {burst} pass at once");
                (413, "MessageTooLarge", None, message)
            }
        },
    };
    let mut body = String::from("{\"code\":");
    quote(code, &mut body);
    body.push_str(",\"message\":");
    quote(&message, &mut body);
    if let Some(field) = field {
        body.push_str(",\"field\":");
        quote(field, &mut body);
    }
    if let Some(millis) = retry_after {
        body.push_str(",\"retryAfterMs\":");
        body.push_str(&millis.to_string());
    }
    body.push('}');
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if let Some(id) = request_id {
        headers.push(("x-dingtalk-mq-request-id", id.to_owned()));
    }
    Reply { status, grpc_status: None, headers, body }
}
