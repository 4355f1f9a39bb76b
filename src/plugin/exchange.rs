//! One request and its response.
//!
//! ```text
//! headers ─▶ nobody's, or needs no reading ──────────────▶ on, untouched
//!        └─▶ Collecting ─▶ whole body ─▶ read ─▶ decide ─▶ on, as it came or edited ─▶ Told in the response
//!                      └─▶ over the limit, unreadable ──▶ answered, or on as it came
//! ```

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::dialect::{Dialect, Layout, Reading, Route};
use crate::http::RequestHead;
use crate::operation::{Kind, Operation, Reason, Settings, Tenant, Topic, Unreadable};
use crate::policy::verdict::{Outcome, Verdict};
use crate::policy::{Caller, HostHeaders, Mode, Policy, Rule, decide, decide_unreadable};
use crate::telemetry::{Counter, Decision, HEADER, announce};

use super::answer::{Answer, remembered_topic};
use super::host::Host;

/// The largest body that is read, in bytes. A quarter of the buffer that Envoy gives a stream by default (1 MiB), so that
/// the limit is met here, where the client can be told in its own terms.
const MAX_BODY: usize = 256 * 1024;

/// One request and its response.
pub(super) struct Exchange {
    host: Host,
    policy: Option<Rc<Policy>>,
    stage: Stage,
    /// The response that is of interest, where one is.
    answer: Option<Answer>,
}

enum Stage {
    /// Everything passes as it comes.
    Passing,
    /// The body is on its way in, `size` bytes so far.
    Collecting { guarded: Guarded, size: usize },
    /// The request went on edited; the response will say so.
    Told(String),
}

/// A request that a dialect reads.
struct Guarded {
    dialect: Dialect,
    route: Route,
    tenant: Tenant,
    request_id: Option<String>,
    has_length: bool,
}

impl Exchange {
    pub(super) fn new(host: Host, policy: Option<Rc<Policy>>) -> Self {
        Exchange { host, policy, stage: Stage::Passing, answer: None }
    }

    /// Decides on a body that arrived whole.
    fn decide(&mut self, policy: &Policy, guarded: &Guarded, body: &[u8]) -> Action {
        match guarded.dialect.read(&guarded.route, body) {
            Ok(Reading { operation, .. }) if operation.settings == Settings::NONE => {
                self.pass(guarded.dialect, Some(operation.kind))
            }
            Ok(Reading { mut operation, layout }) => {
                if operation.topic.is_none() {
                    operation.topic = self.remembered(policy, guarded);
                }
                let rule = rule(policy, guarded, &operation);
                let verdict = decide(policy, rule, &operation);
                if policy.asks_topic() {
                    self.answer = Answer::awaited(guarded.dialect, operation);
                }
                self.carry_out(policy, guarded, rule, verdict, (body, &layout))
            }
            Err(fault) => self.unreadable(policy, guarded, fault),
        }
    }

    /// Counts a request that asks for nothing that a policy guards.
    fn pass(&self, dialect: Dialect, operation: Option<Kind>) -> Action {
        self.host.count(Counter::Requests { dialect, operation, decision: Decision::Pass });
        Action::Continue
    }

    /// The topic that a request's consumer reads, where it is remembered and a rule asks for it.
    fn remembered(&self, policy: &Policy, guarded: &Guarded) -> Option<Topic> {
        if policy.asks_topic() { remembered_topic(self.host, &guarded.route) } else { None }
    }

    fn unreadable(&mut self, policy: &Policy, guarded: &Guarded, fault: Unreadable) -> Action {
        self.host.count(Counter::Undecidable { dialect: guarded.dialect, reason: fault.reason });
        let operation = Operation {
            kind: guarded.route.kind,
            topic: guarded.route.topic.clone().or_else(|| self.remembered(policy, guarded)),
            group: guarded.route.group.clone(),
            settings: Settings::NONE,
        };
        let rule = rule(policy, guarded, &operation);
        let verdict = decide_unreadable(rule, fault);
        self.carry_out(policy, guarded, rule, verdict, (&[], &Layout::Unread))
    }

    /// Counts a verdict and does what it says, unless the policy only watches.
    fn carry_out(
        &mut self,
        policy: &Policy,
        guarded: &Guarded,
        rule: &Rule,
        verdict: Verdict,
        (body, layout): (&[u8], &Layout),
    ) -> Action {
        let dialect = guarded.dialect;
        self.host.count(Counter::Requests {
            dialect,
            operation: Some(guarded.route.kind),
            decision: Decision::of(&verdict.outcome, policy.mode),
        });
        for finding in verdict.findings {
            self.host.count(Counter::Violations { dialect, finding });
        }
        let names = (rule.name.as_str(), policy.version.as_str());
        let Some(told) = announce(&verdict.outcome, dialect, (body, layout), names) else {
            return Action::Continue;
        };
        if policy.mode == Mode::Shadow {
            let kind = guarded.route.kind.name();
            self.host.log_info(&format!("ackguard: shadow: {kind}: {told}"));
            return Action::Continue;
        }
        match verdict.outcome {
            Outcome::Pass => Action::Continue,
            Outcome::Edit(changes) => {
                let edited = dialect
                    .write(body, layout, &changes)
                    .filter(|edited| self.host.replace_request_body(body.len(), edited));
                let Some(edited) = edited else {
                    return self.unreadable(policy, guarded, out_of_reach("edited"));
                };
                if policy.headers == HostHeaders::Held && guarded.has_length {
                    let length = edited.len().to_string();
                    self.host.set_request_header("content-length", &length);
                }
                self.stage = Stage::Told(told);
                Action::Continue
            }
            Outcome::Reject(refusal) => {
                let mut reply = dialect.refuse(&refusal, guarded.request_id.as_deref());
                reply.headers.push((HEADER, told));
                self.host.reply(&reply);
                Action::Pause
            }
        }
    }

    /// Begins a request that a dialect reads.
    fn begin(&mut self, policy: &Policy, dialect: Dialect, head: &RequestHead, ends: bool) -> Action {
        let Some(route) = dialect.route(head) else {
            return self.pass(dialect, None);
        };
        if !route.reads_body && dialect.read(&route, &[]).is_ok() {
            // Nothing that a rule could judge: neither tenant nor rule is worth looking for.
            return self.pass(dialect, Some(route.kind));
        }
        let guarded = Guarded {
            dialect,
            tenant: policy.tenant(head, |path| self.host.property(path)),
            request_id: head.get("x-request-id").map(|id| String::from_utf8_lossy(id).into_owned()),
            has_length: head.get("content-length").is_some(),
            route,
        };
        if ends || !guarded.route.reads_body {
            return self.decide(policy, &guarded, &[]);
        }
        if let Some(fault) = unreadable_body(head) {
            return self.unreadable(policy, &guarded, fault);
        }
        let action = match policy.headers {
            HostHeaders::Held => Action::Pause,
            HostHeaders::Streamed => {
                if guarded.has_length && policy.mode == Mode::Enforce {
                    // The length may change when the headers are gone.
                    self.host.remove_request_header("content-length");
                }
                Action::Continue
            }
        };
        self.stage = Stage::Collecting { guarded, size: 0 };
        action
    }

    /// Notes that `size` bytes of the body are here; decides when it is whole, or too large.
    fn collect(&mut self, size: usize, whole: bool) -> Action {
        let Stage::Collecting { size: held, .. } = &mut self.stage else {
            return Action::Continue;
        };
        *held = size;
        if whole || size > MAX_BODY { self.collected() } else { Action::Pause }
    }

    /// Decides on what was collected.
    fn collected(&mut self) -> Action {
        let stage = std::mem::replace(&mut self.stage, Stage::Passing);
        let (Stage::Collecting { guarded, size }, Some(policy)) = (stage, self.policy.clone()) else {
            return Action::Continue;
        };
        if size > MAX_BODY {
            return self.unreadable(&policy, &guarded, too_large(size));
        }
        let body = match size {
            0 => Some(Vec::new()),
            _ => self.host.request_body(size),
        };
        match body.filter(|body| body.len() == size) {
            Some(body) => self.decide(&policy, &guarded, &body),
            None => self.unreadable(&policy, &guarded, out_of_reach("read")),
        }
    }
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _count: usize, ends: bool) -> Action {
        let head = RequestHead::new(self.host.request_headers());
        for name in head.names().filter(|name| name.starts_with(HEADER)) {
            self.host.remove_request_header(name);
        }
        let Some(policy) = self.policy.clone() else {
            return Action::Continue;
        };
        match policy.dialect(&head) {
            Some(dialect) => self.begin(&policy, dialect, &head, ends),
            None => Action::Continue,
        }
    }

    fn on_http_request_body(&mut self, size: usize, ends: bool) -> Action {
        self.collect(size, ends)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        // A receiver may merge trailers into the headers.
        for name in self.host.request_trailer_names() {
            if name.starts_with(HEADER) {
                self.host.remove_request_trailer(&name);
            }
        }
        self.collected()
    }

    fn on_http_response_headers(&mut self, _count: usize, ends: bool) -> Action {
        if let Some(answer) = self.answer.take() {
            match (Answer::is_success(self.host.response_status()), ends) {
                (true, true) => answer.end(self.host),
                (true, false) => self.answer = Some(answer),
                (false, _) => {}
            }
        }
        if let Stage::Told(told) = &self.stage {
            self.host.add_response_header(HEADER, told);
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, ends: bool) -> Action {
        if let Some(mut answer) = self.answer.take() {
            let worth_it = size == 0 || answer.take(&self.host.response_piece(size));
            match (worth_it, ends) {
                (true, true) => answer.end(self.host),
                (true, false) => self.answer = Some(answer),
                (false, _) => answer.give_up(self.host),
            }
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        if let Some(answer) = self.answer.take() {
            answer.end(self.host);
        }
        Action::Continue
    }
}

fn rule<'p>(policy: &'p Policy, guarded: &Guarded, operation: &Operation) -> &'p Rule {
    policy.rule(&Caller {
        tenant: &guarded.tenant,
        topic: operation.topic.as_ref(),
        group: operation.group.as_ref(),
        dialect: guarded.dialect,
    })
}

/// What the headers say already of a body that cannot be read.
fn unreadable_body(head: &RequestHead) -> Option<Unreadable> {
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

fn too_large(size: impl core::fmt::Display) -> Unreadable {
    Unreadable {
        field: None,
        reason: Reason::TooLarge,
        message: format!("the body has {size} bytes or more; expected at most {MAX_BODY}"),
    }
}

/// The fault of a body that the host does not give, or does not take back.
fn out_of_reach(attempt: &str) -> Unreadable {
    Unreadable {
        field: None,
        reason: Reason::Malformed,
        message: format!("the body could not be {attempt} at the gateway"),
    }
}
