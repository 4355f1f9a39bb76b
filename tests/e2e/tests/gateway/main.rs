//! The built filter in real Envoy with two workers. Every test that is about a decision runs in both host modes.

mod ack_timeout;
mod config_map;
mod configurations;
mod disconnects;
mod explained;
mod fleet;
mod hostile;
mod http2;
mod incident;
mod limits;
mod overrides;
mod passing;
mod policies;
mod rate_limits;
mod reload;
mod rendered;
mod rollout;
mod routing;
mod rules;
mod settings;
mod shadow;
mod splicing;
mod spoofing;
mod undecidable;
mod unguarded;
mod workers;
