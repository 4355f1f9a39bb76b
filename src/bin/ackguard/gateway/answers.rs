//! What a gateway learns from answers.

use ackguard::dialect::{Dialect, Route};
use ackguard::judgement::{self, Awaited, Effect, Guarded, Judgement, counts_leases};
use ackguard::lease::{self, Holder, Reservation};
use ackguard::operation::{Kind, LeaseChange, Tenant};
use ackguard::policy::Caller;
use ackguard::subscriptions;

use super::{Gateway, Judged};

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

impl Gateway<'_> {
    /// Learns from the answer to a request: which topic its consumer reads, what a pull owes to the limits, and which
    /// leases its group holds. `tenant` is asked for where that decides.
    pub(crate) fn answered(
        &mut self,
        judged: &Judged<'_>,
        tenant: impl FnOnce() -> Tenant,
        status: u16,
        answer: &[u8],
    ) {
        let is_success = (200..300).contains(&status);
        if let Judged::Guarded { guarded, judgement } = judged {
            self.charge(guarded.dialect, judgement, answer);
        }
        match judged {
            Judged::Foreign | Judged::Free { route: None, .. } => {}
            Judged::Free { dialect, route: Some(route) } if is_success => self.settle(*dialect, route, tenant, answer),
            Judged::Guarded { guarded, judgement } if is_success => {
                match &judgement.in_flight.awaited {
                    Some(Awaited { holder, reservation }) => {
                        let changes = changes(guarded.dialect, answer);
                        self.track(holder, reservation.map(|(reservation, _)| reservation), &changes);
                    }
                    // What this policy refuses settles nothing, whatever the recorded broker has answered.
                    None if matches!(judgement.effect(), Effect::Answer(_)) => {}
                    None => self.settle(guarded.dialect, &guarded.route, tenant, answer),
                }
                self.remember(guarded, judgement, answer);
            }
            Judged::Guarded { judgement, .. } => {
                if let Some(Awaited { holder, reservation: Some((reservation, _)) }) = &judgement.in_flight.awaited {
                    self.track(holder, Some(*reservation), &[]);
                }
            }
            Judged::Free { .. } => {}
        }
    }

    /// The time in Unix milliseconds.
    pub(super) fn millis(&self) -> u64 {
        self.now / NANOSECONDS_PER_MILLISECOND
    }

    /// Charges a pull for what it has brought.
    fn charge(&mut self, dialect: Dialect, judgement: &Judgement<'_>, answer: &[u8]) {
        let owed = judgement.owes();
        if owed.is_empty() {
            return;
        }
        let mut reader = dialect.answer_reader();
        // What cannot be read costs what was found until then.
        let _ = reader.push(answer, &mut |_| {});
        let bytes = u64::try_from(answer.len()).unwrap_or(u64::MAX);
        for charge in owed.iter().filter_map(|owed| owed.due(reader.tally().delivered, bytes)) {
            self.limiter.charge(&self.memory, &charge, self.now);
        }
    }

    /// Notes the leases that an ack, a reject or an extension has ended or moved.
    fn settle(&self, dialect: Dialect, route: &Route, tenant: impl FnOnce() -> Tenant, answer: &[u8]) {
        let Some(group) = &route.group else { return };
        if !self.policy.bounds_leases() || !matches!(route.kind, Kind::Ack | Kind::Reject | Kind::Extend) {
            return;
        }
        let (tenant, topic) = (tenant(), self.remembered(route));
        let side = judgement::side(self.policy, self.stage, &tenant, Some(group));
        let caller = Caller { tenant: &tenant, topic: topic.as_ref(), group: Some(group), dialect };
        if counts_leases(self.policy, side, &caller) {
            self.track(&Holder::new(dialect, group), None, &changes(dialect, answer));
        }
    }

    fn track(&self, holder: &Holder, reservation: Option<Reservation>, changes: &[LeaseChange]) {
        // What finds no room is not counted, as in the filter.
        let _ = lease::update(&self.memory, holder, reservation, changes, self.millis());
    }

    fn remember(&self, guarded: &Guarded, judgement: &Judgement<'_>, answer: &[u8]) {
        let Ok(operation) = &judgement.read else { return };
        if !self.policy.asks_topic() || operation.kind != Kind::Subscribe {
            return;
        }
        if let (Some(group), Some(topic)) = (&operation.group, &operation.topic)
            && let Some(consumer) = guarded.dialect.subscribed(answer)
        {
            subscriptions::remember(&self.memory, &group.0, &consumer.0, &topic.0);
        }
    }
}

/// What an answer says of leases, as far as it can be read.
fn changes(dialect: Dialect, answer: &[u8]) -> Vec<LeaseChange> {
    let mut changes = Vec::new();
    // What comes before a fault counts.
    let _ = dialect.answer_reader().push(answer, &mut |change| changes.push(change));
    changes
}
