//! The command line as people use it: the built program, its arguments, and what it prints.

mod check;
mod completions;
mod docs;
mod explain;
mod metrics;
mod program;
mod render;
mod replay;
mod schema;
mod top;
