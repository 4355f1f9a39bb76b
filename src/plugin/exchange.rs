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

use proxy_wasm::types::Action;

use crate::body;
use crate::dialect::{Dialect, Route};
use crate::http::RequestHead;
use crate::judgement::{Effect, Entry, Guarded, Judgement, enter, judge, rules, side};
use crate::limit::fleet::Header;
use crate::operation::{Kind, Operation, Tenant, Topic, Unreadable};
use crate::policy::rollout::Side;
use crate::policy::{HostHeaders, Mode, Policy, Telemetry};
use crate::rollout::Part;
use crate::telemetry::{Counter, Decision, Details, HEADER};

use super::ack::Ack;
use super::answer::{Answer, Lessons};
use super::brought::Brought;
use super::fleet;
use super::host::Host;
use super::in_flight::InFlight;
use super::limits::with_limiter;
use super::subscription::{Subscription, remembered_topic};

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
    /// The broker's answer, once the request has gone on.
    answer: Option<Box<Answer>>,
    /// What the fleet's service tells the client.
    headers: Vec<Header>,
}

enum Stage {
    /// Everything passes as it comes.
    Passing,
    /// The body is on its way in, `size` bytes so far.
    Collecting { request: Box<Collected>, size: usize },
    /// The fleet's rate limit service is asked.
    Asking(Box<Waiting>),
    /// The request went on edited; the response will say so.
    Told(String),
}

/// A request whose body decides, and what else its headers told.
struct Collected {
    guarded: Guarded,
    place: Place,
    has_length: bool,
}

/// Where a request's consumer stands in a roll-out.
#[derive(Clone, Copy)]
struct Place {
    /// The stage that was served when it came.
    stage: Option<usize>,
    side: Side,
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
                headers: Vec::new(),
            })
        })
    }

    /// Begins a request that a dialect reads, by its head.
    fn begin(&mut self, policy: &Policy, head: &RequestHead, ends: bool) -> Action {
        let entry = enter(policy, head, |path| self.host.property(path));
        if entry == Entry::Foreign {
            return Action::Continue;
        }
        let guarded = match entry {
            Entry::Foreign => return Action::Continue,
            Entry::Free { dialect, route } => {
                let tenant = policy.tenant(head, |path| self.host.property(path));
                self.pass(policy, dialect, route.as_ref(), &tenant);
                return Action::Continue;
            }
            Entry::Guarded(guarded) => guarded,
        };
        let place = self.place(policy, &guarded.tenant, &guarded.route);
        let reads_body = guarded.reads_body;
        let request = Collected { guarded, place, has_length: head.get("content-length").is_some() };
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
                let may_change = request.guarded.route.reads_body && rules(policy, place.side).mode == Mode::Enforce;
                if request.has_length && may_change {
                    // The length may change when the headers are gone.
                    self.host.remove_request_header("content-length");
                }
                Action::Continue
            }
        };
        self.stage = Stage::Collecting { request: Box::new(request), size: 0 };
        action
    }

    /// Counts a request that nothing is asked of, and awaits its answer.
    fn pass(&mut self, policy: &Policy, dialect: Dialect, route: Option<&Route>, tenant: &Tenant) {
        let (operation, decision) = (route.map(|route| route.kind), Decision::Pass);
        self.host.count(Counter::Requests { dialect, operation, decision });
        let mut details = (policy.telemetry == Telemetry::Full).then(|| {
            let details = Details::of(dialect, operation, decision).with("tenant", Some(&tenant.0));
            let topic = route.and_then(|route| route.topic.as_ref()).map(|topic| topic.0.as_str());
            let group = route.and_then(|route| route.group.as_ref()).map(|group| group.0.as_str());
            details.with("group", group).with("topic", topic).with("policy", Some(&policy.current.version))
        });
        self.tell(details.as_mut(), decision);
        let Some(route) = route else { return };
        let place = self.place(policy, tenant, route);
        let in_flight =
            InFlight::settling(policy, dialect, route, (tenant, place.side), || self.topic(policy, route, None));
        let lessons = Lessons { details, ack: watched(policy, route, place), in_flight, ..Lessons::default() };
        self.answer = Answer::awaited(self.host, policy, (dialect, route.kind), lessons);
    }

    /// Where the caller stands in a roll-out.
    fn place(&self, policy: &Policy, tenant: &Tenant, route: &Route) -> Place {
        let stage = policy.rollout.as_ref().and_then(|rollout| self.part.stage(&self.host, rollout));
        Place { stage, side: side(policy, stage, tenant, route.group.as_ref()) }
    }

    /// The topic that a route's consumer reads, where the policy asks for it: `named` in the request, or remembered.
    fn topic(&self, policy: &Policy, route: &Route, named: Option<&Topic>) -> Option<Topic> {
        let remembered = || if policy.asks_topic() { remembered_topic(self.host, route) } else { None };
        named.cloned().or_else(remembered)
    }

    /// Tells access logs and spans of the request, where the policy has it so.
    fn tell(&self, details: Option<&mut Details>, decision: Decision) {
        if let Some(details) = details {
            self.host.tell(details);
            if decision != Decision::Pass {
                self.host.tell_decision(decision);
            }
        }
    }

    /// Decides on a request by its body, or by why there is none; asks the fleet's service where a limit wants it.
    fn decide(&mut self, policy: &Policy, request: Collected, body: Result<&[u8], Unreadable>) -> Action {
        let guarded = &request.guarded;
        let held = body.as_ref().map(|body| body.len()).map_err(Clone::clone);
        let topic = || remembered_topic(self.host, &guarded.route);
        let bytes = *body.as_ref().unwrap_or(&&[][..]);
        let mut judgement = judge(policy, guarded, request.place.side, body, topic);
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
                InFlight::awaited(awaited).end(self.host);
            }
            // The limits have been asked, and are not asked again.
            let limits = std::mem::take(&mut judgement.limits);
            let topic = || remembered_topic(self.host, &guarded.route);
            let fault = Err(Unreadable::out_of_reach("edited"));
            let mut unedited = judge(policy, guarded, request.place.side, fault, topic);
            unedited.limits = limits;
            return self.carry_out(policy, request, unedited, &[]);
        }
        if judgement.is_refused() {
            with_limiter(self.host, |limiter| judgement.limits.refund(limiter, &self.host, || self.host.now_nanos()));
        }
        for counter in judgement.counters() {
            self.host.count(counter);
        }
        if judgement.violates() {
            self.host.count(Counter::TenantViolations { tenant: guarded.tenant.0.as_str().into() });
        }
        self.host.log_shadow(&judgement.log());
        let mut details = (policy.telemetry == Telemetry::Full).then(|| judgement.details(policy, guarded));
        self.tell(details.as_mut(), judgement.decision());
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
        let (dialect, route) = (guarded.dialect, &guarded.route);
        let brought = Brought::awaited(judgement.owes());
        let topic = judgement.read.as_ref().ok().and_then(|operation| operation.topic.as_ref());
        let in_flight = match judgement.in_flight.awaited.take() {
            Some(awaited) => Some(InFlight::awaited(awaited)),
            None => InFlight::settling(policy, dialect, route, (&guarded.tenant, request.place.side), || {
                self.topic(policy, route, topic)
            }),
        };
        let subscribed = |operation: Operation| Subscription::awaited(dialect, operation);
        let subscription = judgement.read.ok().filter(|_| policy.asks_topic()).and_then(subscribed);
        let ack = watched(policy, route, request.place);
        let lessons = Lessons { details, subscription, ack, in_flight, brought };
        self.answer = Answer::awaited(self.host, policy, (dialect, route.kind), lessons);
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
            return self.decide(&policy, *request, Err(body::too_large(size)));
        }
        match self.held_body(size) {
            Ok(body) => self.decide(&policy, *request, Ok(&body)),
            Err(fault) => self.decide(&policy, *request, Err(fault)),
        }
    }

    /// The body of `size` bytes that the host holds.
    fn held_body(&self, size: usize) -> Result<Vec<u8>, Unreadable> {
        let body = if size == 0 { Some(Vec::new()) } else { self.host.request_body(size) };
        body.filter(|body| body.len() == size).ok_or_else(|| Unreadable::out_of_reach("read"))
    }
}

/// What the host calls, by [`Shared`](super::shared::Shared).
impl Exchange {
    pub(super) fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        if matches!(&self.stage, Stage::Asking(waiting) if waiting.asking.is(token)) {
            self.go_on(Some((status, size)));
        }
    }

    /// The exchange is over, whole or not.
    pub(super) fn over(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer.break_off();
        }
        self.abandon();
    }

    pub(super) fn on_http_request_headers(&mut self, ends: bool) -> Action {
        let head = RequestHead::new(self.host.request_headers());
        for name in head.names().filter(|name| name.starts_with(HEADER)) {
            self.host.remove_request_header(name);
        }
        let Some(policy) = self.policy.clone() else {
            return Action::Continue;
        };
        self.begin(&policy, &head, ends)
    }

    pub(super) fn on_http_request_body(&mut self, size: usize, ends: bool) -> Action {
        self.collect(size, ends)
    }

    pub(super) fn on_http_request_trailers(&mut self) -> Action {
        // A receiver may merge trailers into the headers.
        for name in self.host.request_trailer_names() {
            if name.starts_with(HEADER) {
                self.host.remove_request_trailer(&name);
            }
        }
        self.collected()
    }

    pub(super) fn on_http_response_headers(&mut self, ends: bool) {
        if let Some(answer) = &mut self.answer {
            answer.begin();
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
    }

    pub(super) fn on_http_response_body(&mut self, size: usize, ends: bool) {
        if let Some(answer) = &mut self.answer {
            answer.take(size, ends);
        }
        if ends {
            self.answered();
        }
    }

    pub(super) fn on_http_response_trailers(&mut self) {
        self.answered();
    }

    /// Takes what the whole answer says.
    fn answered(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer.end();
        }
    }
}

/// The ack to watch, where this is one of a consumer that a roll-out's candidate decides for.
fn watched(policy: &Policy, route: &Route, place: Place) -> Option<Ack> {
    let rollout = policy.rollout.as_ref().filter(|_| route.kind == Kind::Ack && place.side == Side::Candidate)?;
    Some(Ack::of(rollout, place.stage?))
}
