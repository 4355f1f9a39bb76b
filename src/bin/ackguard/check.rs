//! `ackguard check`: everything that is wrong with a policy, and everything that is unwise.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use ackguard::policy::advice::{Advice, advise};
use ackguard::policy::{MAX_DOCUMENT, Policy, Problem};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{self, Document};
use crate::output::{self, REFUSED};
use crate::source::Source;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// How alike two names are, from 0 to 1, so that one may be meant by the other: one letter of four may be wrong.
const LIKENESS: f32 = 0.75;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ackguard check policy.yaml
  ackguard check envoy/static.yaml        # the policy inside an Envoy or Istio configuration
  ackguard check --deny-warnings policies/*.yaml
  kubectl get wasmplugin ackguard -o yaml | ackguard check -
  ackguard check --json policy.yaml | jq '.policies[].diagnostics[].code'

An error is what the filter would refuse the policy for. A warning is legal and unwise.
Exit status: 0 when all policies are accepted, 1 when one is refused, 2 when a file cannot be read.")]
pub(crate) struct Args {
    /// Policies: JSON or YAML, or an Envoy or Istio configuration with one inside; - is standard input
    #[arg(required = true, value_name = "POLICY")]
    policies: Vec<PathBuf>,
    /// Refuse a policy that has warnings
    #[arg(long)]
    deny_warnings: bool,
    /// Leave out the warnings of this code; may be given more than once
    #[arg(long, value_name = "CODE")]
    allow: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks the policies.
pub(crate) fn perform(args: &Args) -> ExitCode {
    output::perform(|out| check(args, out))
}

/// What was found in one file.
struct Checked {
    source: Source,
    within: Option<String>,
    version: Option<String>,
    diagnostics: Vec<Diagnostic>,
    /// Errors beyond those that are told one by one.
    untold: usize,
    /// Whether warnings are reason enough to refuse it.
    deny_warnings: bool,
}

impl Checked {
    fn count(&self, severity: Severity) -> usize {
        let told = self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
        if severity == Severity::Error { told + self.untold } else { told }
    }

    fn is_accepted(&self) -> bool {
        self.count(Severity::Error) == 0 && !(self.deny_warnings && self.count(Severity::Warning) > 0)
    }
}

fn check(args: &Args, out: &mut impl Write) -> io::Result<ExitCode> {
    let mut unread = false;
    let mut checked = Vec::new();
    for path in &args.policies {
        match document::open(path) {
            Ok(source) => checked.push(check_one(source, args)),
            Err(fault) => {
                unread = true;
                output::complain(path, &fault);
            }
        }
    }
    let sum = |severity| checked.iter().map(|checked| checked.count(severity)).sum::<usize>();
    let (errors, warnings) = (sum(Severity::Error), sum(Severity::Warning));
    if args.json {
        let policies: Vec<Value> = checked.iter().map(to_json).collect();
        let report = json!({ "policies": policies, "errors": errors, "warnings": warnings });
        writeln!(out, "{report:#}")?;
    } else {
        for checked in &checked {
            write(checked, out)?;
        }
    }
    let refused = checked.iter().any(|checked| !checked.is_accepted());
    Ok(match (unread, refused) {
        (true, _) => ExitCode::from(output::UNREAD),
        (false, true) => ExitCode::from(REFUSED),
        (false, false) => ExitCode::SUCCESS,
    })
}

fn check_one(source: Source, args: &Args) -> Checked {
    let mut checked = Checked {
        source,
        within: None,
        version: None,
        diagnostics: Vec::new(),
        untold: 0,
        deny_warnings: args.deny_warnings,
    };
    match compiled(&checked.source) {
        Ok((document, policy)) => {
            let advice = advise(&document.node, &policy).into_iter();
            let advice = advice.filter(|advice| !args.allow.iter().any(|code| code == advice.concern.code()));
            checked.diagnostics = advice.map(warning).collect();
            checked.within = document.within;
            checked.version = Some(policy.current.version);
        }
        Err(faults) => {
            checked.untold = faults.count - faults.told.len();
            checked.within = faults.within;
            checked.diagnostics = faults.told;
        }
    }
    checked
}

/// Why a source's policy is refused.
pub(crate) struct Refused {
    /// The faults, in the order of their places; the first hundred of them.
    pub(crate) told: Vec<Diagnostic>,
    /// How many there are.
    pub(crate) count: usize,
    /// Where in the file the policy stands, unless it is the file.
    pub(crate) within: Option<String>,
}

/// The document of a source, and the policy that it compiles to.
///
/// # Errors
/// When it is no document, or the filter would refuse it.
pub(crate) fn compiled(source: &Source) -> Result<(Document<'_>, Policy), Refused> {
    let document = document::read(source).map_err(|fault| Refused {
        told: vec![Diagnostic {
            severity: Severity::Error,
            code: fault.code,
            path: String::new(),
            message: fault.problem,
            place: Some(fault.place),
        }],
        count: 1,
        within: None,
    })?;
    let bytes = source.text().len();
    if document.within.is_none() && bytes > MAX_DOCUMENT {
        let problem = Problem::TooLarge { bytes, most: MAX_DOCUMENT };
        return Err(Refused { told: vec![error(String::new(), None, &problem)], count: 1, within: None });
    }
    match Policy::compile(&document.node) {
        Ok(policy) => Ok((document, policy)),
        Err(faults) => {
            let mut told: Vec<&_> = faults.told().iter().collect();
            told.sort_by_key(|fault| fault.place);
            let told = told.into_iter().map(|fault| error(fault.path.clone(), fault.place, &fault.problem));
            Err(Refused { told: told.collect(), count: faults.count(), within: document.within })
        }
    }
}

fn warning(advice: Advice) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        code: advice.concern.code(),
        message: advice.concern.to_string(),
        path: advice.path,
        place: advice.place,
    }
}

fn error(path: String, place: Option<usize>, problem: &Problem) -> Diagnostic {
    let mut message = problem.to_string();
    if let Problem::Unknown { known } = problem
        && let Some(meant) = meant(path.rsplit('.').next().unwrap_or_default(), known)
    {
        message.push_str(&format!("; did you mean {meant}?"));
    }
    Diagnostic { severity: Severity::Error, code: problem.code(), path, message, place }
}

/// The known name that is most like an unknown one, where one is much like it.
fn meant<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    similar::get_close_matches(name, known, 1, LIKENESS).into_iter().next()
}

fn write(checked: &Checked, out: &mut impl Write) -> io::Result<()> {
    for diagnostic in &checked.diagnostics {
        diagnostic.write(&checked.source, out)?;
    }
    if checked.untold > 0 {
        writeln!(out, "and {} more errors", checked.untold)?;
    }
    let name = checked.source.name();
    let within = checked.within.as_ref().map(|path| format!(", at {path}")).unwrap_or_default();
    let (errors, warnings) = (checked.count(Severity::Error), checked.count(Severity::Warning));
    let counts = match (errors, warnings) {
        (0, 0) => String::new(),
        (0, warnings) => format!(" with {}", output::count(warnings, "warning")),
        (errors, _) => format!(" with {}", output::count(errors, "error")),
    };
    let version = checked.version.as_ref().map(|version| format!(": version {version}")).unwrap_or_default();
    let (style, word) = if checked.is_accepted() { (GOOD, "accepted") } else { (BAD, "refused") };
    writeln!(out, "{name}: {style}{word}{style:#}{counts}{version}{within}")
}

fn to_json(checked: &Checked) -> Value {
    let diagnostics: Vec<Value> = checked.diagnostics.iter().map(|one| one.to_json(&checked.source)).collect();
    json!({
        "file": checked.source.name(),
        "within": checked.within,
        "version": checked.version,
        "accepted": checked.is_accepted(),
        "errors": checked.count(Severity::Error),
        "warnings": checked.count(Severity::Warning),
        "diagnostics": diagnostics,
    })
}
