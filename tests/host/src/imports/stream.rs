//! Calls that are about the exchange, or about the plugin's configuration.

use wasmi::Error;

use super::{Status, words};
use crate::guest::Guest;
use crate::host::{Reply, Stream};
use crate::pairs::{self, Headers};

const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const GRPC_MESSAGE: u32 = 5;
const CONFIGURATION: u32 = 7;

const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;

const REQUEST: u32 = 0;

/// The attributes that the filter may ask for, as Envoy gives them.
const PROPERTIES: [(&str, &str); 2] =
    [("source.address", "192.0.2.7:40312"), ("response.code_details", "via_upstream")];

fn stream<'g>(guest: &'g mut Guest<'_>) -> Result<&'g mut Stream, Error> {
    let fault = guest.fault("no exchange is under way in this context");
    guest.host().stream().ok_or(fault)
}

pub(super) fn get_buffer_bytes(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [kind, start, most, address_at, size_at] = words(guest, given)?;
    let buffer = match kind {
        REQUEST_BODY => stream(guest)?.request_body.clone(),
        RESPONSE_BODY => stream(guest)?.response_piece.clone(),
        GRPC_MESSAGE => guest.host().message.clone(),
        CONFIGURATION => guest.host().configuration.clone(),
        unknown => return Err(guest.fault(format_args!("unknown buffer {unknown}"))),
    };
    let buffer = buffer.ok_or_else(|| guest.fault(format_args!("buffer {kind} is not there")))?;
    let start = buffer.len().min(start as usize);
    let end = buffer.len().min(start.saturating_add(most as usize));
    if end > start {
        guest.give(&buffer[start..end], address_at, size_at)?;
    }
    Ok(Status::Ok)
}

pub(super) fn set_buffer_bytes(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [kind, start, size, bytes, bytes_size] = words(guest, given)?;
    if kind != REQUEST_BODY {
        return Err(guest.fault(format_args!("unknown buffer {kind}")));
    }
    let bytes = guest.bytes(bytes, bytes_size)?;
    let missing = guest.fault("there is no body");
    let body = stream(guest)?.request_body.as_mut().ok_or(missing)?;
    // Envoy replaces at the start and appends at the end, and nothing else.
    let replaced = match start as usize {
        0 => 0..body.len().min(size as usize),
        end if end == body.len() => end..end,
        _ => return Ok(Status::BadArgument),
    };
    body.splice(replaced, bytes);
    Ok(Status::Ok)
}

fn map<'g>(guest: &'g mut Guest<'_>, kind: u32) -> Result<&'g mut Headers, Error> {
    let missing = guest.fault(format_args!("map {kind} is unknown or not there"));
    let stream = stream(guest)?;
    let map = match kind {
        REQUEST_HEADERS => Some(&mut stream.request),
        RESPONSE_HEADERS => stream.response.as_mut(),
        _ => None,
    };
    map.ok_or(missing)
}

pub(super) fn get_header_map_pairs(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [kind, address_at, size_at] = words(guest, given)?;
    let bytes = pairs::write(map(guest, kind)?);
    guest.give(&bytes, address_at, size_at)?;
    Ok(Status::Ok)
}

pub(super) fn get_header_map_value(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [kind, name, name_size, address_at, size_at] = words(guest, given)?;
    let name = guest.text(name, name_size)?;
    let found = map(guest, kind)?.iter().find(|(held, _)| *held == name).map(|(_, value)| value.clone());
    let Some(value) = found else { return Ok(Status::NotFound) };
    guest.give(&value, address_at, size_at)?;
    Ok(Status::Ok)
}

pub(super) fn add_header_map_value(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let (kind, name, value) = header(guest, given)?;
    map(guest, kind)?.push((name, value));
    Ok(Status::Ok)
}

pub(super) fn replace_header_map_value(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let (kind, name, value) = header(guest, given)?;
    let map = map(guest, kind)?;
    map.retain(|(held, _)| *held != name);
    map.push((name, value));
    Ok(Status::Ok)
}

fn header(guest: &mut Guest<'_>, given: &[u64]) -> Result<(u32, String, Vec<u8>), Error> {
    let [kind, name, name_size, value, value_size] = words(guest, given)?;
    Ok((kind, guest.text(name, name_size)?, guest.bytes(value, value_size)?))
}

pub(super) fn remove_header_map_value(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [kind, name, name_size] = words(guest, given)?;
    let name = guest.text(name, name_size)?;
    map(guest, kind)?.retain(|(held, _)| *held != name);
    Ok(Status::Ok)
}

pub(super) fn send_local_response(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [status, details, details_size, body, body_size, headers, headers_size, _grpc_status] = words(guest, given)?;
    guest.bytes(details, details_size)?;
    let body = guest.bytes(body, body_size)?;
    let added = pairs::read(&guest.bytes(headers, headers_size)?);
    let mut headers = vec![(":status".to_owned(), status.to_string().into_bytes())];
    headers.extend(added.ok_or_else(|| guest.fault("headers that are no map"))?);
    stream(guest)?.reply = Some(Reply { headers, body });
    Ok(Status::Ok)
}

pub(super) fn continue_stream(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [kind] = words(guest, given)?;
    if kind != REQUEST {
        return Err(guest.fault(format_args!("no stream of kind {kind} waits")));
    }
    stream(guest)?.is_resumed = true;
    Ok(Status::Ok)
}

pub(super) fn get_property(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [path, path_size, address_at, size_at] = words(guest, given)?;
    let path = guest.text(path, path_size)?.replace('\0', ".");
    let found = PROPERTIES.iter().find(|(name, _)| *name == path);
    let (_, value) = found.ok_or_else(|| guest.fault(format_args!("unknown property {path}")))?;
    guest.give(value.as_bytes(), address_at, size_at)?;
    Ok(Status::Ok)
}

pub(super) fn set_property(guest: &mut Guest<'_>, given: &[u64]) -> Result<Status, Error> {
    let [path, path_size, value, value_size] = words(guest, given)?;
    let (path, value) = (guest.text(path, path_size)?, guest.bytes(value, value_size)?);
    stream(guest)?.filter_state.insert(path, value);
    Ok(Status::Ok)
}
