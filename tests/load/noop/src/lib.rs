//! A filter that does nothing: what any filter costs that is WebAssembly in Envoy.
//!
//! With a configuration, which is any text, it says so in each response, in the header `x-noop`, so that it can be seen
//! which configuration serves. Without one it leaves request and response alone.

mod filter;
