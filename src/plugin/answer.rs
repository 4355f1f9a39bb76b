//! The broker's answer to a request that went on, and all that is learned from it. It is read once, as it passes, and never
//! held up.
//!
//! ```text
//! Answer ─ headers: begin ─▶ how long it took ─ body: take … ─▶ end ─▶ deliveries, late acks, leases, what limits are owed,
//!    │                                            │                    a consumer's topic, a roll-out's health, the details
//!    └── the exchange is over before ─────────────┴─▶ break_off
//! ```

use crate::dialect::{AnswerReader, Dialect, Tally};
use crate::operation::{Kind, LeaseChange};
use crate::policy::{Policy, Telemetry};
use crate::telemetry::{Counter, Details, Duration, Ending};

use super::ack::Ack;
use super::brought::Brought;
use super::host::Host;
use super::in_flight::InFlight;
use super::subscription::Subscription;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// How much of an answer is read where only metrics and details ask for it, in bytes: some dozens of messages. What a pull
/// of a megabyte brings beyond that is not worth its copy.
const READ_FOR_METRICS: usize = 64 * 1024;
/// The longest answer that tells of no message, in bytes: an empty list and what stands around it.
const EMPTY: usize = 32;

/// The answer to one request.
pub(super) struct Answer {
    host: Host,
    dialect: Dialect,
    kind: Kind,
    /// Whether metrics, logs and spans are told of it.
    is_told: bool,
    /// When the request went on, in Unix nanoseconds, where it matters how long the broker takes.
    since: Option<u64>,
    details: Option<Details>,
    subscription: Option<Subscription>,
    ack: Option<Ack>,
    in_flight: Option<InFlight>,
    brought: Option<Brought>,
    has_begun: bool,
    /// None where nobody asks what it says, or where it could not be read any further.
    reader: Option<Box<AnswerReader>>,
    /// How many bytes of its body have come.
    come: usize,
    /// How many of them are read.
    most: usize,
}

/// What is to be learned from an answer.
#[derive(Default)]
pub(super) struct Lessons {
    /// What is told of the request, where anything is.
    pub(super) details: Option<Details>,
    /// The consumer that it names.
    pub(super) subscription: Option<Subscription>,
    /// The ack that a roll-out's health is told by.
    pub(super) ack: Option<Ack>,
    /// The leases that it tells of.
    pub(super) in_flight: Option<InFlight>,
    /// What limits are owed for it.
    pub(super) brought: Option<Brought>,
}

impl Answer {
    /// The answer to a request that goes on now, where anything is to be learned from it.
    pub(super) fn awaited(
        host: Host,
        policy: &Policy,
        (dialect, kind): (Dialect, Kind),
        lessons: Lessons,
    ) -> Option<Box<Self>> {
        let Lessons { details, subscription, ack, in_flight, brought } = lessons;
        let is_told = policy.telemetry == Telemetry::Full;
        let is_timed = is_told || ack.is_some();
        let is_asked = is_timed || subscription.is_some() || in_flight.is_some() || brought.is_some();
        is_asked.then(|| {
            Box::new(Answer {
                host,
                dialect,
                kind,
                is_told,
                since: is_timed.then(|| host.now_nanos()),
                details,
                subscription,
                ack,
                in_flight,
                brought,
                has_begun: false,
                reader: None,
                come: 0,
                most: 0,
            })
        })
    }

    /// Takes the head of the answer.
    pub(super) fn begin(&mut self) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let status = self.host.response_status();
        let is_success = (200..300).contains(&status);
        self.time(status);
        if is_success {
            let is_told = self.is_told && matches!(self.kind, Kind::Pull | Kind::Ack);
            let is_counted = self.brought.as_ref().is_some_and(|brought| brought.counts_messages());
            self.most = match () {
                () if self.in_flight.is_some() || self.ack.is_some() || is_counted => usize::MAX,
                () if is_told => READ_FOR_METRICS,
                () => 0,
            };
            self.reader = (self.most > 0).then(|| Box::new(self.dialect.answer_reader()));
        } else {
            self.subscription = None;
            if let Some(ack) = self.ack.take() {
                ack.count(true);
            }
            if let Some(in_flight) = self.in_flight.take() {
                in_flight.end(self.host);
            }
        }
    }

    /// Notes how long the broker took.
    fn time(&mut self, status: u16) {
        let Some(since) = self.since else { return };
        let millis = self.host.now_nanos().saturating_sub(since) / NANOS_PER_MILLI;
        if let Some(ack) = &mut self.ack {
            ack.took(millis);
        }
        if self.is_told {
            let ending = Ending::of(status, || self.host.response_details());
            self.host.record(Duration::of(self.dialect, self.kind, ending), millis);
        }
    }

    /// Takes the next piece of its body, of so many bytes; it is the last one where the body `ends` with it.
    pub(super) fn take(&mut self, size: usize, ends: bool) {
        if let Some(brought) = &mut self.brought {
            brought.take(size);
        }
        let is_for_metrics = self.most == READ_FOR_METRICS;
        if self.kind == Kind::Pull && is_for_metrics && self.come == 0 && ends && size <= EMPTY {
            self.reader = None;
        }
        let left = self.reader.as_ref().map_or(0, |_| self.most.saturating_sub(self.come));
        self.come = self.come.saturating_add(size);
        let taken = if self.subscription.is_some() { size } else { size.min(left) };
        if taken == 0 {
            return;
        }
        let piece = self.host.response_piece(taken);
        if let Some(subscription) = self.subscription.take() {
            self.subscription = subscription.take(self.host, &piece);
        }
        if left > 0 {
            self.read(&piece);
        }
    }

    fn read(&mut self, piece: &[u8]) {
        let Answer { details, in_flight, reader: slot, .. } = self;
        let Some(reader) = slot else { return };
        let told = &mut |change: LeaseChange| {
            if let Some(details) = details {
                details.take(change.receipt());
            }
            if let Some(in_flight) = in_flight {
                in_flight.take(change);
            }
        };
        if reader.push(piece, told).is_ok() {
            return;
        }
        let tally = reader.tally();
        *slot = None;
        self.tell(tally);
        self.count_unread();
        if let Some(brought) = &mut self.brought {
            brought.found(tally.delivered);
        }
        if let Some(ack) = self.ack.take() {
            // By its status.
            ack.count(false);
        }
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.give_up(self.host);
        }
    }

    /// Takes the end of the answer.
    pub(super) fn end(mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.end(self.host);
        }
        let (tally, is_whole) = self.tally();
        if self.reader.is_some() && !is_whole && (1..=self.most).contains(&self.come) {
            self.count_unread();
        }
        if let Some(ack) = self.ack.take() {
            ack.count(is_whole && tally.refused > 0);
        }
        if let Some(in_flight) = self.in_flight.take() {
            if is_whole { in_flight.end(self.host) } else { in_flight.give_up(self.host) }
        }
        self.close(tally);
    }

    /// The exchange is over, and the answer has not come to its end.
    pub(super) fn break_off(mut self) {
        if let (Some(since), false) = (self.since, self.has_begun) {
            let millis = self.host.now_nanos().saturating_sub(since) / NANOS_PER_MILLI;
            if let Some(ack) = self.ack.take() {
                ack.left(millis);
            }
            if self.is_told {
                self.host.record(Duration::of(self.dialect, self.kind, Ending::Left), millis);
            }
        }
        let (tally, _) = self.tally();
        if let Some(in_flight) = self.in_flight.take() {
            if self.has_begun { in_flight.break_off(self.host) } else { in_flight.end(self.host) }
        }
        self.close(tally);
    }

    /// What the reader has found, and whether that is all there was.
    fn tally(&self) -> (Tally, bool) {
        let read = self.reader.as_ref().map(|reader| (reader.tally(), reader.end().is_ok()));
        read.unwrap_or_default()
    }

    fn close(mut self, tally: Tally) {
        self.tell(tally);
        if let Some(mut details) = self.details.take().filter(Details::has_receipts) {
            self.host.tell(&mut details);
        }
        if let Some(mut brought) = self.brought.take() {
            brought.found(tally.delivered);
            brought.end(self.host);
        }
    }

    /// Counts what was found.
    fn tell(&self, tally: Tally) {
        if !self.is_told {
            return;
        }
        let Tally { delivered, redelivered, last, late, .. } = tally;
        for (counter, more) in [
            (Counter::Deliveries(self.dialect), delivered),
            (Counter::Redeliveries(self.dialect), redelivered),
            (Counter::LastAttempts(self.dialect), last),
            (Counter::LateAcks(self.dialect), if self.kind == Kind::Ack { late } else { 0 }),
        ] {
            self.host.count_more(counter, more);
        }
    }

    /// Counts an answer of which not all could be read.
    fn count_unread(&self) {
        if self.is_told && matches!(self.kind, Kind::Pull | Kind::Ack) {
            self.host.count(Counter::UnreadAnswers(self.dialect));
        }
    }
}
