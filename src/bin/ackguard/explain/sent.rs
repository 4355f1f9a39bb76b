//! What goes on to the broker, line by line, beside what came.

use ackguard::judgement::Effect;
use ackguard::policy::HostHeaders;
use ackguard::telemetry::HEADER;
use similar::{ChangeTag, TextDiff};

use super::request::RawRequest;
use crate::output::visible;

/// How many unchanged lines stand around a change.
const CONTEXT: usize = 3;

/// One line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// How it changes.
    pub(crate) tag: ChangeTag,
    /// Its text, with invisible bytes made visible.
    pub(crate) text: String,
}

/// The head's lines, then an empty one, then the body's, as they came.
pub(crate) fn came(request: &RawRequest) -> Vec<String> {
    message(request, request.headers.iter(), &request.body)
}

/// The same as they go on, where `effect` is what is done to the request. `may_edit` is whether its body was read for
/// that.
pub(crate) fn goes_on(request: &RawRequest, host: HostHeaders, may_edit: bool, effect: &Effect) -> Vec<String> {
    let body = match effect {
        Effect::Edit(edited) => edited,
        Effect::Pass | Effect::Answer(_) => &request.body,
    };
    let own = |name: &str| name.to_ascii_lowercase().starts_with(HEADER);
    let mut headers: Vec<(String, Vec<u8>)> = request.headers.iter().filter(|(name, _)| !own(name)).cloned().collect();
    for header in headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        match (host, effect) {
            // The length is taken off before the body is known, so that Envoy sends it in chunks.
            (HostHeaders::Streamed, _) if may_edit => *header = ("transfer-encoding".to_owned(), b"chunked".to_vec()),
            (HostHeaders::Held, Effect::Edit(_)) => header.1 = body.len().to_string().into_bytes(),
            _ => {}
        }
    }
    message(request, headers.iter(), body)
}

fn message<'h>(request: &RawRequest, headers: impl Iterator<Item = &'h (String, Vec<u8>)>, body: &[u8]) -> Vec<String> {
    let (method, target) = &request.line;
    let mut lines = vec![visible(format!("{method} {target} HTTP/1.1").as_bytes())];
    lines.extend(headers.map(|(name, value)| format!("{}: {}", name.to_ascii_lowercase(), visible(value))));
    lines.push(String::new());
    if !body.is_empty() {
        lines.extend(body.split_inclusive(|byte| *byte == b'\n').map(|line| {
            let whole = line.strip_suffix(b"\n");
            let end = if whole.is_some() && line.len() < body.len() { "\\n" } else { "" };
            format!("{}{end}", visible(whole.unwrap_or(line)))
        }));
    }
    lines
}

/// The lines that changed with some around them. Empty where none did.
pub(crate) fn compare(came: &[String], goes_on: &[String]) -> Vec<Line> {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (came.iter().map(String::as_str).collect(), goes_on.iter().map(String::as_str).collect());
    let diff = TextDiff::from_slices(&old, &new);
    let groups = diff.grouped_ops(CONTEXT);
    let operations = groups.iter().flatten();
    let changes = operations.flat_map(|operation| diff.iter_changes(operation));
    changes.map(|change| Line { tag: change.tag(), text: change.value().to_owned() }).collect()
}
