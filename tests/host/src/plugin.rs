//! The module in the interpreter, called as Envoy calls it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;

use serde_json::Value;
use stack::HostMode;
use wasmi::{AsContext as _, Engine, Instance, Linker, Module, Store, WasmParams, WasmResults};

use crate::calls::Calls;
use crate::host::{COUNTER, Host, Stream};
use crate::imports;
pub use crate::pairs::Headers;
use crate::traffic::{Exchange, Request};

/// The id of the root context.
const ROOT: u32 = 1;
/// Envoy's numbers for what a callback may return.
const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;
/// The yes of a rate limit service: `RateLimitResponse { overall_code: OK }`.
const WITHIN_LIMITS: [u8; 2] = [0x08, 0x01];

const NANOS_PER_MILLI: u64 = 1_000_000;
/// How long the broker takes to answer, and how long it is until the next request, in milliseconds.
const BROKER: u64 = 2;
const BETWEEN: u64 = 5;

/// The built filter, read once.
static FILTER: LazyLock<Module> = LazyLock::new(|| {
    let path = stack::wasm();
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: make wasm", path.display()));
    Module::new(&Engine::default(), bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
});

/// The filter with a policy, and a host of its own.
pub struct Plugin {
    store: Store<Host>,
    instance: Instance,
    mode: HostMode,
    last: u32,
}

/// A message as it left the filter: its head and the whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The headers, pseudo-headers among them.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

/// What became of an exchange, and what it took.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the broker got, if the request went on.
    pub upstream: Option<Message>,
    /// What the client got.
    pub response: Message,
    /// What access logs and spans were told.
    pub details: Option<String>,
    /// The calls of the host.
    pub calls: Calls,
}

impl Message {
    /// The first value of a header, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value);
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

impl Plugin {
    /// Starts the built filter with a policy, in a host that holds headers or does not.
    ///
    /// # Panics
    /// Where the filter is not built, imports other calls than the double has, or refuses the policy.
    #[must_use]
    pub fn start(mode: HostMode, policy: &Value) -> Self {
        let mut linker = Linker::new(FILTER.engine());
        imports::link(&mut linker, &FILTER).unwrap_or_else(|error| panic!("{error}"));
        let mut store = Store::new(FILTER.engine(), Host::new());
        let instance = linker.instantiate_and_start(&mut store, &FILTER).unwrap_or_else(|error| panic!("{error}"));
        let mut plugin = Plugin { store, instance, mode, last: ROOT };
        plugin.configure(policy.to_string().into_bytes());
        plugin
    }

    fn configure(&mut self, policy: Vec<u8>) {
        let size = size(&policy);
        self.call::<_, ()>(ROOT, "_initialize", ());
        self.call::<_, ()>(ROOT, "proxy_on_context_create", (ROOT, 0_u32));
        self.host().configuration = Some(policy);
        let is_accepted = self.call::<_, u32>(ROOT, "proxy_on_configure", (ROOT, size)) == 1;
        self.host().configuration = None;
        assert!(is_accepted, "the policy is refused: {:?}", self.host().log);
    }

    /// Plays an exchange from its start to its end.
    ///
    /// # Panics
    /// Where the filter traps, or lets the request hang.
    pub fn play(&mut self, Exchange { request, answer }: &Exchange) -> Outcome {
        self.host().calls = Calls::default();
        self.last += 1;
        let id = self.last;
        self.call::<_, ()>(id, "proxy_on_context_create", (id, ROOT));
        self.host().streams.insert(id, Stream::default());
        let upstream = self.request(id, request);
        let response = match &upstream {
            Some(_) => {
                self.host().now += BROKER * NANOS_PER_MILLI;
                self.response(id, answer.headers(), &answer.pieces)
            }
            // An answer of the filter's own passes it like any other.
            None => {
                let reply = self.stream(id).reply.clone().expect("a request that does not go on is answered");
                self.response(id, reply.headers, &[reply.body])
            }
        };
        self.call::<_, ()>(id, "proxy_on_delete", id);
        let host = self.host();
        let stream = host.streams.remove(&id).unwrap_or_default();
        let details = stream.filter_state.get("ackguard").map(|text| String::from_utf8_lossy(text).into_owned());
        host.now += BETWEEN * NANOS_PER_MILLI;
        Outcome { upstream, response, details, calls: std::mem::take(&mut host.calls) }
    }

    /// Calls the root's tick for a second, and returns what it asked of the host.
    ///
    /// # Panics
    /// Where no tick was asked for.
    pub fn second_of_ticks(&mut self) -> Calls {
        self.host().calls = Calls::default();
        let period = u64::from(self.host().tick_period.expect("a tick period"));
        for _ in 0..1_000 / period {
            self.host().now += period * NANOS_PER_MILLI;
            self.call::<_, ()>(ROOT, "proxy_on_tick", ROOT);
        }
        std::mem::take(&mut self.host().calls)
    }

    /// The counters that the filter has defined, with their values.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let counters = self.store.data().metrics.iter().filter(|metric| metric.kind == COUNTER);
        counters.map(|metric| (metric.name.clone(), metric.value)).collect()
    }

    /// Brings the request to the broker, if it gets there.
    fn request(&mut self, id: u32, request: &Request) -> Option<Message> {
        let ends = request.body.is_empty();
        let headers = request.headers();
        let count = u32::try_from(headers.len()).expect("few headers");
        self.stream(id).request = headers;
        let action = self.call(id, "proxy_on_request_headers", (id, count, u32::from(ends)));
        let is_held = self.waits(id, action, !ends && self.mode == HostMode::Held)?;
        let mut headers = self.stream(id).request.clone();
        if !ends {
            let size = size(&request.body);
            self.stream(id).request_body = Some(request.body.clone());
            let action = self.call(id, "proxy_on_request_body", (id, size, 1_u32));
            self.waits(id, action, false)?;
        }
        if is_held {
            headers = self.stream(id).request.clone();
        }
        Some(Message { headers, body: self.stream(id).request_body.take().unwrap_or_default() })
    }

    /// Sees to a request that a callback has let go on or not: whether it waits still, as it `may`. None where it is
    /// answered.
    fn waits(&mut self, id: u32, action: u32, may: bool) -> Option<bool> {
        if self.stream(id).reply.is_some() {
            return None;
        }
        for (context, token) in std::mem::take(&mut self.host().questions) {
            self.host().message = Some(WITHIN_LIMITS.to_vec());
            self.call::<_, ()>(context, "proxy_on_grpc_receive", (context, token, size(&WITHIN_LIMITS)));
            self.host().message = None;
        }
        let stream = self.stream(id);
        match action {
            CONTINUE => Some(false),
            PAUSE if std::mem::take(&mut stream.is_resumed) => Some(false),
            PAUSE if stream.reply.is_some() => None,
            PAUSE if may => Some(true),
            _ => panic!("the filter returned {action}, and nothing ends the wait"),
        }
    }

    fn response(&mut self, id: u32, headers: Headers, pieces: &[Vec<u8>]) -> Message {
        let count = u32::try_from(headers.len()).expect("few headers");
        self.stream(id).response = Some(headers);
        let ends = u32::from(pieces.is_empty());
        let mut actions = vec![self.call::<_, u32>(id, "proxy_on_response_headers", (id, count, ends))];
        for (index, piece) in pieces.iter().enumerate() {
            let ends = u32::from(index + 1 == pieces.len());
            self.stream(id).response_piece = Some(piece.clone());
            actions.push(self.call(id, "proxy_on_response_body", (id, size(piece), ends)));
            self.stream(id).response_piece = None;
        }
        assert!(actions.iter().all(|action| *action == CONTINUE), "a response is never held up: {actions:?}");
        Message { headers: self.stream(id).response.take().unwrap_or_default(), body: pieces.concat() }
    }

    fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    fn stream(&mut self, id: u32) -> &mut Stream {
        self.host().streams.get_mut(&id).expect("an exchange under way")
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, context: u32, callback: &str, arguments: P) -> R {
        self.host().context = context;
        let function = self.instance.get_typed_func::<P, R>(self.store.as_context(), callback);
        let function = function.unwrap_or_else(|error| panic!("{callback}: {error}"));
        function.call(&mut self.store, arguments).unwrap_or_else(|error| panic!("{callback}: {error}"))
    }
}

fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a small body")
}
