//! The leases that an answer tells of: those that a pull brings, those that an ack, a reject or an extension ends or moves.

use crate::dialect::{Dialect, LeaseReader, Route};
use crate::judgement::{Awaited, counts_leases};
use crate::lease::{self, Holder, Reservation, Tracked};
use crate::operation::{Kind, LeaseChange, Receipt, Tenant};
use crate::policy::rollout::Side;
use crate::policy::{Caller, Policy};
use crate::telemetry::Counter;

use super::answer::remembered_topic;
use super::host::Host;

/// The most leases that are taken from one answer: the largest bound, and more than a broker takes in one request.
const MAX_CHANGES: usize = 10_000;

/// An answer that is on its way. It is read as it passes and never held up.
pub(super) struct InFlight {
    holder: Holder,
    /// What is set aside for a pull, and how many messages that are.
    reservation: Option<(Reservation, u32)>,
    reader: LeaseReader,
    changes: Vec<LeaseChange>,
    /// Whether the broker has begun to answer, and with success.
    begun: bool,
}

impl InFlight {
    /// The answer to a pull that goes on.
    pub(super) fn awaited(dialect: Dialect, awaited: Awaited) -> Self {
        let Awaited { holder, reservation } = awaited;
        InFlight { holder, reservation, reader: dialect.lease_reader(), changes: Vec::new(), begun: false }
    }

    /// The answer to an ack, a reject or an extension that goes on, where the leases of its group are counted.
    pub(super) fn settling(
        host: Host,
        policy: &Policy,
        dialect: Dialect,
        route: &Route,
        caller: impl FnOnce() -> (Tenant, Side),
    ) -> Option<Self> {
        if !policy.bounds_leases() || !matches!(route.kind, Kind::Ack | Kind::Reject | Kind::Extend) {
            return None;
        }
        let group = route.group.as_ref()?;
        let (tenant, side) = caller();
        let topic = if policy.asks_topic() { remembered_topic(host, route) } else { None };
        let caller = Caller { tenant: &tenant, topic: topic.as_ref(), group: Some(group), dialect };
        let awaited = || Awaited { holder: Holder::new(dialect, group), reservation: None };
        counts_leases(policy, side, &caller).then(|| InFlight::awaited(dialect, awaited()))
    }

    /// Takes the answer's status. None where it tells of no leases.
    pub(super) fn answered(mut self, host: Host, success: bool) -> Option<Self> {
        if success {
            self.begun = true;
            return Some(self);
        }
        self.share(host);
        None
    }

    /// Takes the next piece of the answer's body; gives up where it cannot be read.
    pub(super) fn take(mut self, host: Host, piece: &[u8]) -> Option<Self> {
        let InFlight { reader, changes, .. } = &mut self;
        let mut room = true;
        let mut told = |change| {
            room = changes.len() < MAX_CHANGES;
            if room {
                changes.push(change);
            }
        };
        if reader.push(piece, &mut told).is_ok() && room {
            return Some(self);
        }
        self.give_up(host);
        None
    }

    /// Shares what the whole answer told.
    pub(super) fn end(self, host: Host) {
        if self.reader.end().is_ok() { self.share(host) } else { self.give_up(host) }
    }

    /// Shares what the answer told before it broke off, be it that the client went away.
    pub(super) fn break_off(mut self, host: Host) {
        if let (true, Some((_, messages))) = (self.begun, self.reservation) {
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

    /// Counts an answer whose leases cannot all be counted.
    fn give_up(self, host: Host) {
        host.count(Counter::LeaseEvictions);
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
