//! Envoy with the built filter, and an upstream behind it that keeps every byte.

use std::net::SocketAddr;
use std::rc::Rc;

use serde_json::Value;
use stack::{Bootstrap, Clock, Envoy, HostMode, Protocol, Workers, listener};

use crate::client::Http1Client;
use crate::message::Message;
use crate::request::Request;
use crate::upstream::{Script, Upstream, empty_object};

/// Envoy's worker threads: two, so that nothing works because there is one.
pub const WORKERS: u32 = 2;

/// Both ways in which a host can hold a request.
pub const MODES: [HostMode; 2] = [HostMode::Held, HostMode::Streamed];

/// A gateway in the making: the shipped `static.yaml` with its policy, in front of an HTTP/1.1 upstream.
#[derive(Clone)]
pub struct Setup {
    bootstrap: Bootstrap,
    mode: HostMode,
    protocol: Protocol,
    script: Script,
    clock: Option<Rc<Clock>>,
}

impl Setup {
    /// The shipped configuration in `mode`.
    ///
    /// # Panics
    /// Where the filter is not built.
    #[must_use]
    pub fn new(mode: HostMode) -> Self {
        Setup {
            bootstrap: shipped("static.yaml").host_mode(mode),
            mode,
            protocol: Protocol::Http1,
            script: empty_object,
            clock: None,
        }
    }

    /// Changes the policy.
    #[must_use]
    pub fn policy(self, edit: impl FnOnce(&mut Value)) -> Self {
        self.bootstrap(|bootstrap| bootstrap.edit_policy(edit))
    }

    /// Sets the HTTP that Envoy speaks to the upstream.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets what the upstream answers.
    #[must_use]
    pub fn script(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// Sets the clock that Envoy goes by.
    #[must_use]
    pub fn clock(mut self, clock: Rc<Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Changes anything else.
    #[must_use]
    pub fn bootstrap(mut self, edit: impl FnOnce(Bootstrap) -> Bootstrap) -> Self {
        self.bootstrap = edit(self.bootstrap);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// Where Envoy does not start.
    pub async fn start(self) -> Gateway {
        let upstream = Upstream::start(self.protocol, self.script).await;
        // The upstream keeps every request, and a test knows of each.
        let bootstrap = self.bootstrap.without_health_checks();
        let bootstrap = named(bootstrap.upstream(upstream.address(), self.protocol));
        let envoy = Envoy::start_by(self.clock.as_deref(), bootstrap, Workers(WORKERS)).await;
        let envoy = envoy.unwrap_or_else(|failure| panic!("{failure}"));
        Gateway { envoy, upstream, mode: self.mode }
    }
}

/// The configuration `envoy/<file>` with the built filter.
///
/// # Panics
/// Where the filter is not built.
#[must_use]
pub fn shipped(file: &str) -> Bootstrap {
    let module = stack::wasm();
    assert!(module.is_file(), "{} is missing: make wasm", module.display());
    Bootstrap::load(file).unwrap_or_else(|error| panic!("{error}"))
}

/// A running gateway. It ends when this is dropped.
pub struct Gateway {
    /// Envoy.
    pub envoy: Envoy,
    /// What stands behind it.
    pub upstream: Upstream,
    /// How it holds requests.
    pub mode: HostMode,
}

/// Runs `test` in either host mode, on a gateway that `setup` makes, and checks that the gateway is sound at the end.
pub async fn in_both_modes(setup: impl Fn(Setup) -> Setup, test: impl AsyncFn(&Gateway)) {
    for mode in MODES {
        let gateway = setup(Setup::new(mode)).start().await;
        test(&gateway).await;
        gateway.finish().await;
    }
}

impl Gateway {
    /// Sends a request through the guarded listener, on a connection of its own, and returns the response.
    pub async fn guarded(&self, request: &[u8]) -> Message {
        exchange(self.envoy.guarded(), request).await
    }

    /// The same through the bare listener.
    pub async fn bare(&self, request: &[u8]) -> Message {
        exchange(self.envoy.bare(), request).await
    }

    /// What the upstream receives of `request` through the bare listener: what Envoy alone makes of it.
    pub async fn reference(&self, request: &[u8]) -> Message {
        self.bare(request).await;
        self.upstream.take().await
    }

    /// Sends a request through the guarded listener and says whether it went on, as [`Gateway::went_on`] does.
    pub async fn passes(&self, request: &[u8]) -> bool {
        let response = self.guarded(request).await;
        self.went_on(&response).await.is_some()
    }

    /// What the upstream has received of a request that was answered with `response`, if it went on; none where it was
    /// throttled.
    ///
    /// # Panics
    /// Where it was answered otherwise.
    pub async fn went_on(&self, response: &Message) -> Option<Message> {
        match response.head.status() {
            200 => Some(self.upstream.take().await),
            429 => None,
            status => panic!("status {status}: {response:?}"),
        }
    }

    /// The filter's counter `name`.
    pub async fn count(&self, name: &str) -> u64 {
        count(&self.envoy, name).await
    }

    /// Envoy's counter or gauge `name`.
    pub async fn stat(&self, name: &str) -> u64 {
        stat(&self.envoy, name).await
    }

    /// How many connections each worker has accepted at the guarded listener.
    pub async fn connections(&self) -> Vec<u64> {
        connections(&self.envoy).await
    }

    /// Sends `request` on new connections until every worker has served one, and returns the responses.
    ///
    /// # Panics
    /// Where a worker gets none of many connections.
    pub async fn by_every_worker(&self, request: &[u8]) -> Vec<Message> {
        const MANY: usize = 200;
        let before = self.connections().await;
        let mut responses = Vec::new();
        while responses.len() < MANY {
            responses.push(self.guarded(request).await);
            let now = self.connections().await;
            if before.iter().zip(&now).all(|(before, now)| before < now) {
                return responses;
            }
        }
        panic!("of {MANY} connections, each worker got {:?} more than {before:?}", self.connections().await)
    }

    /// Ends the gateway and checks that it was sound to its end, as [`Gateway::end`] does, and that Envoy had nothing to
    /// complain of.
    ///
    /// # Panics
    /// Where it had.
    pub async fn finish(self) {
        assert_eq!(self.envoy.warnings(), Vec::<String>::new(), "Envoy's log");
        self.end().await;
    }

    /// Ends the gateway and checks that it was sound to its end: every worker serves, no VM was trapped, and the
    /// upstream received nothing that the test does not know of: no whole request, and of refused ones nothing where
    /// headers are held, at most the head where they are not.
    ///
    /// # Panics
    /// Where it was not.
    pub async fn end(self) {
        for response in self.by_every_worker(&Request::new("GET", "/healthz").bodiless()).await {
            assert_eq!(response.head.status(), 200, "{response:?}");
            assert_eq!(self.upstream.take().await.head.path(), "/healthz", "a request that no test expects");
        }
        untrapped(&self.envoy).await;
        let Gateway { envoy, upstream, mode } = self;
        drop(envoy);
        let remains = upstream.end().await;
        assert_eq!(remains.whole, [], "whole requests that no test expects");
        for broken in remains.broken {
            assert!(mode == HostMode::Streamed, "{mode:?}: the upstream saw part of a request: {broken:?}");
            assert!(broken.body.is_empty(), "{mode:?}: the upstream saw part of a refused body: {broken:?}");
        }
    }
}

/// Gives the guarded listener statistics of its own, which [`connections`] reads: listeners at any free port share theirs
/// otherwise.
#[must_use]
pub fn named(bootstrap: Bootstrap) -> Bootstrap {
    bootstrap.with(|document| listener(document, "guarded")["stat_prefix"] = "guarded".into())
}

/// The filter's counter `name` in an Envoy.
pub async fn count(envoy: &Envoy, name: &str) -> u64 {
    stat(envoy, &format!("wasmcustom.{name}")).await
}

/// An Envoy's counter or gauge `name`.
///
/// # Panics
/// Where its admin gives no answer.
pub async fn stat(envoy: &Envoy, name: &str) -> u64 {
    envoy.stat(name).await.unwrap_or_else(|error| panic!("{error}"))
}

/// How many connections each of an Envoy's [`WORKERS`] has accepted at the guarded listener, of a [`named`] bootstrap.
pub async fn connections(envoy: &Envoy) -> Vec<u64> {
    let mut all = Vec::new();
    for worker in 0..WORKERS {
        all.push(stat(envoy, &format!("listener.guarded.worker_{worker}.downstream_cx_total")).await);
    }
    all
}

/// Checks that no VM of an Envoy was trapped.
///
/// # Panics
/// Where one was.
pub async fn untrapped(envoy: &Envoy) {
    let reloads = envoy.stats("vm_reload").await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!reloads.is_empty() && reloads.values().all(|count| *count == 0), "a VM was trapped: {reloads:?}");
}

/// Sends a request on a connection of its own, and returns the response.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Message {
    let mut client = Http1Client::open(address).await;
    client.send(request).await;
    let method = request.split(|byte| *byte == b' ').next().unwrap_or_default();
    client.response_to(&String::from_utf8_lossy(method)).await
}
