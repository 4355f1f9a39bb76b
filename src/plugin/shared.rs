//! An exchange as the host calls it. The root's tick reaches it too, where it waits for an answer that does not come.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::exchange::Exchange;

/// An exchange that two can reach: the host calls one of them at a time, and no call of the host comes within another.
pub(super) struct Shared(pub(super) Rc<RefCell<Exchange>>);

/// The host tells of an exchange's end twice, when it is done and when its context goes. One of them is enough, and each is
/// a way into the virtual machine that every request pays for.
impl Drop for Shared {
    fn drop(&mut self) {
        self.0.borrow_mut().over();
    }
}

impl Context for Shared {
    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        self.0.borrow_mut().on_grpc_call_response(token, status, size);
    }
}

impl HttpContext for Shared {
    fn on_http_request_headers(&mut self, _count: usize, ends: bool) -> Action {
        self.0.borrow_mut().on_http_request_headers(ends)
    }

    fn on_http_request_body(&mut self, size: usize, ends: bool) -> Action {
        self.0.borrow_mut().on_http_request_body(size, ends)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.0.borrow_mut().on_http_request_trailers()
    }

    fn on_http_response_headers(&mut self, _count: usize, ends: bool) -> Action {
        self.0.borrow_mut().on_http_response_headers(ends);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, ends: bool) -> Action {
        self.0.borrow_mut().on_http_response_body(size, ends);
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.0.borrow_mut().on_http_response_trailers();
        Action::Continue
    }
}
