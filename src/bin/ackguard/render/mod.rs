//! `ackguard render`: a policy as the object that brings it into a proxy.

mod binary;
mod build;
mod directory;
mod ecds;
mod istio;
mod module;
mod refusal;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ackguard::json::Node;
use ackguard::policy::{HostHeaders, Policy};

use crate::check;
use crate::document;
use crate::output::{self, UNREAD};
use crate::source::Source;

use build::{Written, object, text};
use directory::Directory;
use istio::Context;
use module::Module;
use refusal::Refusal;

/// What a policy is rendered as.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum Form {
    /// The file that Envoy reads by extension discovery, as envoy/ecds.yaml does
    Ecds,
    /// The same in a Kubernetes ConfigMap
    ConfigMap,
    /// Istio's WasmPlugin, for a policy with `host.headers: streamed`
    WasmPlugin,
    /// Istio's EnvoyFilter, which can also hold headers
    EnvoyFilter,
    /// The policy alone, such as one merged from a directory
    Policy,
}

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("source").required(true).args(["policy", "dir"]),
    after_help = "Examples:
  ackguard render policy.yaml > /etc/ackguard/new && mv /etc/ackguard/new /etc/ackguard/ackguard.yaml
  ackguard render --dir policies --binary > /etc/ackguard/new && mv /etc/ackguard/new /etc/ackguard/ackguard.pb
  ackguard render policy.yaml --as config-map --namespace queues | kubectl apply -f -
  ackguard render policy.yaml --as wasm-plugin --module oci://registry.example/ackguard:1 \\
      --namespace istio-ingress --selector istio=ingressgateway | kubectl apply -f -
  ackguard render policy.yaml --as envoy-filter \\
      --namespace istio-ingress --selector istio=ingressgateway | kubectl apply -f -
  ackguard render --dir policies --as policy | ackguard check -

A directory has base.yaml, the whole policy but for its tenants' parts, and a file for each tenant: `tenant` (the file's
name unless set), `defaults` and `rules`. They are merged; conflicts are told by file, all at once."
)]
pub(crate) struct Args {
    /// The policy: YAML or JSON, or an Envoy or Istio configuration with one inside; - is standard input
    policy: Option<PathBuf>,
    /// A directory of policies, one file a tenant, in place of POLICY
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// What to print
    #[arg(long = "as", value_name = "FORM", value_enum, default_value_t = Form::Ecds)]
    form: Form,
    /// JSON in place of YAML
    #[arg(long)]
    json: bool,
    /// Protobuf's binary form, for a file whose name ends in .pb: what Envoy reads fastest, for policies of thousands of
    /// rules; with --as ecds
    #[arg(long, conflicts_with = "json")]
    binary: bool,
    /// The name of the filter and of the Kubernetes object
    #[arg(long, default_value = "ackguard", value_parser = name)]
    name: String,
    /// The namespace of the Kubernetes object
    #[arg(long, value_parser = name)]
    namespace: Option<String>,
    /// A label of the workloads that Istio gives the filter, else all of the namespace; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    selector: Vec<(String, String)>,
    /// Which listeners of those workloads are guarded
    #[arg(long, value_enum, default_value_t = Context::Gateway)]
    context: Context,
    /// Where the proxy finds ackguard.wasm: a path in its own file system, or for Istio also oci://… or https://…
    #[arg(long, default_value = "/var/lib/ackguard/ackguard.wasm")]
    module: Module,
    /// The SHA-256 that Istio checks a fetched module by: of the file, or of the image's manifest
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    sha256: Option<String>,
    /// The VM that keeps state from one policy to the next; a WasmPlugin cannot set it
    #[arg(long, default_value = "ackguard")]
    vm_id: String,
}

/// A policy that the filter would accept, and what its objects need besides.
struct Rendering<'s> {
    policy: Node<'s>,
    version: String,
    held: bool,
    name: String,
    namespace: Option<String>,
    selector: Vec<(String, String)>,
    context: Context,
    module: Module,
    sha256: Option<String>,
    vm_id: String,
}

impl Rendering<'_> {
    fn metadata(&self) -> Node<'_> {
        let namespace = self.namespace.as_deref().map(|namespace| ("namespace", text(namespace)));
        object([("name", text(&self.name))].into_iter().chain(namespace))
    }

    fn labels(&self) -> Option<Node<'_>> {
        let labels = self.selector.iter().map(|(key, value)| (key.as_str(), text(value)));
        (!self.selector.is_empty()).then(|| object(labels))
    }
}

/// Where a policy comes from.
enum Input {
    File(Source),
    Directory(Directory),
}

/// Prints the object.
pub(crate) fn perform(args: &Args) -> ExitCode {
    let input = match (&args.dir, &args.policy) {
        (Some(path), _) => Directory::read(path).map(Input::Directory),
        // The arguments name one of both.
        (None, path) => {
            let path = path.clone().unwrap_or_default();
            document::open(&path).map(Input::File).map_err(|fault| (path, fault))
        }
    };
    let input = match input {
        Ok(input) => input,
        Err((path, fault)) => {
            output::complain(&path, &fault);
            return ExitCode::from(UNREAD);
        }
    };
    match render(args, &input) {
        // Nothing here has colours, which would be taken out of bytes that look like them.
        Ok(bytes) => match io::stdout().write_all(&bytes) {
            Err(fault) if fault.kind() != io::ErrorKind::BrokenPipe => {
                output::complain(Path::new("standard output"), &fault);
                ExitCode::from(UNREAD)
            }
            _ => ExitCode::SUCCESS,
        },
        Err(refusal) => refusal.tell(),
    }
}

fn render(args: &Args, input: &Input) -> Result<Vec<u8>, Refusal> {
    let (document, policy) = match input {
        Input::File(source) => single(source)?,
        Input::Directory(directory) => directory.merge()?,
    };
    let rendering = Rendering {
        policy: document,
        version: policy.current.version,
        held: policy.headers == HostHeaders::Held,
        name: args.name.clone(),
        namespace: args.namespace.clone(),
        selector: args.selector.clone(),
        context: args.context,
        module: args.module.clone(),
        sha256: args.sha256.clone(),
        vm_id: args.vm_id.clone(),
    };
    refuse_unworkable(args.form, &rendering)?;
    if args.binary {
        if args.form != Form::Ecds {
            return Err(Refusal::of_form("--binary: only --as ecds has a binary form; leave it out"));
        }
        return binary::resource(&rendering).map_err(|error| Refusal::unwritten(&error));
    }
    let object = match args.form {
        Form::Ecds => ecds::resource(&rendering),
        Form::ConfigMap => ecds::config_map(&rendering).map_err(|error| Refusal::unwritten(&error))?,
        Form::WasmPlugin => istio::wasm_plugin(&rendering),
        Form::EnvoyFilter => istio::envoy_filter(&rendering),
        Form::Policy => rendering.policy.clone(),
    };
    let object = Written(&object);
    if args.json {
        let text = serde_json::to_string_pretty(&object).map_err(|error| Refusal::unwritten(&error))?;
        return Ok((text + "\n").into_bytes());
    }
    serde_saphyr::to_string(&object).map(String::into_bytes).map_err(|error| Refusal::unwritten(&error))
}

/// The policy of one file, which may be inside of an Envoy or Istio configuration.
fn single(source: &Source) -> Result<(Node<'_>, Policy), Refusal> {
    let (document, _) = check::compiled(source).map_err(|refused| Refusal::of_file(source, refused))?;
    // What the filter reads is the document as JSON, which aliases may have made larger than the file.
    let json = serde_json::to_vec(&Written(&document.node)).map_err(|error| Refusal::unwritten(&error))?;
    let policy = Policy::parse(&json).map_err(|faults| Refusal::of_form(&format!("{}: {faults}", source.name())))?;
    Ok((document.node, policy))
}

/// Refuses what a proxy would not do, or would do wrong.
fn refuse_unworkable(form: Form, rendering: &Rendering<'_>) -> Result<(), Refusal> {
    let refuse = |problem: &str| Err(Refusal::of_form(problem));
    let remote = matches!(rendering.module, Module::Remote(_));
    match form {
        Form::WasmPlugin if rendering.held => refuse(
            "host.headers: held in a WasmPlugin would hang every request with a body, since Istio cannot set \
             allow_on_headers_stop_iteration there; render an EnvoyFilter (--as envoy-filter), or set it to streamed",
        ),
        Form::Ecds | Form::ConfigMap if remote => {
            refuse("--module: only Istio fetches a module; Envoy by itself reads it from a path in its own file system")
        }
        Form::Ecds | Form::ConfigMap | Form::EnvoyFilter if !remote && rendering.sha256.is_some() => {
            refuse("--sha256: Envoy checks no module that it reads from its own file system; leave it out")
        }
        Form::EnvoyFilter if remote && rendering.sha256.is_none() => {
            refuse("--sha256: missing; an EnvoyFilter that fetches its module has to say which one it expects")
        }
        _ => Ok(()),
    }
}

/// A name as Kubernetes takes it for objects and namespaces (RFC 1123).
fn name(text: &str) -> Result<String, String> {
    let within = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(within) && text.bytes().last().is_some_and(within);
    if ends && text.len() <= 63 && text.bytes().all(|byte| within(byte) || byte == b'-') {
        return Ok(text.to_owned());
    }
    Err("expected 1 to 63 small letters, digits and -, with a letter or digit at both ends".to_owned())
}

/// A label as Kubernetes' own tools take it.
fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn sha256(text: &str) -> Result<String, String> {
    let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(text.to_ascii_lowercase()) } else { Err("expected 64 hexadecimal digits".to_owned()) }
}
