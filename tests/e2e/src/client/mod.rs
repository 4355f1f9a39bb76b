//! Clients that send any bytes.

mod http1;
mod http2;

pub use http1::Http1Client;
pub use http2::{Http2Answer, Http2Client};
