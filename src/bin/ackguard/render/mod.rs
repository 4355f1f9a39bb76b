//! `ackguard render`: a policy as the object that brings it into a proxy.

mod directory;
mod ecds;
mod istio;
mod module;
mod read;
mod tree;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ackguard::policy::{HostHeaders, Policy};

use istio::Context;
use module::Module;
use read::Unreadable;
use tree::Tree;

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
    /// The policy, YAML or JSON
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
struct Rendering {
    policy: Tree,
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

impl Rendering {
    fn metadata(&self) -> Tree {
        let mut metadata = Tree::object([("name", self.name.as_str().into())]);
        if let Some(namespace) = &self.namespace {
            metadata.push("namespace", namespace.as_str().into());
        }
        metadata
    }

    fn labels(&self) -> Option<Tree> {
        let labels = self.selector.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        (!self.selector.is_empty()).then_some(Tree::Object(labels))
    }
}

/// Why nothing is printed.
enum Refusal {
    /// Faults of the policy and conflicts, a line each.
    Policy(Vec<String>),
    /// A form that cannot do what is asked for.
    Form(String),
    /// A file that cannot be read.
    File(PathBuf, io::Error),
}

/// Prints the object.
pub(crate) fn perform(args: &Args) -> ExitCode {
    let refusal = match render(args) {
        Ok(text) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => Refusal::File("standard output".into(), error),
        },
        Err(refusal) => refusal,
    };
    let (lines, status) = match refusal {
        Refusal::Policy(lines) => (lines, 1),
        Refusal::Form(problem) => (vec![problem], 1),
        Refusal::File(path, error) => (vec![format!("{}: {error}", path.display())], 2),
    };
    for line in lines {
        anstream::eprintln!("{line}");
    }
    ExitCode::from(status)
}

fn render(args: &Args) -> Result<String, Refusal> {
    let (document, policy) = match (&args.dir, &args.policy) {
        (Some(directory), _) => directory::load(directory)?,
        (None, Some(path)) => single(path)?,
        (None, None) => return Err(Refusal::Form("expected a policy, or --dir".to_owned())),
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
    check(args.form, &rendering)?;
    let tree = match args.form {
        Form::Ecds => Ok(ecds::resource(&rendering)),
        Form::ConfigMap => ecds::config_map(&rendering),
        Form::WasmPlugin => Ok(istio::wasm_plugin(&rendering)),
        Form::EnvoyFilter => Ok(istio::envoy_filter(&rendering)),
        Form::Policy => Ok(rendering.policy),
    };
    let written = |error: &dyn std::fmt::Display| Refusal::Form(format!("cannot be written: {error}"));
    let tree = tree.map_err(|error| written(&error))?;
    if args.json {
        return serde_json::to_string_pretty(&tree).map(|text| text + "\n").map_err(|error| written(&error));
    }
    serde_saphyr::to_string(&tree).map_err(|error| written(&error))
}

/// A policy of one file.
fn single(path: &Path) -> Result<(Tree, Policy), Refusal> {
    let read = match read::read(path) {
        Ok(read) => read,
        Err(Unreadable::File(error)) => return Err(Refusal::File(path.to_owned(), error)),
        Err(Unreadable::Syntax(problem)) => {
            return Err(Refusal::Policy(vec![format!("{}:{problem}", path.display())]));
        }
    };
    let policy = read.policy.map_err(|faults| {
        let lines = faults.to_string();
        Refusal::Policy(lines.lines().map(|fault| format!("{}: {fault}", path.display())).collect())
    })?;
    Ok((read.tree, policy))
}

/// Refuses what a proxy would not do, or would do wrong.
fn check(form: Form, rendering: &Rendering) -> Result<(), Refusal> {
    let refuse = |problem: &str| Err(Refusal::Form(problem.to_owned()));
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
