//! The wait for the fleet's rate limit service, and its end.

use proxy_wasm::types::Action;

use crate::judgement::{Guarded, Judgement, Kept, judge};
use crate::limit::fleet::Call;
use crate::operation::Unreadable;
use crate::policy::Policy;
use crate::policy::limit::OnError;

use super::{Collected, Exchange, Stage};
use crate::plugin::fleet::Asking;
use crate::plugin::limits::with_limiter;
use crate::plugin::subscription::remembered_topic;

/// A request that waits for the fleet's service.
pub(super) struct Waiting {
    pub(super) request: Collected,
    /// The size of the body that is held, or why there is none.
    pub(super) body: Result<usize, Unreadable>,
    /// What the local limits have said.
    pub(super) limits: Kept,
    pub(super) asking: Asking,
}

impl Exchange {
    /// Gives up the wait for a client that has left: the request does not go on, and what it has paid goes back.
    pub(super) fn abandon(&mut self, policy: &Policy) {
        let Stage::Asking(waiting) = std::mem::replace(&mut self.stage, Stage::Passing) else { return };
        let Waiting { request, limits, asking, .. } = *waiting;
        asking.abandoned();
        let fault = Err(Unreadable::out_of_reach("read"));
        let mut judgement = judge(policy, &request.guarded, request.place.side, fault, || None);
        judgement.restore_limits(policy, limits);
        with_limiter(|limiter| judgement.refund_limits(limiter, &self.host, || self.host.now_nanos()));
    }

    /// Ends the wait for the fleet's service, from which nothing is heard.
    pub(in crate::plugin) fn unanswered(&mut self) {
        self.go_on(None);
    }

    /// Ends the wait with the host's answer, a gRPC status and the size of a message, or without; lets the request go on, or
    /// answers it.
    pub(super) fn go_on(&mut self, answer: Option<(u32, usize)>) {
        let stage = std::mem::replace(&mut self.stage, Stage::Passing);
        let (Stage::Asking(waiting), Some(policy)) = (stage, self.policy.clone()) else { return };
        let Waiting { request, body, limits, asking } = *waiting;
        let body = body.and_then(|size| self.held_body(size));
        let topic = || remembered_topic(self.host, &request.guarded.route);
        let body = body.as_deref().map_err(Clone::clone);
        let bytes = *body.as_ref().unwrap_or(&&[][..]);
        let mut judgement = judge(&policy, &request.guarded, request.place.side, body, topic);
        judgement.restore_limits(&policy, limits);
        match asking.ended(answer) {
            Ok((call, answer)) => {
                judgement.take_fleet_answer(&policy, &request.guarded, &call, &answer);
                self.headers = answer.headers;
            }
            Err(unanswered) => self.without_answer(&policy, &request.guarded, &mut judgement, &unanswered),
        }
        if self.carry_out(&policy, &request, judgement, bytes) == Action::Continue {
            self.host.resume_request();
        }
    }

    /// Does to a judgement what its limits say of a service that gives no answer.
    pub(super) fn without_answer(
        &self,
        policy: &Policy,
        guarded: &Guarded,
        judgement: &mut Judgement<'_>,
        call: &Call,
    ) {
        if call.on_error == OnError::Reject {
            judgement.refuse_without_answer(policy, guarded, call);
        }
    }
}
