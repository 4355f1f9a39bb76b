//! The leases that an answer tells of: those that a pull brings, those that an ack, a reject or an extension ends or moves.

use crate::dialect::{Dialect, Route};
use crate::judgement::{Awaited, counts_leases};
use crate::lease::{self, Holder, Reservation, Tracked};
use crate::operation::{Kind, LeaseChange, Receipt, Tenant, Topic};
use crate::policy::rollout::Side;
use crate::policy::{Caller, Policy};
use crate::telemetry::Counter;

use super::host::Host;

/// The most leases that are taken from one answer: the largest bound, and more than a broker takes in one request.
const MAX_CHANGES: usize = 10_000;

/// What an answer tells of its group's leases.
pub(super) struct InFlight {
    holder: Holder,
    /// What is set aside for a pull, and how many messages that are.
    reservation: Option<(Reservation, u32)>,
    changes: Vec<LeaseChange>,
    has_room: bool,
}

impl InFlight {
    /// Those of a pull that goes on.
    pub(super) fn awaited(Awaited { holder, reservation }: Awaited) -> Self {
        InFlight { holder, reservation, changes: Vec::new(), has_room: true }
    }

    /// Those of an ack, a reject or an extension that goes on, where the leases of its group are counted. `topic` is asked
    /// for where that may decide.
    pub(super) fn settling(
        policy: &Policy,
        dialect: Dialect,
        route: &Route,
        (tenant, side): (&Tenant, Side),
        topic: impl FnOnce() -> Option<Topic>,
    ) -> Option<Self> {
        if !policy.bounds_leases() || !matches!(route.kind, Kind::Ack | Kind::Reject | Kind::Extend) {
            return None;
        }
        let group = route.group.as_ref()?;
        let topic = topic();
        let caller = Caller { tenant, topic: topic.as_ref(), group: Some(group), dialect };
        let awaited = || Awaited { holder: Holder::new(dialect, group), reservation: None };
        counts_leases(policy, side, &caller).then(|| InFlight::awaited(awaited()))
    }

    /// Takes what the answer tells of one lease.
    pub(super) fn take(&mut self, change: LeaseChange) {
        self.has_room = self.changes.len() < MAX_CHANGES;
        if self.has_room {
            self.changes.push(change);
        }
    }

    /// Shares what the answer told: all of it, or nothing where it was no success.
    pub(super) fn end(self, host: Host) {
        if !self.has_room {
            host.count(Counter::LeaseEvictions);
        }
        self.share(host);
    }

    /// Shares what the answer told before it could not be read any further.
    pub(super) fn give_up(self, host: Host) {
        host.count(Counter::LeaseEvictions);
        self.share(host);
    }

    /// Shares what an answer of success told before it broke off, be it that the client went away.
    pub(super) fn break_off(mut self, host: Host) {
        if let Some((_, messages)) = self.reservation {
            // The broker has delivered, and only it knows how much: what was set aside is taken for it.
            let Some(LeaseChange::Begun { ack_timeout, .. }) = self.changes.last().copied() else {
                // For how long is not known either: what was set aside lapses by itself.
                return;
            };
            let told = u32::try_from(self.changes.len()).unwrap_or(u32::MAX);
            for untold in told..messages {
                let receipt = Receipt::of(&format!("untold {:?} {untold}", self.reservation));
                self.changes.push(LeaseChange::Begun { receipt, ack_timeout });
            }
        }
        self.share(host);
    }

    fn share(self, host: Host) {
        let reservation = self.reservation.map(|(reservation, _)| reservation);
        match lease::update(&host, &self.holder, reservation, &self.changes, host.now()) {
            Tracked::Whole => {}
            Tracked::Partly => host.count(Counter::LeaseEvictions),
        }
    }
}
