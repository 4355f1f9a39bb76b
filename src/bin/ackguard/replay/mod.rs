//! `ackguard replay`: recorded traffic, judged again.

mod capture;
mod changes;
mod exchange;
mod machine;
mod tally;
mod text;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use ackguard::http::RequestHead;

use crate::explain::stage_index;
use crate::gateway::{Gateway, Judged};
use crate::loaded::{self, Loaded};
use crate::output::{self, UNREAD};

use capture::{Format, Sink};
use changes::Changes;
use exchange::{Answer, Exchange};
use tally::{Tally, Told, told};

/// How many records that could not be read are told one by one.
const TOLD: u64 = 10;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ackguard replay policy.yaml traffic.jsonl
  ackguard replay policy.yaml traffic.har                          # as browsers and proxies save it
  ackguard replay policy.yaml traffic.jsonl --against next.yaml    # what a change would change
  ackguard replay policy.yaml traffic.jsonl --against policy.yaml --against-stage 1   # what the roll-out's stage 1 changes
  cat $(ls -tr taps/*.json) | ackguard replay policy.yaml -        # as Envoy's tap filter writes it
  zcat traffic.jsonl.gz | ackguard replay policy.yaml - --json | jq .policy.rows

A capture is JSON Lines, HAR 1.2, or what Envoy's tap filter writes. A line is {\"request\": {\"method\", \"target\", \"headers\": [[name, value], ...], \"body_text\" or
\"body_b64\"}, \"response\": {\"status\", \"body_text\" or \"body_b64\"}}; other fields are ignored. Answers to subscriptions teach the
topics of later pulls, as they do in the filter. Limits are asked at the times of the requests: `time` of a line (RFC 3339),
`startedDateTime` of a HAR entry, `headers_received_time` of a trace (the tap filter's `record_headers_received_time`).
Exit status: 0 when the capture was replayed, 1 when a policy is refused, 2 when a file or all of the capture cannot be read.")]
pub(crate) struct Args {
    /// The policy: JSON or YAML, or an Envoy or Istio configuration with one inside
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    /// The recorded traffic; - is standard input
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,
    /// Another policy: tell what it would do otherwise
    #[arg(long, value_name = "POLICY2")]
    against: Option<PathBuf>,
    /// The stage that the policy's roll-out is at, from 1; before any stage if left out
    #[arg(long, value_name = "N")]
    stage: Option<usize>,
    /// The same for the other policy
    #[arg(long, value_name = "N", requires = "against")]
    against_stage: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
struct Replayed<'p> {
    loaded: &'p Loaded<'p>,
    /// The stage of its roll-out, from 1.
    stage: Option<usize>,
    gateway: Gateway<'p>,
    tally: Tally,
    other: Option<Other<'p>>,
    /// Records that were read.
    records: u64,
    /// Of these, the ones that no dialect reads.
    foreign: u64,
    /// Records that could not be read.
    unread: u64,
    /// Records without a time, for which no limit was asked.
    untimed: u64,
    /// Records whose answer the recorder cut short.
    cut: u64,
    format: Format,
}

/// The second policy.
struct Other<'p> {
    loaded: &'p Loaded<'p>,
    /// The stage of its roll-out, from 1.
    stage: Option<usize>,
    gateway: Gateway<'p>,
    tally: Tally,
    changes: Changes,
}

/// Replays a capture.
pub(crate) fn perform(args: &Args) -> ExitCode {
    let replayed = || -> Result<ExitCode, ExitCode> {
        let source = loaded::open(&args.policy)?;
        let loaded = loaded::compile(&source)?;
        let index = stage_index(args.stage, &loaded)?;
        let other_source = args.against.as_deref().map(loaded::open).transpose()?;
        let other = other_source.as_ref().map(loaded::compile).transpose()?;
        let other_index = match &other {
            Some(other) => stage_index(args.against_stage, other)?,
            None => None,
        };
        let mut replayed = Replayed {
            loaded: &loaded,
            stage: args.stage,
            gateway: Gateway::new(&loaded.policy, index),
            tally: Tally::default(),
            other: other.as_ref().map(|loaded| Other {
                loaded,
                stage: args.against_stage,
                gateway: Gateway::new(&loaded.policy, other_index),
                tally: Tally::default(),
                changes: Changes::default(),
            }),
            records: 0,
            foreign: 0,
            unread: 0,
            untimed: 0,
            cut: 0,
            format: Format::JsonLines,
        };
        if let Err(fault) = capture::read(&args.capture, &mut replayed) {
            output::complain(&args.capture, &fault);
            return Err(ExitCode::from(UNREAD));
        }
        if replayed.unread > TOLD {
            anstream::eprintln!("and {} more that cannot be read", replayed.unread - TOLD);
        }
        if replayed.records == 0 {
            output::complain(&args.capture, &"no record in it can be read");
            return Err(ExitCode::from(UNREAD));
        }
        Ok(output::perform(|out| tell(args, &replayed, out)))
    };
    replayed().unwrap_or_else(|code| code)
}

fn tell(args: &Args, replayed: &Replayed<'_>, out: &mut impl Write) -> io::Result<ExitCode> {
    if args.json {
        writeln!(out, "{:#}", machine::report(replayed))?;
    } else {
        text::write(replayed, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Sink for Replayed<'_> {
    fn take(&mut self, format: Format, number: u64, exchange: Result<Exchange, String>) {
        self.format = format;
        match exchange {
            Ok(exchange) if exchange.truncated && self.reads_body(&exchange) => {
                self.cannot_read(number, "the recorder cut the request's body short");
            }
            Ok(exchange) => self.replay(number, &exchange),
            Err(fault) => self.cannot_read(number, &fault),
        }
    }
}

impl Replayed<'_> {
    fn cannot_read(&mut self, number: u64, why: &str) {
        self.unread += 1;
        if self.unread <= TOLD {
            anstream::eprintln!("{} {number}: {why}", self.format.unit());
        }
    }

    /// Whether what becomes of a request depends on its body, by either policy.
    fn reads_body(&self, exchange: &Exchange) -> bool {
        let mut gateways = std::iter::once(&self.gateway).chain(self.other.as_ref().map(|other| &other.gateway));
        gateways.any(|gateway| {
            let judged = gateway.judge(&exchange.head(), &exchange.body, |_| None, None);
            matches!(judged, Judged::Guarded { guarded, .. } if guarded.reads_body)
        })
    }

    fn replay(&mut self, number: u64, exchange: &Exchange) {
        self.records += 1;
        self.untimed += u64::from(exchange.time.is_none());
        self.cut += u64::from(exchange.response.as_ref().is_some_and(|answer| answer.truncated));
        let before = judge(&mut self.gateway, exchange, &mut self.tally);
        self.foreign += u64::from(before.is_none());
        if let Some(other) = &mut self.other {
            let after = judge(&mut other.gateway, exchange, &mut other.tally);
            other.changes.add(number, before.as_ref(), after.as_ref());
        }
    }
}

/// Judges an exchange, counts it, and learns from its answer.
fn judge(gateway: &mut Gateway<'_>, exchange: &Exchange, tally: &mut Tally) -> Option<Told> {
    let head = exchange.head();
    let mut judged = gateway.judge(&head, &exchange.body, |path| property(&head, path), None);
    if let Some(time) = exchange.time {
        gateway.limit(&mut judged, &exchange.body, time);
    }
    if let Some(Answer { status, body, .. }) = &exchange.response {
        let policy = gateway.policy();
        gateway.answered(&judged, || policy.tenant(&head, |path| property(&head, path)), *status, body);
    }
    let told = told(gateway.policy(), &head, &judged, exchange.time.is_some())?;
    tally.add(&told);
    Some(told)
}

/// What a capture tells of the connection: the client's address, as the proxy before the recorder has noted it.
fn property(head: &RequestHead, path: &[String]) -> Option<Vec<u8>> {
    if !path.iter().eq(["source", "address"]) {
        return None;
    }
    let addresses = head.get("x-forwarded-for")?;
    let last = addresses.rsplit(|byte| *byte == b',').next()?.trim_ascii();
    // Envoy's has a port behind it.
    Some([last, b":0"].concat())
}
