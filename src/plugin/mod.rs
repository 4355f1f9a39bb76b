//! The filter in Envoy: the only code that knows proxy-wasm.
//!
//! [`root`] takes a policy from Envoy and makes an exchange for each request; [`exchange`] leads one request through
//! dialect and policy; [`answer`] reads the broker's answer, and gives what it tells to [`subscription`], [`ack`],
//! [`in_flight`] and [`brought`]; [`limits`] holds the tokens that the worker has borrowed, [`fleet`] asks the service that
//! counts for many Envoys; [`census`] sets the gauges that tell of the whole Envoy; [`host`] is the short list of what is
//! asked of Envoy. `exports.txt` lists what Envoy calls; the build takes all else that the SDK exports out of the module.

mod ack;
mod answer;
mod brought;
mod census;
mod exchange;
mod fleet;
mod host;
mod in_flight;
mod limits;
mod root;
mod shared;
mod subscription;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(root::Root::new(host::Host)));
}}
