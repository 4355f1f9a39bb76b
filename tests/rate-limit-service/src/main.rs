//! `rate-limit-service --listen ADDRESS --redis URL --limits FILE`: serves until it is ended.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use rate_limit_service::{Limits, Server, Store};

/// Envoy's RateLimitService on limitador's limits and Redis
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8085")]
    listen: SocketAddr,
    /// The Redis with the counters: redis://host:port or redis+unix:///path
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    redis: String,
    /// The limits, YAML or JSON
    #[arg(long)]
    limits: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen, redis, limits } = Arguments::parse();
    let text = fs::read_to_string(&limits).with_context(|| limits.display().to_string())?;
    let store = Store::new(&redis).with_context(|| redis.clone())?;
    let server = Server::start(listen, Limits::read(&text)?, store).await.with_context(|| listen.to_string())?;
    println!("rate-limit-service listening {}", server.address());
    Ok(server.wait().await?)
}
