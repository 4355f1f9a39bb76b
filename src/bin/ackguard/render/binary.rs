//! The resource of extension discovery in protobuf's binary form, with the policy as text in it.
//!
//! Envoy takes a `Struct` apart value by value, and JSON or YAML twice over; of this form it reads nothing but lengths.
//! With ten thousand rules that is most of the time that a reload takes. Field numbers are those of Envoy's API, v3.

use serde_json::Error;

use super::Rendering;
use super::build::Written;
use super::ecds::{RESOURCE_TYPE, WASM_TYPE};
use super::module::Module;

const STRING_TYPE: &str = "type.googleapis.com/google.protobuf.StringValue";

/// `FailurePolicy.FAIL_RELOAD`.
const FAIL_RELOAD: u8 = 1;

/// What `path_config_source` reads from a file whose name ends in `.pb`: a `DiscoveryResponse`.
///
/// # Errors
/// When the policy cannot be written as JSON.
pub(super) fn resource(rendering: &Rendering<'_>) -> Result<Vec<u8>, Error> {
    let policy = serde_json::to_string(&Written(&rendering.policy))?;
    let path = match &rendering.module {
        Module::File(path) | Module::Remote(path) => path,
    };
    let code = field(1, &field(1, path.as_bytes()));
    let vm = [text(1, &rendering.vm_id), text(2, "envoy.wasm.runtime.v8"), field(3, &code)].concat();
    let mut config =
        [text(1, "ackguard"), field(3, &vm), field(4, &any(STRING_TYPE, &text(1, &policy))), number(7, FAIL_RELOAD)]
            .concat();
    if rendering.held {
        // allow_on_headers_stop_iteration, a `google.protobuf.BoolValue`.
        config.extend(field(9, &number(1, 1)));
    }
    let filter = any(WASM_TYPE, &field(1, &config));
    let extension = [text(1, &rendering.name), field(2, &filter)].concat();
    Ok([text(1, &rendering.version), field(2, &any(RESOURCE_TYPE, &extension))].concat())
}

/// A `google.protobuf.Any`.
fn any(type_url: &str, message: &[u8]) -> Vec<u8> {
    [text(1, type_url), field(2, message)].concat()
}

fn text(tag: u8, text: &str) -> Vec<u8> {
    field(tag, text.as_bytes())
}

/// A field of bytes, a text or a message. Its number is under 16, so that it takes one byte.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 6);
    out.push(tag << 3 | 2);
    let mut length = bytes.len();
    while length > 0x7F {
        out.push((length & 0x7F) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// A field of a number, a choice or a switch, under 128.
fn number(tag: u8, number: u8) -> Vec<u8> {
    vec![tag << 3, number]
}
