//! One request and its response: carries out what [`judgement`](crate::judgement) says.
//!
//! ```text
//! headers ─▶ nobody's, or needs no reading ──────────────▶ on, untouched
//!        └─▶ Collecting ─▶ whole body ─▶ judge ─▶ on, as it came or edited ─▶ Told in the response
//!        │             │                         └─▶ Asking the fleet's service ─▶ on, or answered
//!        │             └─▶ over the limit, unreadable ──▶ answered, or on as it came
//! ```

mod waiting;

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::body;
use crate::dialect::{Dialect, Route};
use crate::http::RequestHead;
use crate::judgement::{Effect, Entry, Guarded, Judgement, enter, judge, rules, side};
use crate::limit::fleet::Header;
use crate::operation::{Kind, Tenant, Unreadable};
use crate::policy::rollout::Side;
use crate::policy::{HostHeaders, Mode, Policy};
use crate::rollout::Part;
use crate::telemetry::{Counter, Decision, HEADER};

use super::ack::Ack;
use super::answer::{Answer, remembered_topic};
use super::brought::Brought;
use super::fleet;
use super::host::Host;
use super::in_flight::InFlight;
use super::limits::with_limiter;

use waiting::Waiting;

/// One request and its response.
pub(super) struct Exchange {
    host: Host,
    /// The host's id of its context.
    id: u32,
    /// Itself, for the tick that ends its wait.
    this: Weak<RefCell<Exchange>>,
    policy: Option<Rc<Policy>>,
    part: Part,
    stage: Stage,
    /// The answer to a subscription, while it is awaited.
    answer: Option<Answer>,
    /// The ack that a roll-out's health is told by.
    ack: Option<Ack>,
    /// The answer that tells of leases.
    in_flight: Option<InFlight>,
    /// The answer that limits are owed something for.
    brought: Option<Brought>,
    /// What the fleet's service tells the client.
    headers: Vec<Header>,
}

enum Stage {
    /// Everything passes as it comes.
    Passing,
    /// The body is on its way in, `size` bytes so far.
    Collecting { request: Collected, size: usize },
    /// The fleet's rate limit service is asked.
    Asking(Box<Waiting>),
    /// The request went on edited; the response will say so.
    Told(String),
}

/// A request whose body decides, and what else its headers told.
struct Collected {
    guarded: Guarded,
    side: Side,
    has_length: bool,
}

impl Exchange {
    pub(super) fn shared(host: Host, id: u32, policy: Option<Rc<Policy>>, part: Part) -> Rc<RefCell<Self>> {
        Rc::new_cyclic(|this| {
            RefCell::new(Exchange {
                host,
                id,
                this: this.clone(),
                policy,
                part,
                stage: Stage::Passing,
                answer: None,
                ack: None,
                in_flight: None,
                brought: None,
                headers: Vec::new(),
            })
        })
    }

    /// Begins a request that a dialect reads, by its head.
    fn begin(&mut self, policy: &Policy, head: &RequestHead, ends: bool) -> Action {
        let guarded = match enter(policy, head, |path| self.host.property(path)) {
            Entry::Foreign => return Action::Continue,
            Entry::Free { dialect, route } => {
                let operation = route.as_ref().map(|route| route.kind);
                self.host.count(Counter::Requests { dialect, operation, decision: Decision::Pass });
                if let Some(route) = route {
                    let tenant = || policy.tenant(head, |path| self.host.property(path));
                    self.ack = self.watched(policy, dialect, &route, tenant);
                    self.in_flight = InFlight::settling(self.host, policy, dialect, &route, || {
                        let tenant = tenant();
                        let side = side(policy, self.stage(policy), &tenant, route.group.as_ref());
                        (tenant, side)
                    });
                }
                return Action::Continue;
            }
            Entry::Guarded(guarded) => guarded,
        };
        let side = side(policy, self.stage(policy), &guarded.tenant, guarded.route.group.as_ref());
        let reads_body = guarded.reads_body;
        let request = Collected { guarded, side, has_length: head.get("content-length").is_some() };
        if ends || !reads_body {
            return self.decide(policy, request, Ok(&[]));
        }
        if let Some(fault) = body::unreadable(head) {
            return self.decide(policy, request, Err(fault));
        }
        let action = match policy.headers {
            HostHeaders::Held => Action::Pause,
            HostHeaders::Streamed => {
                // A body that is only counted goes on as it came.
                let may_change = request.guarded.route.reads_body && rules(policy, side).mode == Mode::Enforce;
                if request.has_length && may_change {
                    // The length may change when the headers are gone.
                    self.host.remove_request_header("content-length");
                }
                Action::Continue
            }
        };
        self.stage = Stage::Collecting { request, size: 0 };
        action
    }

    /// The stage that a roll-out is at.
    fn stage(&self, policy: &Policy) -> Option<usize> {
        policy.rollout.as_ref().and_then(|rollout| self.part.stage(&self.host, rollout))
    }

    /// The ack to watch, where this is one of a consumer that a roll-out's candidate decides for.
    fn watched(
        &self,
        policy: &Policy,
        dialect: Dialect,
        route: &Route,
        tenant: impl FnOnce() -> Tenant,
    ) -> Option<Ack> {
        let rollout = policy.rollout.as_ref().filter(|_| route.kind == Kind::Ack)?;
        let stage = self.stage(policy)?;
        let side = rollout.side(stage, &tenant(), route.group.as_ref());
        (side == Side::Candidate).then(|| Ack::sent(self.host, dialect, rollout, stage))
    }

    /// Decides on a request by its body, or by why there is none; asks the fleet's service where a limit wants it.
    fn decide(&mut self, policy: &Policy, request: Collected, body: Result<&[u8], Unreadable>) -> Action {
        let guarded = &request.guarded;
        let held = body.as_ref().map(|body| body.len()).map_err(Clone::clone);
        let topic = || remembered_topic(self.host, &guarded.route);
        let bytes = *body.as_ref().unwrap_or(&&[][..]);
        let mut judgement = judge(policy, guarded, request.side, body, topic);
        with_limiter(self.host, |limiter| {
            judgement.ask_limits(policy, guarded, limiter, &self.host, || self.host.now_nanos());
        });
        if let Some(call) = judgement.fleet_call(policy, guarded) {
            match fleet::ask(self.host, self.id, &self.this, call) {
                Ok(asking) => {
                    let limits = std::mem::take(&mut judgement.limits);
                    self.stage = Stage::Asking(Box::new(Waiting { request, body: held, limits, asking }));
                    return Action::Pause;
                }
                Err(unasked) => judgement.take_fleet_answer(policy, guarded, &unasked, &unasked.without_answer()),
            }
        }
        self.carry_out(policy, &request, judgement, bytes)
    }

    /// Does what was decided on a request with this body, once its group has room for it; counts and logs it.
    fn carry_out(&mut self, policy: &Policy, request: &Collected, mut judgement: Judgement<'_>, body: &[u8]) -> Action {
        let guarded = &request.guarded;
        judgement.ask_in_flight(guarded, body, &self.host, || self.host.now());
        if let Effect::Edit(edited) = judgement.effect()
            && !self.host.replace_request_body(body.len(), edited)
        {
            if let Some(awaited) = judgement.in_flight.awaited.take() {
                InFlight::awaited(guarded.dialect, awaited).break_off(self.host);
            }
            // The limits have been asked, and are not asked again.
            let limits = std::mem::take(&mut judgement.limits);
            let topic = || remembered_topic(self.host, &guarded.route);
            let fault = Err(Unreadable::out_of_reach("edited"));
            let mut unedited = judge(policy, guarded, request.side, fault, topic);
            unedited.limits = limits;
            return self.carry_out(policy, request, unedited, &[]);
        }
        if judgement.is_refused() {
            with_limiter(self.host, |limiter| judgement.limits.refund(limiter, &self.host, || self.host.now_nanos()));
        }
        for counter in judgement.counters() {
            self.host.count(counter);
        }
        self.host.log_shadow(&judgement.log());
        let told = || judgement.ruling.as_ref().and_then(|ruling| ruling.told.clone()).unwrap_or_default();
        match judgement.effect() {
            Effect::Pass => {}
            Effect::Edit(edited) => {
                if policy.headers == HostHeaders::Held && request.has_length {
                    let length = edited.len().to_string();
                    self.host.set_request_header("content-length", &length);
                }
                self.stage = Stage::Told(told());
            }
            Effect::Answer(reply) => {
                self.host.reply(reply);
                return Action::Pause;
            }
        }
        self.ack = self.watched(policy, guarded.dialect, &guarded.route, || guarded.tenant.clone());
        self.brought = Brought::awaited(guarded.dialect, judgement.owes());
        self.in_flight = match judgement.in_flight.awaited {
            Some(awaited) => Some(InFlight::awaited(guarded.dialect, awaited)),
            None => InFlight::settling(self.host, policy, guarded.dialect, &guarded.route, || {
                (guarded.tenant.clone(), request.side)
            }),
        };
        if let (true, Ok(operation)) = (policy.asks_topic(), judgement.read) {
            self.answer = Answer::awaited(guarded.dialect, operation);
        }
        Action::Continue
    }

    /// Notes that `size` bytes of the body are here; decides when it is whole, or too large.
    fn collect(&mut self, size: usize, whole: bool) -> Action {
        let held = match &mut self.stage {
            Stage::Collecting { size, .. } => size,
            Stage::Asking(_) => return Action::Pause,
            Stage::Passing | Stage::Told(_) => return Action::Continue,
        };
        *held = size;
        if whole || size > body::MAX_BODY { self.collected() } else { Action::Pause }
    }

    /// Decides on what was collected.
    fn collected(&mut self) -> Action {
        if matches!(self.stage, Stage::Asking(_)) {
            return Action::Pause;
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Passing);
        let (Stage::Collecting { request, size }, Some(policy)) = (stage, self.policy.clone()) else {
            return Action::Continue;
        };
        if size > body::MAX_BODY {
            return self.decide(&policy, request, Err(body::too_large(size)));
        }
        match self.held_body(size) {
            Ok(body) => self.decide(&policy, request, Ok(&body)),
            Err(fault) => self.decide(&policy, request, Err(fault)),
        }
    }

    /// The body of `size` bytes that the host holds.
    fn held_body(&self, size: usize) -> Result<Vec<u8>, Unreadable> {
        let body = if size == 0 { Some(Vec::new()) } else { self.host.request_body(size) };
        body.filter(|body| body.len() == size).ok_or_else(|| Unreadable::out_of_reach("read"))
    }
}

impl Context for Exchange {
    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        if matches!(&self.stage, Stage::Asking(waiting) if waiting.asking.is(token)) {
            self.go_on(Some((status, size)));
        }
    }

    /// The exchange is over, whole or not.
    fn on_done(&mut self) -> bool {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.break_off(self.host);
        }
        self.pay();
        true
    }
}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _count: usize, ends: bool) -> Action {
        let head = RequestHead::new(self.host.request_headers());
        for name in head.names().filter(|name| name.starts_with(HEADER)) {
            self.host.remove_request_header(name);
        }
        let Some(policy) = self.policy.clone() else {
            return Action::Continue;
        };
        self.begin(&policy, &head, ends)
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
        if self.awaits_answer() {
            let success = (200..300).contains(&self.host.response_status());
            self.answer = self.answer.take().filter(|_| success);
            self.ack = self.ack.take().and_then(|ack| ack.answered(self.host, success));
            self.in_flight = self.in_flight.take().and_then(|in_flight| in_flight.answered(self.host, success));
        }
        if ends {
            self.answered();
        }
        if let Stage::Told(told) = &self.stage {
            self.host.add_response_header(HEADER, told);
        }
        for Header { name, value } in self.headers.drain(..) {
            self.host.add_response_header(&name, &value);
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, ends: bool) -> Action {
        let reads = self.awaits_answer() || self.brought.as_ref().is_some_and(Brought::reads);
        let piece = if size > 0 && reads { self.host.response_piece(size) } else { Vec::new() };
        if let Some(brought) = &mut self.brought {
            brought.take(size, &piece);
        }
        if size > 0 && self.awaits_answer() {
            self.answer = self.answer.take().and_then(|answer| answer.take(self.host, &piece));
            self.ack = self.ack.take().and_then(|ack| ack.take(&piece));
            self.in_flight = self.in_flight.take().and_then(|in_flight| in_flight.take(self.host, &piece));
        }
        if ends {
            self.answered();
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.answered();
        Action::Continue
    }
}

impl Exchange {
    /// Whether something is to be learned from the answer.
    fn awaits_answer(&self) -> bool {
        self.answer.is_some() || self.ack.is_some() || self.in_flight.is_some()
    }

    /// Charges what a pull has brought.
    fn pay(&mut self) {
        if let Some(brought) = self.brought.take() {
            brought.end(self.host);
        }
    }

    /// Takes what the whole answer says.
    fn answered(&mut self) {
        self.pay();
        if let Some(answer) = self.answer.take() {
            answer.end(self.host);
        }
        if let Some(ack) = self.ack.take() {
            ack.end();
        }
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.end(self.host);
        }
    }
}
