//! The fixed set of exchanges whose instructions are counted.

use ackguard::policy::Policy;
use ackguard::telemetry::Decision;

use crate::inputs::{self, BATCH, Request};
use crate::worker::{Served, Worker};

/// Something that a client does, and what a gateway does for it.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Its name.
    pub name: &'static str,
    policy: fn() -> Policy,
    steps: fn() -> Vec<Step>,
}

/// One request, the broker's answer to it, and what has to become of it.
#[derive(Clone, Debug)]
struct Step {
    request: Request,
    answer: Vec<u8>,
    outcome: Served,
}

impl Step {
    fn new(request: Request, answer: Vec<u8>, decision: Decision) -> Step {
        Step { request, answer, outcome: Served { decision: Some(decision), leases: 0 } }
    }

    /// The same, where the answer tells of so many leases.
    fn telling(self, leases: usize) -> Step {
        Step { outcome: Served { leases, ..self.outcome }, ..self }
    }
}

impl Exchange {
    /// Every exchange.
    pub const ALL: [Exchange; 14] = [
        Exchange::new("foreign", shipped, || vec![foreign()]),
        Exchange::new("publish", shipped, || vec![publish(Decision::Pass)]),
        Exchange::new("publish-limited", limited, || vec![publish(Decision::Pass)]),
        Exchange::new("publish-throttled", exhausted, || vec![publish(Decision::Reject)]),
        Exchange::new("subscribe", shipped, || vec![subscribe(inputs::SOUND, Decision::Pass)]),
        Exchange::new("subscribe-edited", shipped, || vec![subscribe(inputs::UNSOUND, Decision::Edit)]),
        Exchange::new("subscribe-refused", shipped, || vec![subscribe(inputs::REFUSED, Decision::Reject)]),
        Exchange::new("subscribe-1000-rules", ruled, || vec![subscribe(inputs::SOUND, Decision::Pass)]),
        Exchange::new("pull", shipped, || vec![pull()]),
        Exchange::new("pull-empty", shipped, || vec![empty_pull()]),
        Exchange::new("ack", shipped, || vec![ack()]),
        Exchange::new("heartbeat", shipped, || vec![heartbeat()]),
        Exchange::new("pull-and-ack-bounded", bounded, || vec![pull(), ack()]),
        Exchange::new("heartbeat-bounded", bounded, || vec![heartbeat().telling(BATCH)]),
    ];

    const fn new(name: &'static str, policy: fn() -> Policy, steps: fn() -> Vec<Step>) -> Exchange {
        Exchange { name, policy, steps }
    }

    /// The exchange of a name.
    pub fn named(name: &str) -> Option<Exchange> {
        Exchange::ALL.into_iter().find(|exchange| exchange.name == name)
    }

    /// Lets one worker do it so many times.
    ///
    /// # Panics
    /// When something else became of a request than has to: then what is counted is not what the name says.
    pub fn run(self, times: u64) {
        let mut worker = Worker::new((self.policy)());
        let steps = (self.steps)();
        for _ in 0..times {
            for Step { request, answer, outcome } in &steps {
                assert_eq!(worker.serve(request, answer), *outcome, "{}", self.name);
            }
        }
    }
}

fn shipped() -> Policy {
    inputs::policy("")
}

fn ruled() -> Policy {
    inputs::policy(&inputs::rules(1_000))
}

fn bounded() -> Policy {
    inputs::policy(&inputs::bound())
}

/// As many messages as the exchanges come to: the worker pays from loans, and seldom asks the bucket.
fn limited() -> Policy {
    inputs::policy(&inputs::limit(1_000_000, 1_000_000))
}

/// Less than one batch.
fn exhausted() -> Policy {
    inputs::policy(&inputs::limit(1, 8))
}

fn foreign() -> Step {
    Step { request: inputs::foreign(), answer: Vec::new(), outcome: Served { decision: None, leases: 0 } }
}

fn publish(decision: Decision) -> Step {
    Step::new(inputs::publish(), br#"{"results":[]}"#.to_vec(), decision)
}

fn subscribe(settings: &str, decision: Decision) -> Step {
    Step::new(inputs::subscribe(settings), inputs::subscribed(), decision)
}

fn pull() -> Step {
    Step::new(inputs::pull(), inputs::pulled(), Decision::Pass).telling(BATCH)
}

fn empty_pull() -> Step {
    Step::new(inputs::pull(), inputs::nothing_pulled(), Decision::Pass)
}

fn ack() -> Step {
    Step::new(inputs::ack(), inputs::acked(), Decision::Pass).telling(BATCH)
}

fn heartbeat() -> Step {
    Step::new(inputs::heartbeat(), inputs::extended(), Decision::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_the_names_say() {
        for exchange in Exchange::ALL {
            exchange.run(100);
        }
    }

    #[test]
    fn each_name_stands_once() {
        let mut names: Vec<_> = Exchange::ALL.iter().map(|exchange| exchange.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Exchange::ALL.len());
    }
}
