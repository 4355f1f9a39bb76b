//! Addresses as people write them: a host's name or number, and a port.

use std::io;
use std::net::SocketAddr;

use tokio::net::lookup_host;

/// An address that nothing is known of.
#[derive(Debug, thiserror::Error)]
#[error("{address} is no address, expected HOST:PORT: {source}")]
pub struct UnknownAddress {
    address: String,
    #[source]
    source: io::Error,
}

/// The address of `HOST:PORT`; of a host that has several, one of IPv4 before one of IPv6.
///
/// # Errors
/// [`UnknownAddress`] where it is malformed or the host has none.
pub async fn resolve(address: &str) -> Result<SocketAddr, UnknownAddress> {
    let unknown = |source| UnknownAddress { address: address.to_owned(), source };
    let found = lookup_host(address).await.map_err(unknown)?;
    found.min_by_key(SocketAddr::is_ipv6).ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_is_found_by_name_and_by_number() {
        let loopback: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert_eq!(resolve("127.0.0.1:80").await.unwrap(), loopback);
        assert_eq!(resolve("localhost:80").await.unwrap(), loopback);
    }

    #[tokio::test]
    async fn what_is_no_address_is_named() {
        for address in ["", "localhost", "localhost:http", "127.0.0.1:65536"] {
            let said = resolve(address).await.unwrap_err().to_string();
            assert!(said.starts_with(&format!("{address} is no address, expected HOST:PORT: ")), "{said}");
        }
    }
}
