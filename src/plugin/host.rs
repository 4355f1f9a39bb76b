//! What the filter asks of its host.
//!
//! Each call leaves the virtual machine, and one that returns bytes re-enters it to allocate them: calls are the
//! filter's cost. The SDK panics on statuses that its host never gives for these calls, and on text that is not UTF-8 in
//! its string forms; so values are read as bytes here.
//!
//! `imports.txt` lists every call of the host with its use; the build takes all others out of the module.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, GrpcStatusCode, LogLevel, MapType, MetricType};

use crate::hash::HashMap;
use crate::http::Reply;
use crate::shared_memory::SharedMemory;
use crate::telemetry::{
    Counter, DECISION, DETAILS, Decision, Details, Duration as Took, Gauge, Label, Labels, LogBudget,
};

/// Envoy, as one exchange or the root context sees it.
#[derive(Clone, Copy, Default)]
pub(super) struct Host;

thread_local! {
    /// What this virtual machine may still log of shadow mode.
    static SHADOW_LINES: RefCell<LogBudget> = RefCell::new(LogBudget::default());
    /// The ids of the metrics that this virtual machine has defined; they outlive a policy.
    static COUNTERS: RefCell<HashMap<Counter, u32>> = RefCell::new(HashMap::default());
    static GAUGES: RefCell<HashMap<Gauge, u32>> = RefCell::new(HashMap::default());
    static DURATIONS: RefCell<HashMap<Took, u32>> = RefCell::new(HashMap::default());
    /// The values of labels that have series of their own.
    static LABELS: RefCell<Labels> = RefCell::new(Labels::default());
}

/// A version that no value has: the host counts writes up from 1. It takes any version for a missing key, and refuses this
/// one where somebody made the key meanwhile; with none, it would overwrite what that one wrote.
const ABSENT: u32 = u32::MAX;

impl SharedMemory for Host {
    fn get(&self, key: &str) -> (Vec<u8>, Option<u32>) {
        let (value, version) = hostcalls::get_shared_data(key).unwrap_or_default();
        (value.unwrap_or_default(), version)
    }

    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        hostcalls::set_shared_data(key, Some(value), Some(version.unwrap_or(ABSENT))).is_ok()
    }
}

impl Host {
    /// The policy as the host holds it: JSON, or a Struct's bytes. Readable only while the host configures the plugin.
    pub(super) fn configuration(self) -> Vec<u8> {
        let whole = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
        whole.ok().flatten().unwrap_or_default()
    }

    /// All headers of the request, pseudo-headers included.
    pub(super) fn request_headers(self) -> Vec<(String, Vec<u8>)> {
        hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default()
    }

    /// Removes every value of a request header.
    pub(super) fn remove_request_header(self, name: &str) {
        // The host refuses no removal: a header that is absent is removed already.
        let _ = hostcalls::remove_map_value(MapType::HttpRequestHeaders, name);
    }

    /// The names of the request's trailers.
    pub(super) fn request_trailer_names(self) -> Vec<String> {
        let trailers = hostcalls::get_map_bytes(MapType::HttpRequestTrailers).unwrap_or_default();
        trailers.into_iter().map(|(name, _)| name).collect()
    }

    /// Removes every value of a request trailer.
    pub(super) fn remove_request_trailer(self, name: &str) {
        let _ = hostcalls::remove_map_value(MapType::HttpRequestTrailers, name);
    }

    /// Replaces a request header.
    pub(super) fn set_request_header(self, name: &str, value: &str) {
        let _ = hostcalls::set_map_value(MapType::HttpRequestHeaders, name, Some(value));
    }

    /// The body that is buffered so far, at most `size` bytes. `None` where the host has none to give.
    pub(super) fn request_body(self, size: usize) -> Option<Vec<u8>> {
        hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size).ok()?
    }

    /// Replaces the first `size` bytes of the buffered body.
    pub(super) fn replace_request_body(self, size: usize, body: &[u8]) -> bool {
        hostcalls::set_buffer(BufferType::HttpRequestBody, 0, size, body).is_ok()
    }

    /// The response's status, or 0 where the host gives none.
    pub(super) fn response_status(self) -> u16 {
        let status = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, ":status");
        let status = status.ok().flatten().unwrap_or_default();
        core::str::from_utf8(&status).ok().and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// Where the response comes from, in Envoy's words.
    pub(super) fn response_details(self) -> Vec<u8> {
        self.property(&["response".to_owned(), "code_details".to_owned()]).unwrap_or_default()
    }

    /// The piece of the response's body that is passing, at most `size` bytes.
    pub(super) fn response_piece(self, size: usize) -> Vec<u8> {
        let piece = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size);
        piece.ok().flatten().unwrap_or_default()
    }

    /// Adds a header to the response.
    pub(super) fn add_response_header(self, name: &str, value: &str) {
        let _ = hostcalls::add_map_value(MapType::HttpResponseHeaders, name, value);
    }

    /// Answers in the broker's place; a request that is on its way already is reset.
    pub(super) fn reply(self, reply: &Reply) {
        let Some(status) = reply.grpc_status else {
            let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let _ = hostcalls::send_http_response(reply.status, headers, Some(reply.body.as_bytes()));
            return;
        };
        let status = match status {
            8 => GrpcStatusCode::ResourceExhausted,
            _ => GrpcStatusCode::InvalidArgument,
        };
        let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let _ = hostcalls::send_grpc_response(status, None, headers);
    }

    /// A property of the request or its connection.
    pub(super) fn property(self, path: &[String]) -> Option<Vec<u8>> {
        let path = path.iter().map(String::as_str).collect();
        hostcalls::get_property(path).ok()?
    }

    /// Tells access logs and spans of the request.
    pub(super) fn tell(self, details: &mut Details) {
        let _ = details.told(|text| hostcalls::set_property(vec![DETAILS], Some(text.as_bytes())));
    }

    /// Tells access logs and spans what was decided on the request.
    pub(super) fn tell_decision(self, decision: Decision) {
        let _ = hostcalls::set_property(vec![DECISION], Some(decision.name().as_bytes()));
    }

    /// The time, in Unix milliseconds.
    pub(super) fn now(self) -> u64 {
        self.now_nanos() / 1_000_000
    }

    /// The time, in Unix nanoseconds.
    pub(super) fn now_nanos(self) -> u64 {
        let since = hostcalls::get_current_time().ok().and_then(|now| now.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
    }

    /// Lets a request go on that was held.
    pub(super) fn resume_request(self) {
        let _ = hostcalls::resume_http_request();
    }

    /// Makes a gRPC call to `target`, a `GrpcService`, and returns its token. None where the host makes none.
    pub(super) fn call(
        self,
        target: &str,
        service: &str,
        method: &str,
        message: &[u8],
        timeout: Duration,
    ) -> Option<u32> {
        hostcalls::dispatch_grpc_call(target, service, method, Vec::new(), Some(message), timeout).ok()
    }

    /// The message that a gRPC call brought, at most `size` bytes.
    pub(super) fn call_response(self, size: usize) -> Vec<u8> {
        let message = hostcalls::get_buffer(BufferType::GrpcReceiveBuffer, 0, size);
        message.ok().flatten().unwrap_or_default()
    }

    /// Makes the context with this id the one that the calls to come are for, until the host's present call ends. False
    /// where it has none such.
    pub(super) fn act_for(self, context: u32) -> bool {
        hostcalls::set_effective_context(context).is_ok()
    }

    /// Asks for a call of the root context's `on_tick` at every `period`.
    pub(super) fn tick_every(self, period: Duration) {
        let _ = hostcalls::set_tick_period(period);
    }

    /// Adds one to a counter.
    pub(super) fn count(self, counter: Counter) {
        self.count_more(counter, 1);
    }

    /// Adds to a counter, if it is more than nothing.
    pub(super) fn count_more(self, counter: Counter, more: u64) {
        if more == 0 {
            return;
        }
        let counter = counter.bounded(|label, value| self.label(label, value));
        let id = COUNTERS.with_borrow_mut(|ids| metric(ids, counter, MetricType::Counter, Counter::name));
        if let Some(id) = id {
            let _ = hostcalls::increment_metric(id, i64::try_from(more).unwrap_or(i64::MAX));
        }
    }

    /// Sets a gauge.
    pub(super) fn gauge(self, gauge: Gauge, value: u64) {
        let gauge = gauge.bounded(|label, value| self.label(label, value));
        let id = GAUGES.with_borrow_mut(|ids| metric(ids, gauge, MetricType::Gauge, Gauge::name));
        if let Some(id) = id {
            let _ = hostcalls::record_metric(id, value);
        }
    }

    /// Sets a gauge to 0 where this virtual machine has set it.
    pub(super) fn clear(self, gauge: Gauge) {
        let gauge = gauge.bounded(|label, value| self.label(label, value));
        if let Some(id) = GAUGES.with_borrow(|ids| ids.get(&gauge).copied()) {
            let _ = hostcalls::record_metric(id, 0);
        }
    }

    /// Notes how long a request took, in milliseconds.
    pub(super) fn record(self, took: Took, millis: u64) {
        let id = DURATIONS.with_borrow_mut(|ids| metric(ids, took, MetricType::Histogram, Took::name));
        if let Some(id) = id {
            let _ = hostcalls::record_metric(id, millis);
        }
    }

    /// The value that a label shows for `value`.
    fn label(self, label: Label, value: &str) -> Rc<str> {
        LABELS.with_borrow_mut(|labels| labels.admit(&self, label, value))
    }

    /// Writes a line to Envoy's log that needs somebody's attention.
    pub(super) fn log_error(self, line: &str) {
        let _ = hostcalls::log(LogLevel::Error, line);
    }

    /// Writes what shadow mode would have done to Envoy's log, as far as the budget for such lines goes.
    pub(super) fn log_shadow(self, lines: &[String]) {
        for line in lines {
            match SHADOW_LINES.with_borrow_mut(|budget| budget.ask(self.now())) {
                Some(0) => self.log_info(line),
                Some(withheld) => self.log_info(&format!("{line} (and {withheld} more before)")),
                None => {}
            }
        }
    }

    /// Writes a line to Envoy's log.
    pub(super) fn log_info(self, line: &str) {
        let _ = hostcalls::log(LogLevel::Info, line);
    }
}

/// The host's id of a metric, which is defined at its first use.
fn metric<K: Eq + std::hash::Hash>(
    ids: &mut HashMap<K, u32>,
    key: K,
    kind: MetricType,
    name: impl FnOnce(&K) -> String,
) -> Option<u32> {
    if let Some(id) = ids.get(&key) {
        return Some(*id);
    }
    let id = hostcalls::define_metric(kind, &name(&key)).ok()?;
    ids.insert(key, id);
    Some(id)
}
