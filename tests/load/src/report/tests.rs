use std::sync::Arc;

use super::*;
use crate::Tally;
use crate::client::Subscription;
use crate::incident::IncidentOptions;
use crate::latency::{Latencies, Operation};
use crate::verdict::deviations;

const MESSAGES: u64 = 400;

fn outcome(lost: u64, ackguard: Option<&str>) -> RunOutcome {
    let at = |seconds, ready, acked, archived| Sample {
        at: Duration::from_secs(seconds),
        ledger: GroupLedger { published: MESSAGES, ready, acked, archived, ..GroupLedger::default() },
    };
    let last = at(2, 0, MESSAGES - lost, lost);
    let latencies = Latencies::new();
    latencies.record(Operation::Ack, Duration::from_millis(3));
    RunOutcome {
        ledger: last.ledger,
        timeline: vec![at(0, MESSAGES, 0, 0), at(1, MESSAGES / 2, (MESSAGES - lost) / 2, lost / 2), last],
        subscription: Subscription {
            consumer_id: "c".to_owned(),
            ack_timeout: Duration::from_secs(10),
            max_reconsume_times: 3,
            dead_letter_topic: None,
            ackguard: ackguard.map(str::to_owned),
        },
        tally: Tally::default(),
        latencies: Arc::new(latencies),
        took: Duration::from_secs(2),
        cpu: Vec::new(),
    }
}

fn incident(guarded_lost: u64) -> Incident {
    Incident {
        options: IncidentOptions { messages: MESSAGES, ..IncidentOptions::default() },
        bare: outcome(MESSAGES, None),
        guarded: outcome(guarded_lost, Some("clamp; field=ackTimeout; from=0; to=10000; note=<script>")),
    }
}

fn rendered(guarded_lost: u64) -> String {
    let incident = incident(guarded_lost);
    let deviations = deviations(&incident.result());
    Report { incident: &incident, policy: Some("ack_timeout: { default: 10s }"), deviations: &deviations }
        .page()
        .unwrap()
}

#[test]
fn nothing_of_the_page_is_outside_of_it() {
    let page = rendered(0);
    for reference in ["://", "src=", "href=", "@import", "url(", "<script", "<link", "<iframe", "<object"] {
        assert!(!page.contains(reference), "the page has {reference:?}");
    }
}

#[test]
fn the_page_has_every_plot_and_the_theme_for_its_colors() {
    let page = rendered(0);
    assert_eq!(page.matches("<svg").count(), Side::BOTH.len() + LINES.len());
    for ink in Ink::ALL {
        assert!(page.contains(&format!("[fill=\"{}\"]", ink.hex())), "{ink:?} has no rule");
        assert!(page.contains(&format!("{}:", ink.property())), "{ink:?} has no color");
    }
}

#[test]
fn the_page_says_what_the_gateway_did_and_escapes_it() {
    let page = rendered(0);
    assert!(page.contains("x-ackguard: clamp; field=ackTimeout; from=0; to=10000; note=&lt;script&gt;"));
    assert!(page.contains("ack_timeout: { default: 10s }"));
    assert!(!page.contains("Not as expected"));
}

#[test]
fn the_page_says_what_is_not_as_expected() {
    assert!(rendered(1).contains("Not as expected: guarded: lost is 1, expected 0"));
}
