//! `traffic` and `tenant`: which requests are read, and who sends them.

use crate::policy::section::Section;
use crate::policy::traffic::{TenantSource, TrafficMatch};
use crate::policy::{Pattern, Problem};

use super::{dialect, dialect_names};

/// The most entries of `traffic` and of `tenant`: every request walks through them.
const MAX_ENTRIES: usize = 64;

#[inline(never)]
pub(super) fn traffic(document: &mut Section<'_, '_>) -> Vec<TrafficMatch> {
    let mut traffic = Vec::new();
    document.require("traffic", "a list of match and dialect; without one nothing is guarded");
    let entries = document.short_list("traffic", "entries", MAX_ENTRIES).unwrap_or_default();
    for (index, node) in entries.iter().enumerate() {
        let Some(mut entry) = document.element("traffic", index, node) else {
            continue;
        };
        let (mut path, mut host) = (None, None);
        entry.require("match", "path, host or both");
        if let Some(mut fields) = entry.section("match") {
            path = fields.pattern("path");
            host = fields.pattern("host").map(Pattern::into_lowercase);
            if !fields.has("path") && !fields.has("host") {
                fields.fault_here(Problem::Empty { expected: "path, host or both".to_owned() });
            }
            fields.close(&[]);
        }
        entry.require("dialect", &dialect_names());
        let reader = dialect(&mut entry);
        entry.close(&[]);
        if let Some(dialect) = reader {
            traffic.push(TrafficMatch { path, host, dialect });
        }
    }
    traffic
}

#[inline(never)]
pub(super) fn tenants(document: &mut Section<'_, '_>) -> Vec<TenantSource> {
    let mut sources = Vec::new();
    let entries = document.short_list("tenant", "entries", MAX_ENTRIES).unwrap_or_default();
    for (index, node) in entries.iter().enumerate() {
        let Some(mut entry) = document.element("tenant", index, node) else {
            continue;
        };
        let header = entry.text("header");
        let property = entry.text("property");
        match (header, property) {
            (Some(name), None) if is_header_name(name) => {
                sources.push(TenantSource::Header(name.to_ascii_lowercase()));
            }
            (Some(_), None) => entry.wrong("header", &"a header's name"),
            (None, Some(path)) if path.split('.').all(|part| !part.is_empty()) => {
                let path = path.split('.').map(str::to_owned).collect();
                sources.push(TenantSource::Property(path));
            }
            (None, Some(_)) => entry.wrong("property", &"a path such as connection.id"),
            (Some(_), Some(_)) => entry.fault_here(Problem::Exclusive { fields: "header and property" }),
            (None, None) => {
                if !["header", "property", "access_key"].into_iter().any(|name| entry.has(name)) {
                    entry.fault_here(Problem::Empty { expected: "header or property".to_owned() });
                }
            }
        }
        entry.close(&["access_key"]);
    }
    sources
}

/// A token of RFC 9110.
fn is_header_name(name: &str) -> bool {
    let punctuation = b"!#$%&'*+-.^_`|~";
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || punctuation.contains(&byte))
}
