//! An explanation for people.

use std::io::{self, Write};

use ackguard::dialect::{Dialect, Route};
use ackguard::http::Reply;
use ackguard::judgement::{Effect, Guarded, Judgement, Ruling};
use ackguard::operation::Kind;
use ackguard::policy::limit::{Cost, Key, Reach};
use ackguard::policy::{Mode, write_duration, write_rate};
use ackguard::telemetry::{Decision, HEADER, Scope};
use anstyle::{AnsiColor, Style};
use similar::ChangeTag;

use super::Explained;
use super::findings::{asked, in_force};
use super::limits::{Asking, asking, written};
use super::origin::Origins;
use crate::gateway::{Judged, spares_limits};
use crate::output::visible;

const NAME: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const CHANGED: Style = AnsiColor::Yellow.on_default();

pub(super) fn write(explained: &Explained<'_>, out: &mut impl Write) -> io::Result<()> {
    let (method, target) = &explained.request.line;
    let request = visible(format!("{method} {target}").as_bytes());
    line(out, "request", &request)?;
    match &explained.judged {
        Judged::Foreign => {
            line(out, "operation", "none: no entry of traffic reads it")?;
            verdict(out, Decision::Pass)?;
            goes_on(explained, out)
        }
        Judged::Free { dialect, route } => {
            let kind = route.as_ref().map_or("unknown: the protocol does not define it", |route| route.kind.name());
            line(out, "operation", &format!("{} {kind}", dialect.name()))?;
            if let Some(route) = route {
                who(explained, out, route, None)?;
            }
            line(out, "rule", "none: it asks for nothing that is guarded")?;
            verdict(out, Decision::Pass)?;
            goes_on(explained, out)
        }
        Judged::Guarded { guarded, judgement } => guarded_request(explained, guarded, judgement, out),
    }
}

fn line(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{NAME}{name:<10}{NAME:#} {text}")
}

/// Who asks, and about what.
fn who(explained: &Explained<'_>, out: &mut impl Write, route: &Route, topic: Option<&str>) -> io::Result<()> {
    let source = match (explained.tenant_source(), &explained.source) {
        (Some(source), _) => format!("from {source}"),
        (None, Some((source, value))) => {
            format!("no rule asks for it; {source} says {}", visible(value.as_bytes()))
        }
        (None, None) => "no source names it".to_owned(),
    };
    let tenant = visible(explained.tenant.as_bytes());
    line(out, "tenant", &format!("{tenant} {DIM}({source}){DIM:#}"))?;
    if let Some(group) = &route.group {
        line(out, "group", &visible(group.0.as_bytes()))?;
    }
    if let Some(consumer) = &route.consumer {
        line(out, "consumer", &visible(consumer.0.as_bytes()))?;
    }
    let named = route.topic.as_ref().map(|topic| topic.0.as_str());
    match topic.or(named) {
        Some(topic) => {
            let remembered = explained.topic_given && named.is_none() && route.consumer.is_some();
            let note = if remembered { " (as its consumer subscribed to)" } else { "" };
            line(out, "topic", &format!("{}{DIM}{note}{DIM:#}", visible(topic.as_bytes())))
        }
        None if explained.lacks_topic() => {
            line(out, "topic", &format!("{DIM}(not known: --topic tells what its consumer subscribed to){DIM:#}"))
        }
        None => Ok(()),
    }
}

fn guarded_request(
    explained: &Explained<'_>,
    guarded: &Guarded,
    judgement: &Judgement<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    let dialect = guarded.dialect;
    line(out, "operation", &format!("{} {}", dialect.name(), guarded.route.kind.name()))?;
    let operation = judgement.read.as_ref();
    let topic = operation.ok().and_then(|operation| operation.topic.as_ref()).map(|topic| topic.0.as_str());
    who(explained, out, &guarded.route, topic)?;
    match operation {
        Ok(operation) => {
            for asked in asked(dialect, operation) {
                let fallback = asked.fallback.map(|value| format!(" {DIM}(the broker takes {value}){DIM:#}"));
                let said = visible(asked.said.as_bytes());
                line(out, "asks", &format!("{} {said}{}", asked.name, fallback.unwrap_or_default()))?;
            }
        }
        Err(fault) => {
            let message = visible(fault.message.as_bytes());
            line(out, "unreadable", &format!("{BAD}{}{BAD:#}: {message}", fault.reason.name()))?;
        }
    }
    match &judgement.ruling {
        Some(ruling) => {
            side(explained, judgement, ruling, out)?;
            rule(explained, judgement, ruling, out)?;
            findings(dialect, ruling, out)?;
        }
        None => line(out, "rule", "none: it asks for nothing that is guarded")?,
    }
    let asking = asking(explained.loaded, guarded, judgement);
    if !asking.is_empty() && spares_limits(judgement) {
        line(out, "limit", "none is asked: the rule refuses it")?;
    } else {
        asking.iter().try_for_each(|asking| limit(explained, judgement, asking, out))?;
    }
    verdict(out, judgement.decision())?;
    let trials = judgement.trials.iter().map(|trial| (trial.scope, &trial.ruling.rule.name, &trial.ruling.told));
    let limits = judgement.limits.tried.iter().map(|tried| (Scope::Limit, &tried.limit.name, &tried.refused));
    for (scope, name, told) in trials.chain(limits) {
        line(out, "tried", &format!("{} {name}: {}", scope.name(), told.as_deref().unwrap_or("pass")))?;
    }
    let told = match (&judgement.limits.refused, &judgement.ruling) {
        (Some(refused), _) => Some((&refused.told, refused.mode)),
        (None, Some(ruling)) => ruling.told.as_ref().map(|told| (told, ruling.set.mode)),
        (None, None) => None,
    };
    if let Some((told, mode)) = told {
        line(out, if mode == Mode::Enforce { HEADER } else { "logged" }, told)?;
    }
    goes_on(explained, out)
}

/// A limit that the request is asked by.
fn limit(
    explained: &Explained<'_>,
    judgement: &Judgement<'_>,
    asking: &Asking<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    let Asking { limit, line: at, key, cost } = asking;
    let file = explained.loaded.file();
    let at = at.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
    line(out, "limit", &format!("{} {DIM}({at}){DIM:#}", limit.name))?;
    let mut row = |name: &str, value: &str, note: &str| {
        let note = if note.is_empty() { String::new() } else { format!(" {DIM}{note}{DIM:#}") };
        writeln!(out, "  {name:<21} {value:<width$}{note}", width = if note.is_empty() { 0 } else { 14 })
    };
    if key.is_empty() {
        row("key", "none", "one bucket for all")?;
    }
    for (key, value) in key {
        let note = match (value, key) {
            (Some(_), _) => "",
            (None, Key::Topic) => "not known: --topic tells what its consumer subscribed to",
            (None, Key::Client) => "not known: --property source.address=… tells it",
            (None, Key::Tenant | Key::Group) => "the request names none",
        };
        row(&format!("key.{}", key.name()), &value.map_or("-".to_owned(), |value| visible(value.as_bytes())), note)?;
    }
    let later = judgement.kind == Kind::Pull && limit.cost != Cost::Requests;
    let unit = limit.cost.name();
    row(
        "cost",
        &cost.to_string(),
        &if later { format!("{unit}, and later what it brings beyond") } else { unit.to_owned() },
    )?;
    match &limit.reach {
        Reach::Local { rate, burst } => {
            row("rate", &write_rate(*rate), "")?;
            row("burst", &burst.to_string(), "")?;
        }
        Reach::Fleet(service) => {
            let timeout = write_duration(service.timeout);
            let on_error = written(service.on_error);
            let note = format!("domain {}, timeout {timeout}, on_error {on_error}; not asked here", service.domain);
            row("global", &service.cluster, &note)?;
        }
    }
    row("over", if limit.over == Mode::Enforce { "reject" } else { "shadow" }, "")
}

fn side(
    explained: &Explained<'_>,
    judgement: &Judgement<'_>,
    ruling: &Ruling<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    let version = &ruling.set.version;
    match (&explained.loaded.policy.rollout, explained.stage) {
        (None, _) => line(out, "policy", version),
        (Some(rollout), None) => {
            line(out, "policy", &format!("{version} {DIM}(before any stage of {}){DIM:#}", rollout.candidate.version))
        }
        (Some(rollout), Some(stage)) => {
            let (side, candidate) = (judgement.side.name(), &rollout.candidate.version);
            line(out, "policy", &format!("{version} {DIM}({side}, at stage {stage} of {candidate}){DIM:#}"))
        }
    }
}

fn rule(
    explained: &Explained<'_>,
    judgement: &Judgement<'_>,
    ruling: &Ruling<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    let loaded = explained.loaded;
    let place = Origins::of(&loaded.node, ruling.rule, judgement.side).rule();
    line(out, "rule", &format!("{} {DIM}({}){DIM:#}", ruling.rule.name, loaded.file_line(place)))?;
    for field in in_force(loaded, judgement.side, ruling) {
        let at = field.line.map(|line| format!(" line {line}")).unwrap_or_default();
        writeln!(out, "  {:<21} {:<14} {DIM}{}{at}{DIM:#}", field.path, field.value, field.by)?;
    }
    Ok(())
}

fn findings(dialect: Dialect, ruling: &Ruling<'_>, out: &mut impl Write) -> io::Result<()> {
    for finding in &ruling.verdict.findings {
        let name = dialect.field_name(finding.field);
        let text = format!("{name} is {}: {CHANGED}{}{CHANGED:#}", finding.violation.name(), finding.action.name());
        line(out, "finding", &text)?;
    }
    Ok(())
}

fn verdict(out: &mut impl Write, decision: Decision) -> io::Result<()> {
    let style = match decision {
        Decision::Pass => GOOD,
        Decision::Edit | Decision::WouldEdit | Decision::WouldReject => CHANGED,
        Decision::Reject => BAD,
    };
    let style = style.bold();
    line(out, "verdict", &format!("{style}{}{style:#}", decision.name()))
}

fn goes_on(explained: &Explained<'_>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out)?;
    if let Effect::Answer(reply) = explained.effect() {
        return answer(reply, out);
    }
    let lines = explained.comparison();
    if lines.is_empty() {
        return writeln!(out, "The request goes on as it came.");
    }
    writeln!(out, "The request goes on like this:")?;
    for line in lines {
        let (sign, style) = match line.tag {
            ChangeTag::Delete => ("-", BAD),
            ChangeTag::Insert => ("+", GOOD),
            ChangeTag::Equal => (" ", Style::new()),
        };
        let text = format!("{sign}{}", line.text);
        writeln!(out, "{style}{}{style:#}", text.trim_end_matches(' '))?;
    }
    Ok(())
}

fn answer(reply: &Reply, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "The client gets this answer:")?;
    writeln!(out, "HTTP/1.1 {}", reply.status)?;
    for (name, value) in &reply.headers {
        writeln!(out, "{name}: {}", visible(value.as_bytes()))?;
    }
    writeln!(out, "\n{}", visible(reply.body.as_bytes()))
}
