//! This virtual machine's part in the limits.

use std::cell::RefCell;

use crate::limit::Limiter;

thread_local! {
    /// The loans in its hand; they outlive a policy.
    static LIMITER: RefCell<Limiter> = RefCell::new(Limiter::default());
}

/// Gives `ask` this virtual machine's limiter.
pub(super) fn with_limiter<T>(ask: impl FnOnce(&mut Limiter) -> T) -> T {
    LIMITER.with_borrow_mut(ask)
}
