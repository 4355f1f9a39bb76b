//! Modules that differ and do the same.

use wasm_encoder::{CustomSection, Section as _};

/// The name of the section that tells one copy of a module from another.
const SECTION: &str = "copy";

/// The module `bytes` with one more custom section that says `label`: Envoy takes it for new code, since its bytes are
/// others, and it does the same.
#[must_use]
pub fn copy_of_module(bytes: &[u8], label: &str) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    CustomSection { name: SECTION.into(), data: label.as_bytes().into() }.append_to(&mut copy);
    copy
}
