//! This virtual machine's part in the limits.

use std::cell::RefCell;

use crate::limit::{Limiter, Trouble};
use crate::telemetry::Counter;

use super::host::Host;

thread_local! {
    /// The loans in its hand; they outlive a policy.
    static LIMITER: RefCell<Limiter> = RefCell::new(Limiter::default());
}

/// Gives `ask` this virtual machine's limiter, and counts what went otherwise than it should.
pub(super) fn with_limiter<T>(host: Host, ask: impl FnOnce(&mut Limiter) -> T) -> T {
    let (asked, trouble) = LIMITER.with_borrow_mut(|limiter| (ask(limiter), limiter.trouble()));
    let Trouble { evicted, contended, lost } = trouble;
    host.count_more(Counter::LimitEvictions, u64::from(evicted));
    host.count_more(Counter::LimitContention, u64::from(contended));
    host.count_more(Counter::LimitLostWrites, u64::from(lost));
    asked
}
