//! The service: asks the store, and says what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use limitador::CheckResult;
use tonic::{Request, Response, Status};

use crate::limits::Limits;
use crate::message::{
    self, Code, Descriptor, DescriptorStatus, HeaderValue, RateLimit, RateLimitRequest, RateLimitResponse, Unit,
};
use crate::store::{Counted, Store};

/// What answers.
#[derive(Clone)]
pub(crate) struct RateLimitService {
    pub(crate) limits: Arc<Limits>,
    pub(crate) store: Store,
    pub(crate) calls: Arc<AtomicU64>,
    pub(crate) hanging: Arc<tokio::sync::watch::Sender<bool>>,
}

impl RateLimitService {
    pub(crate) async fn should_rate_limit(
        self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        // The sender is here: the channel does not close.
        let _ = self.hanging.subscribe().wait_for(|hangs| !hangs).await;
        let RateLimitRequest { domain, descriptors, hits_addend } = request.into_inner();
        if domain.is_empty() || descriptors.is_empty() {
            return Err(Status::invalid_argument("a request needs a domain and a descriptor"));
        }
        let mut counted = Vec::new();
        for descriptor in &descriptors {
            let counters =
                self.limits.counters(&domain, descriptor).map_err(|error| Status::internal(error.to_string()))?;
            let count = self.store.count(counters, cost(descriptor, hits_addend)).await;
            counted.push(count.map_err(|error| Status::unavailable(error.to_string()))?);
        }
        Ok(Response::new(answer(counted)))
    }
}

/// What a descriptor costs.
fn cost(descriptor: &Descriptor, shared: u32) -> u64 {
    descriptor.hits_addend.unwrap_or(u64::from(shared.max(1)))
}

/// What is told of the descriptors, each of which has its counters.
fn answer(descriptors: Vec<Vec<Counted>>) -> RateLimitResponse {
    let statuses = descriptors.iter().map(|counted| status(counted)).collect();
    let counted: Vec<Counted> = descriptors.into_iter().flatten().collect();
    let limited = counted.iter().any(|counted| !counted.room);
    let counters = counted.into_iter().map(|counted| counted.counter).collect();
    let headers = CheckResult { limited, counters, limit_name: None }.response_header();
    let code = if limited { Code::OverLimit } else { Code::Ok };
    RateLimitResponse {
        overall_code: code.into(),
        statuses,
        response_headers_to_add: headers.into_iter().map(|(key, value)| HeaderValue { key, value }).collect(),
    }
}

/// The status of a descriptor: that of its counter with the least room.
fn status(counted: &[Counted]) -> DescriptorStatus {
    let Some(least) = counted.iter().min_by_key(|counted| (counted.room, counted.counter.remaining())) else {
        return DescriptorStatus { code: Code::Ok.into(), ..DescriptorStatus::default() };
    };
    let counter = &least.counter;
    let code = if least.room { Code::Ok } else { Code::OverLimit };
    let unit = match counter.limit().seconds() {
        1 => Unit::Second,
        60 => Unit::Minute,
        3_600 => Unit::Hour,
        86_400 => Unit::Day,
        _ => Unit::Unknown,
    };
    DescriptorStatus {
        code: code.into(),
        current_limit: Some(RateLimit {
            requests_per_unit: saturated(counter.max_value()),
            unit: unit.into(),
            name: counter.limit().name().unwrap_or_default().to_owned(),
        }),
        limit_remaining: saturated(counter.remaining().unwrap_or_default()),
        duration_until_reset: counter.expires_in().map(duration),
    }
}

fn saturated(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn duration(time: Duration) -> message::Duration {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    message::Duration { seconds, nanos: i32::try_from(time.subsec_nanos()).unwrap_or_default() }
}
