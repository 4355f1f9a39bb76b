//! Which dialect reads a request, and who sends it.

use crate::dialect::Dialect;
use crate::http::{RequestHead, percent_decode};
use crate::operation::Tenant;

use super::{MAX_TENANT, Pattern};

/// One entry of `traffic`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficMatch {
    /// What the path without its query must fit, percent-escapes decoded.
    pub path: Option<Pattern>,
    /// What the host without its port must fit, in lower case.
    pub host: Option<Pattern>,
    /// Who reads what fits.
    pub dialect: Dialect,
}

/// One entry of `tenant`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSource {
    /// A request header's value; the name in lower case.
    Header(String),
    /// A property of the connection, such as its certificate's name.
    Property(Vec<String>),
}

pub(super) fn dialect(traffic: &[TrafficMatch], head: &RequestHead) -> Option<Dialect> {
    let path = percent_decode(head.path());
    let mut host = None;
    let entry = traffic.iter().find(|entry| {
        let path_fits = entry.path.as_ref().is_none_or(|path_| path_.fits(&path));
        path_fits
            && entry
                .host
                .as_ref()
                .is_none_or(|pattern| pattern.fits(host.get_or_insert_with(|| host_name(head.authority()))))
    })?;
    Some(entry.dialect)
}

fn host_name(authority: &[u8]) -> Vec<u8> {
    let port_digits = authority.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let before = authority.len() - port_digits;
    let name = match authority.get(..before) {
        Some([name @ .., b':']) => name,
        _ => authority,
    };
    name.to_ascii_lowercase()
}

pub(super) fn anonymous() -> Tenant {
    Tenant("anonymous".to_owned())
}

pub(super) fn tenant<F>(sources: &[TenantSource], head: &RequestHead, mut property: F) -> Tenant
where
    F: FnMut(&[String]) -> Option<Vec<u8>>,
{
    let found = sources.iter().find_map(|source| {
        let value = match source {
            TenantSource::Header(name) => head.get(name).map(<[u8]>::to_vec),
            TenantSource::Property(path) => property(path),
        };
        value.filter(|value| !value.is_empty())
    });
    match found {
        Some(mut value) => {
            value.truncate(MAX_TENANT);
            Tenant(String::from_utf8_lossy(&value).into_owned())
        }
        None => anonymous(),
    }
}
