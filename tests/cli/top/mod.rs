//! `ackguard top` in a terminal, and without one, in front of an admin endpoint that answers as Envoy's has.

mod admin;
mod screen;
mod terminal;
