//! `ackguard explain`: what becomes of one request, and why.

mod findings;
mod limits;
mod machine;
mod origin;
pub(crate) mod request;
mod sent;
mod text;

use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ackguard::body;
use ackguard::http::RequestHead;
use ackguard::judgement::{self, Effect};
use ackguard::operation::Topic;
use ackguard::policy::{Mode, TenantSource};

use crate::gateway::{Gateway, Judged};
use crate::loaded::{self, Loaded};
use crate::output::{self, REFUSED, UNREAD};

use request::RawRequest;

/// The largest request that is read, in bytes: what is over 256 KiB is judged by its size alone.
const MAX_REQUEST: u64 = 64 << 20;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ackguard explain policy.yaml request.http
  printf 'POST /tmq/v1/groups/workers/consumers HTTP/1.1\\nHost: mq\\n\\n{\"topic\":\"orders\",\"ackTimeout\":0}' \\
      | ackguard explain policy.yaml -
  ackguard explain policy.yaml pull.http --topic orders    # as if its consumer had subscribed to orders
  ackguard explain policy.yaml request.http --stage 1      # at the first stage of a roll-out
  ackguard explain policy.yaml request.http --property connection.uri_san_peer_certificate=spiffe://pay

A request is a raw one of HTTP/1.1: its head, an empty line, its body as it is. Lines of the head may end with a bare LF.
Exit status: 0 when the request goes on, as it came or edited; 1 when it, or the policy, is refused; 2 when a file cannot be
read.")]
pub(crate) struct Args {
    /// The policy: JSON or YAML, or an Envoy or Istio configuration with one inside
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    /// The request; - is standard input
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
    /// A property of the client's connection, as Envoy would give it; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    property: Vec<(String, String)>,
    /// The scheme that the client used
    #[arg(long, default_value = "http")]
    scheme: String,
    /// The topic that the request's consumer subscribed to, as the gateway would remember it
    #[arg(long)]
    topic: Option<String>,
    /// The stage that the policy's roll-out is at, from 1; before any stage if left out
    #[arg(long, value_name = "N")]
    stage: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What is to be told.
pub(crate) struct Explained<'e> {
    loaded: &'e Loaded<'e>,
    request: &'e RawRequest,
    tenant: String,
    /// The first source of a tenant that is present, and what it says.
    source: Option<(String, String)>,
    judged: Judged<'e>,
    /// Whether the topic was told on the command line.
    topic_given: bool,
    stage: Option<usize>,
}

impl Explained<'_> {
    /// The source that named the tenant. None where the policy had no need to ask, or none is present.
    fn tenant_source(&self) -> Option<&str> {
        // A long name is cut.
        let (name, value) = self.source.as_ref()?;
        value.starts_with(&self.tenant).then_some(name)
    }

    /// Whether the gateway reads the body and may change it, so that its framing may change too.
    fn may_edit(&self) -> bool {
        let Judged::Guarded { guarded, judgement } = &self.judged else {
            return false;
        };
        let head = self.request.head("");
        let reads = guarded.route.reads_body && !self.request.body.is_empty() && body::unreadable(&head).is_none();
        reads && judgement::rules(&self.loaded.policy, judgement.side).mode == Mode::Enforce
    }

    /// Whether a rule or a limit asks for the topic of a request that names none.
    fn lacks_topic(&self) -> bool {
        match &self.judged {
            Judged::Guarded { guarded, judgement } => {
                let policy = &self.loaded.policy;
                let judged = judgement.ruling.is_some() || policy.limited().has(judgement.kind);
                judged && guarded.route.consumer.is_some() && !self.topic_given && policy.asks_topic()
            }
            Judged::Foreign | Judged::Free { .. } => false,
        }
    }

    /// What is done to the request.
    fn effect(&self) -> &Effect {
        match &self.judged {
            Judged::Guarded { judgement, .. } => judgement.effect(),
            Judged::Foreign | Judged::Free { .. } => &Effect::Pass,
        }
    }

    /// The lines that go on beside those that came; empty where they are the same.
    fn comparison(&self) -> Vec<sent::Line> {
        let goes_on = sent::goes_on(self.request, self.loaded.policy.headers, self.may_edit(), self.effect());
        sent::compare(&sent::came(self.request), &goes_on)
    }
}

/// Explains a request.
pub(crate) fn perform(args: &Args) -> ExitCode {
    let explained = || -> Result<ExitCode, ExitCode> {
        let source = loaded::open(&args.policy)?;
        let loaded = loaded::compile(&source)?;
        let stage = stage_index(args.stage, &loaded)?;
        let request = read(&args.request)?;
        for note in &request.notes {
            anstream::eprintln!("{}: {note}", args.request.display());
        }
        let explained = explain(args, stage, &loaded, &request);
        Ok(output::perform(|out| tell(args, &explained, out)))
    };
    explained().unwrap_or_else(|code| code)
}

/// The index of a stage that is counted from 1; says on standard error why it is none of a policy's roll-out.
pub(crate) fn stage_index(stage: Option<usize>, loaded: &Loaded<'_>) -> Result<Option<usize>, ExitCode> {
    let Some(stage) = stage else { return Ok(None) };
    let stages = loaded.policy.rollout.as_ref().map_or(0, |rollout| rollout.stages.len());
    if (1..=stages).contains(&stage) {
        return Ok(Some(stage - 1));
    }
    let why = format!("--stage {stage}: the roll-out has {}", output::count(stages, "stage"));
    output::complain(Path::new(loaded.file()), &why);
    Err(ExitCode::from(UNREAD))
}

fn read(path: &Path) -> Result<RawRequest, ExitCode> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MAX_REQUEST).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_REQUEST).read_to_end(&mut bytes))
    };
    let request = read.map_err(|fault| fault.to_string()).and_then(|_| RawRequest::parse(&bytes));
    request.map_err(|fault| {
        output::complain(path, &fault);
        ExitCode::from(UNREAD)
    })
}

fn explain<'e>(args: &Args, stage: Option<usize>, loaded: &'e Loaded<'e>, request: &'e RawRequest) -> Explained<'e> {
    let policy = &loaded.policy;
    let head = request.head(&args.scheme);
    let property = |path: &[String]| {
        let path = path.join(".");
        let (_, value) = args.property.iter().find(|(name, _)| *name == path)?;
        Some(value.as_bytes().to_vec())
    };
    let topic = args.topic.clone().map(Topic);
    let mut gateway = Gateway::new(policy, stage);
    let mut judged = gateway.judge(&head, &request.body, property, topic.as_ref());
    // At any time: nothing was charged before, and the group holds nothing.
    gateway.limit(&mut judged, &request.body, 0);
    Explained {
        loaded,
        request,
        tenant: policy.tenant(&head, property).0,
        source: named_by(policy.tenant_sources(), &head, property),
        judged,
        topic_given: args.topic.is_some(),
        stage: args.stage,
    }
}

/// The first source of a tenant that is present, and what it says.
fn named_by(
    sources: &[TenantSource],
    head: &RequestHead,
    property: impl Fn(&[String]) -> Option<Vec<u8>>,
) -> Option<(String, String)> {
    sources.iter().find_map(|source| {
        let (name, value) = match source {
            TenantSource::Header(name) => (format!("header {name}"), head.get(name).map(<[u8]>::to_vec)),
            TenantSource::Property(path) => (format!("property {}", path.join(".")), property(path)),
        };
        let value = value.filter(|value| !value.is_empty())?;
        Some((name, String::from_utf8_lossy(&value).into_owned()))
    })
}

fn tell(args: &Args, explained: &Explained<'_>, out: &mut impl Write) -> io::Result<ExitCode> {
    if args.json {
        writeln!(out, "{:#}", machine::report(explained))?;
    } else {
        text::write(explained, out)?;
    }
    let refused = matches!(explained.effect(), Effect::Answer(_));
    Ok(if refused { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}
