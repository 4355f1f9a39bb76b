//! The filter in Envoy: the only code that knows proxy-wasm.
//!
//! [`root`] takes a policy from Envoy and makes an exchange for each request; [`exchange`] leads one request through
//! dialect and policy; [`answer`] learns from the response to a subscription, [`ack`] from that to an ack, [`in_flight`]
//! from those that tell of leases, [`brought`] from what a pull costs; [`limits`] holds the tokens that the worker has borrowed, [`fleet`] asks the service that
//! counts for many Envoys; [`host`] is the short list of what is asked of Envoy.

mod ack;
mod answer;
mod brought;
mod exchange;
mod fleet;
mod host;
mod in_flight;
mod limits;
mod root;
mod shared;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(root::Root::new(host::Host)));
}}
