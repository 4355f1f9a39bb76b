//! The wait for the fleet's rate limit service, and its end.

use proxy_wasm::types::Action;

use crate::judgement::{Limits, judge};
use crate::operation::Unreadable;

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
    pub(super) limits: Limits,
    pub(super) asking: Asking,
}

impl Exchange {
    /// Gives up the wait for a client that has left: the request does not go on, and what it has paid goes back.
    pub(super) fn abandon(&mut self) {
        let Stage::Asking(waiting) = std::mem::replace(&mut self.stage, Stage::Passing) else { return };
        let Waiting { mut limits, asking, .. } = *waiting;
        asking.abandoned();
        let refund = |limiter: &mut _| limits.refund(limiter, &self.host, || self.host.now_nanos());
        with_limiter(self.host, refund);
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
        judgement.limits = limits;
        let (call, answer) = asking.ended(answer);
        judgement.take_fleet_answer(&policy, &request.guarded, &call, &answer);
        self.headers = answer.headers;
        if self.carry_out(&policy, &request, judgement, bytes) == Action::Continue {
            self.host.resume_request();
        }
    }
}
