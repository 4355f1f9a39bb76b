//! `ackguard schema`: what an editor needs to complete and check a policy.

use std::io::Write as _;
use std::process::ExitCode;

/// JSON Schema, draft 2020-12, of the policy document. What it cannot say, `ackguard check` does: the order of bounds,
/// names that stand once, a duration's greatest length.
const SCHEMA: &str = include_str!("../../../envoy/policy.schema.json");

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ackguard schema > policy.schema.json\n\n\
    and as the first line of a policy: # yaml-language-server: $schema=policy.schema.json")]
pub(crate) struct Args {}

/// Prints the schema. Fails where nobody reads it.
pub(crate) fn perform(_: &Args) -> ExitCode {
    match std::io::stdout().write_all(SCHEMA.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}
