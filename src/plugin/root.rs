//! The root context: one for each worker and policy. It compiles the policy and makes the exchanges.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::policy::Policy;

use super::exchange::Exchange;
use super::host::Host;

/// The root context. It has no policy until the host configured it; until then, everything passes.
#[derive(Default)]
pub(super) struct Root {
    host: Host,
    policy: Option<Rc<Policy>>,
}

impl Context for Root {}

impl RootContext for Root {
    /// Takes a policy, or refuses it and logs every fault. A pure function of the configuration: Envoy runs it first on
    /// a canary and then on every worker, and they must agree.
    fn on_configure(&mut self, _size: usize) -> bool {
        match Policy::parse(&self.host.configuration()) {
            Ok(policy) => {
                self.policy = Some(Rc::new(policy));
                true
            }
            Err(faults) => {
                let count = faults.count();
                let noun = if count == 1 { "fault" } else { "faults" };
                self.host.log_error(&format!("ackguard: policy refused, {count} {noun}"));
                for fault in faults.to_string().lines() {
                    self.host.log_error(&format!("ackguard: {fault}"));
                }
                false
            }
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let policy = self.policy.clone();
        Some(Box::new(Exchange::new(self.host, policy)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
