//! `ackguard schema`: what an editor needs to complete and check a policy.

use std::io::Write as _;
use std::process::ExitCode;

use crate::output;

/// JSON Schema, draft 2020-12, of the policy document. What it cannot say, `ackguard check` does: the order of bounds,
/// names that stand once, a duration's greatest length.
const SCHEMA: &str = include_str!("../../../envoy/policy.schema.json");

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ackguard schema > policy.schema.json\n\n\
    and as the first line of a policy: # yaml-language-server: $schema=policy.schema.json")]
pub(crate) struct Args {}

/// Prints the schema.
pub(crate) fn perform(_: &Args) -> ExitCode {
    output::perform(|out| out.write_all(SCHEMA.as_bytes()).map(|()| ExitCode::SUCCESS))
}
