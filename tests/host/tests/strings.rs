//! The inside of strings is read by WebAssembly's vectors in the built filter, and by words elsewhere: here is the filter's.

use host_double::plugin::Plugin;
use host_double::traffic::{self, Exchange, Policy};
use stack::HostMode;

/// More bytes than three vectors and what stands before and behind them.
const LONGEST: usize = 120;

/// A pull's answer: one message, whose body is so many bytes, and then `end` and as many more.
fn answered(before: usize, end: &str) -> Exchange {
    let mut pulls = traffic::all().into_iter().map(|traffic| traffic.exchange);
    let mut exchange = pulls.find(|exchange| exchange.request.path.ends_with(":pull")).expect("a pull");
    let plain = "x".repeat(before);
    let message = format!(r#"{{"body":"{plain}{end}{plain}","receipt":"r","ackTimeout":5000}}"#);
    exchange.answer.pieces = vec![format!(r#"{{"messages":[{message}]}}"#).into_bytes()];
    exchange
}

/// Whether the filter finds the message of each answer, and how many answers it could not read.
fn found(end: &str) -> (Vec<bool>, u64) {
    let mut plugin = Plugin::start(HostMode::Held, &Policy::Shipped.document(HostMode::Held));
    let is_found = |before| {
        let details = plugin.play(&answered(before, end)).details.expect("details");
        details.contains(r#""messages":1"#)
    };
    let all = (0..LONGEST).map(is_found).collect();
    let counters = plugin.counters().into_iter();
    let unread = counters.filter(|(name, _)| name.starts_with("ackguard_unread_answers_total"));
    (all, unread.map(|(_, count)| count).sum())
}

#[test]
fn a_string_goes_on_behind_an_escape_wherever_it_stands() {
    for end in ["", r#"\""#, r"\\", r"\n", r"\u0041", r#"\",\"receipt\":\"no\""#] {
        assert_eq!(found(end), (vec![true; LONGEST], 0), "{end}");
    }
}

#[test]
fn a_string_ends_with_its_quote_and_holds_no_control_character_wherever_they_stand() {
    for end in ["\"", "\u{1f}", "\0", "\n", r"\x"] {
        assert_eq!(found(end), (vec![false; LONGEST], LONGEST as u64), "{end:?}");
    }
}
