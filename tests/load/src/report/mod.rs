//! `report.html`: one page with nothing outside it, for a reader who has seen neither the terminal nor the code.

mod chart;

use std::time::Duration;

use indicatif::HumanCount;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::client::GroupLedger;
use crate::incident::{ACK_TIMEOUT, Incident};
use crate::run::{RunOutcome, Sample};
use crate::table::{self, Row, effort};
use crate::verdict::{Deviation, Side};

pub use chart::ChartError;
use chart::{FATES, Figure, Ink};

const STYLE: &str = include_str!("style.css");

/// Every figure that has a plot with a line for each run.
const LINES: [(&str, Figure); 4] = [
    ("Ready", |ledger| ledger.ready),
    ("In flight", |ledger| ledger.in_flight),
    ("Acked", |ledger| ledger.acked),
    ("Lost", GroupLedger::lost),
];

/// What a page tells.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Both runs.
    pub incident: &'a Incident,
    /// The guarded listener's policy, as text, where it is known.
    pub policy: Option<&'a str>,
    /// Where the figures are not what the incident is to show.
    pub deviations: &'a [Deviation],
}

impl Report<'_> {
    /// The report as one HTML page.
    ///
    /// # Errors
    /// [`ChartError`] when a plot cannot be drawn.
    pub fn page(&self) -> Result<String, ChartError> {
        let incident = self.incident;
        let messages = HumanCount(incident.options.messages);
        let body = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { "AckGuard: the incident, " (messages) " messages" }
                    style { (PreEscaped(STYLE)) (PreEscaped(ink_rules())) }
                }
                body {
                    main {
                        header {
                            h1 { (messages) " messages, " code { "ackTimeout: " (ACK_TIMEOUT.as_millis()) } }
                            @for deviation in self.deviations {
                                p.deviation role="alert" { "Not as expected: " (deviation) }
                            }
                            div.pair { (card(Side::Bare, &incident.bare)) (card(Side::Guarded, &incident.guarded)) }
                        }
                        (story(incident))
                        (plots(incident)?)
                        (figures(incident))
                        (gateway(incident, self.policy))
                        (conditions(incident))
                    }
                }
            }
        };
        Ok(body.into_string())
    }
}

/// Gives each of the plots' stand-in colours the theme's.
fn ink_rules() -> String {
    let rule = |ink: Ink| {
        let (hex, property) = (ink.hex(), ink.property());
        // Dashes tell the two runs' lines apart without their colours.
        let dashes = if ink == Ink::Bare { ";stroke-dasharray:5 3" } else { "" };
        format!("[fill=\"{hex}\"]{{fill:var({property})}}[stroke=\"{hex}\"]{{stroke:var({property}){dashes}}}")
    };
    Ink::ALL.into_iter().map(rule).collect()
}

fn card(side: Side, outcome: &RunOutcome) -> Markup {
    let lost = outcome.ledger.lost();
    let way = match side {
        Side::Bare => "through the bare gateway",
        Side::Guarded => "through the same gateway with AckGuard",
    };
    html! {
        div.card.(if lost == 0 { "kept" } else { "gone" }) {
            strong { (HumanCount(lost)) " lost" }
            span { (way) }
        }
    }
}

/// What happened, from the ledgers' figures.
fn story(incident: &Incident) -> Markup {
    let (bare, guarded) = (&incident.bare, &incident.guarded);
    let in_force = &guarded.subscription;
    html! {
        section {
            h2 { "What happened" }
            p {
                "A consumer group subscribed with " code { "ackTimeout: " (ACK_TIMEOUT.as_millis()) } ", so the broker judged "
                "each delivery failed while the consumer was still at work on it, delivered it again "
                (format!("{:.0}", incident.result().bare.redeliveries_per_message)) " times, and then archived "
                (HumanCount(bare.ledger.archived)) " of " (HumanCount(bare.ledger.published))
                " messages without a dead letter. "
                "The consumers did the work " (HumanCount(bare.tally.deliveries)) " times, and "
                (HumanCount(bare.tally.acks_refused)) " of their acks came too late. "
                "With AckGuard in the same gateway and the same settings, the subscription reached the broker with "
                code { "ackTimeout: " (in_force.ack_timeout.as_millis()) } ": " (HumanCount(guarded.ledger.acked))
                " messages were acknowledged and " (HumanCount(guarded.ledger.lost())) " lost."
            }
        }
    }
}

fn plots(incident: &Incident) -> Result<Markup, ChartError> {
    let longest = incident.bare.took.max(incident.guarded.took);
    let (bare, guarded) = (until(longest, &incident.bare), until(longest, &incident.guarded));
    let messages = incident.options.messages;
    let stacked = [(Side::Bare, &bare), (Side::Guarded, &guarded)]
        .map(|(side, timeline)| chart::fates(timeline, longest, messages).map(|svg| plot(side.name(), &svg)));
    // The later one is drawn above: where the lines are one, dashes leave room for the other.
    let runs = [(Ink::Guarded, guarded.as_slice()), (Ink::Bare, bare.as_slice())];
    let lines = LINES.map(|(name, figure)| chart::figure(&runs, longest, figure).map(|svg| plot(name, &svg)));
    Ok(html! {
        section {
            h2 { "Where the messages were" }
            (legend("area", &FATES.map(|(name, ink, _)| (name, ink))))
            div.pair { @for plot in stacked { (plot?) } }
        }
        section {
            h2 { "Both runs, figure by figure" }
            (legend("line", &[(Side::Bare.name(), Ink::Bare), (Side::Guarded.name(), Ink::Guarded)]))
            div.pair { @for plot in lines { (plot?) } }
        }
    })
}

/// The timeline of a run, drawn on to the end of the longer one: what became of its messages is final.
fn until(longest: Duration, outcome: &RunOutcome) -> Vec<Sample> {
    let end = Sample { at: longest, ledger: outcome.ledger };
    outcome.timeline.iter().copied().chain([end]).collect()
}

fn plot(name: &str, svg: &str) -> Markup {
    html! { figure { figcaption { (name) } (PreEscaped(svg)) } }
}

/// What the colours of a row of plots stand for; `mark` is the style's class for an area or a line.
fn legend(mark: &str, entries: &[(&str, Ink)]) -> Markup {
    html! {
        ul.legend {
            @for (name, ink) in entries {
                li { i.(mark) .dashed[*ink == Ink::Bare] style={ "border-color:var(" (ink.property()) ")" } {} (name) }
            }
        }
    }
}

fn figures(incident: &Incident) -> Markup {
    html! {
        section {
            h2 { "The figures" }
            (rows(&table::fate_rows(&incident.result())))
            p.note { "By the broker's own ledger, read after the last consumer had left." }
            (rows(&table::latency_rows(&incident.bare.latencies, &incident.guarded.latencies)))
            p.note { "As the consumers measured it, through the gateway and back." }
        }
    }
}

fn rows(rows: &[Row]) -> Markup {
    html! {
        table {
            thead { tr { @for head in table::HEAD { th scope="col" { (head) } } } }
            tbody {
                @for [name, bare, guarded] in rows { tr { th scope="row" { (name) } td { (bare) } td { (guarded) } } }
            }
        }
    }
}

fn gateway(incident: &Incident, policy: Option<&str>) -> Markup {
    html! {
        section {
            h2 { "What the gateway did" }
            p { "Its answer to each subscribe carried, without AckGuard and with it:" }
            dl {
                @for (side, outcome) in [(Side::Bare, &incident.bare), (Side::Guarded, &incident.guarded)] {
                    dt { (side.name()) }
                    dd { @match &outcome.subscription.ackguard {
                        Some(told) => code { "x-ackguard: " (told) },
                        None => { "no " code { "x-ackguard" } " header" }
                    } }
                }
            }
            @if let Some(policy) = policy {
                p { "The policy in force:" }
                pre { code { (policy) } }
            }
        }
    }
}

fn conditions(incident: &Incident) -> Markup {
    let options = &incident.options;
    let work = options.workload.range();
    html! {
        section {
            h2 { "How it was run" }
            dl {
                dt { "consumers" } dd { (options.consumers) ", each with " (options.concurrency) " workers" }
                dt { "work" } dd {
                    (humantime::format_duration(*work.start())) " to "
                    (humantime::format_duration(*work.end())) " a message, drawn by seed " (options.workload.seed())
                }
                @for (side, outcome) in [(Side::Bare, &incident.bare), (Side::Guarded, &incident.guarded)] {
                    dt { (side.name()) }
                    dd { (effort(outcome)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
