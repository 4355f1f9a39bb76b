//! Calls that are about no exchange: what all share, the clock, metrics, the log, other services.

use wasmi::Error;

use super::{Status, arguments, words};
use crate::guest::Guest;
use crate::host::{COUNTER, Metric};

pub(super) fn get_shared_data(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [key, key_size, address_at, size_at, version_at] = words(guest, given)?;
    let key = guest.text(key, key_size)?;
    let Some((value, version)) = guest.host().shared.get(&key).cloned() else { return Ok(Status::NotFound) };
    guest.give(&value, address_at, size_at)?;
    guest.put(version_at, &version.to_le_bytes())?;
    Ok(Status::Ok)
}

pub(super) fn set_shared_data(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [key, key_size, value, value_size, version] = words(guest, given)?;
    let (key, value) = (guest.text(key, key_size)?, guest.bytes(value, value_size)?);
    let is_written = guest.host().shared.set(key, value, version);
    Ok(if is_written { Status::Ok } else { Status::CasMismatch })
}

pub(super) fn get_current_time_nanoseconds(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [time_at] = words(guest, given)?;
    let now = guest.host().now;
    guest.put(time_at, &now.to_le_bytes())?;
    Ok(Status::Ok)
}

pub(super) fn set_tick_period_milliseconds(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [period] = words(guest, given)?;
    guest.host().tick_period = Some(period);
    Ok(Status::Ok)
}

pub(super) fn define_metric(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [kind, name, name_size, id_at] = words(guest, given)?;
    let name = guest.text(name, name_size)?;
    let metrics = &mut guest.host().metrics;
    let id = metrics.len();
    if metrics.iter().any(|metric| metric.name == name) {
        return Err(guest.fault(format_args!("{name} is defined twice")));
    }
    metrics.push(Metric { kind, name, value: 0 });
    let id = u32::try_from(id).map_err(|error| guest.fault(error))?;
    guest.put(id_at, &id.to_le_bytes())?;
    Ok(Status::Ok)
}

pub(super) fn increment_metric(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [id, more] = arguments(guest, given)?;
    let more = more.cast_signed();
    match metric(guest, id)? {
        metric if metric.kind != COUNTER || more <= 0 => Ok(Status::BadArgument),
        metric => {
            metric.value += more.cast_unsigned();
            Ok(Status::Ok)
        }
    }
}

pub(super) fn record_metric(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [id, value] = arguments(guest, given)?;
    metric(guest, id)?.value = value;
    Ok(Status::Ok)
}

fn metric<'g>(guest: &'g mut Guest<'_>, id: u64) -> Result<&'g mut Metric, Error> {
    let unknown = guest.fault(format_args!("no metric has the id {id}"));
    let index = usize::try_from(id).unwrap_or(usize::MAX);
    guest.host().metrics.get_mut(index).ok_or(unknown)
}

pub(super) fn log(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [_level, line, line_size] = words(guest, given)?;
    let line = guest.text(line, line_size)?;
    guest.host().log.push(line);
    Ok(Status::Ok)
}

pub(super) fn set_effective_context(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [context] = words(guest, given)?;
    if !guest.host().streams.contains_key(&context) {
        return Ok(Status::BadArgument);
    }
    guest.host().context = context;
    Ok(Status::Ok)
}

pub(super) fn grpc_call(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [
        target,
        target_size,
        service,
        service_size,
        method,
        method_size,
        metadata,
        metadata_size,
        message,
        message_size,
        _timeout,
        token_at,
    ] = words(guest, given)?;
    for (at, size) in [(target, target_size), (metadata, metadata_size), (message, message_size)] {
        guest.bytes(at, size)?;
    }
    let (service, method) = (guest.text(service, service_size)?, guest.text(method, method_size)?);
    if (&*service, &*method) != ("envoy.service.ratelimit.v3.RateLimitService", "ShouldRateLimit") {
        return Err(guest.fault(format_args!("nobody serves {service}/{method}")));
    }
    let host = guest.host();
    host.asked += 1;
    let (context, token) = (host.context, host.asked);
    host.questions.push((context, token));
    guest.put(token_at, &token.to_le_bytes())?;
    Ok(Status::Ok)
}
