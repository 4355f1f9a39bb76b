use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use crate::operation::Millis;
use crate::policy::Mode;
use crate::policy::limit::{Cost, Key, Limit, MAX_SERVICE_NAME, OnError, Operations, Rate, Reach, Service};

use super::message::{Code, Duration, HeaderValue, RateLimit, Response, Status};
use super::{Answer, Call, Demand, Header, MAX_RESPONSE, Over, Unanswered, target};

fn limit(name: &str, key: &[Key], over: Mode, timeout: i64, on_error: OnError) -> Rc<Limit> {
    let service = Service { cluster: "ratelimit".into(), domain: "mq".into(), timeout: Millis(timeout), on_error };
    Rc::new(Limit {
        name: name.into(),
        operations: Operations::ANY,
        key: key.to_vec(),
        cost: Cost::Messages,
        over,
        reach: Reach::Fleet(service),
    })
}

fn demand<'a>(limit: &'a Rc<Limit>, values: &[&'a str], cost: u64) -> Demand<'a> {
    let Reach::Fleet(service) = &limit.reach else { panic!("a fleet's limit") };
    Demand { limit, service, values: values.to_vec(), cost }
}

fn simple(name: &str, over: Mode) -> Rc<Limit> {
    limit(name, &[], over, 20, OnError::Allow)
}

/// A call for limits with these names and modes.
fn call(limits: &[(&str, Mode)]) -> Call {
    let limits: Vec<Rc<Limit>> = limits.iter().map(|(name, over)| simple(name, *over)).collect();
    let demands: Vec<Demand<'_>> = limits.iter().map(|limit| demand(limit, &[], 1)).collect();
    Call::new(&demands).expect("limits")
}

fn status(code: Code, remaining: u32, seconds: i64, nanos: i32) -> Status {
    Status {
        code: code.into(),
        current_limit: None,
        limit_remaining: remaining,
        duration_until_reset: Some(Duration { seconds, nanos }),
    }
}

fn response(code: Code, statuses: Vec<Status>) -> Vec<u8> {
    Response { overall_code: code.into(), statuses, response_headers_to_add: Vec::new() }.encode_to_vec()
}

#[test]
fn limits_that_cost_the_same_say_it_once() {
    let limit = limit("fleet", &[Key::Tenant, Key::Topic], Mode::Enforce, 20, OnError::Allow);
    let call = Call::new(&[demand(&limit, &["app", "orders"], 16)]).unwrap();
    // By Envoy's protos: domain = 1; descriptors = 2 { entries = 1 { key = 1, value = 2 } }; hits_addend = 3.
    let expected = [
        &b"\x0a\x02mq\x12\x30"[..],
        b"\x0a\x0e\x0a\x05limit\x12\x05fleet",
        b"\x0a\x0d\x0a\x06tenant\x12\x03app",
        b"\x0a\x0f\x0a\x05topic\x12\x06orders",
        b"\x18\x10",
    ];
    assert_eq!(call.message, expected.concat());
    assert_eq!(&*call.cluster, "ratelimit");
}

#[test]
fn limits_that_cost_differently_say_it_each() {
    let (a, b) = (simple("a", Mode::Enforce), simple("b", Mode::Enforce));
    let call = Call::new(&[demand(&a, &[], 1), demand(&b, &[], 300)]).unwrap();
    // hits_addend = 3 { value = 1 } of each descriptor.
    let expected = [
        &b"\x0a\x02mq"[..],
        b"\x12\x10\x0a\x0a\x0a\x05limit\x12\x01a\x1a\x02\x08\x01",
        b"\x12\x11\x0a\x0a\x0a\x05limit\x12\x01b\x1a\x03\x08\xac\x02",
    ];
    assert_eq!(call.message, expected.concat());
}

#[test]
fn a_cost_that_the_request_cannot_say_is_said_by_the_descriptor() {
    for (cost, end) in [(0, &b"\x1a\x00"[..]), (1 << 32, b"\x1a\x06\x08\x80\x80\x80\x80\x10")] {
        let limit = simple("a", Mode::Enforce);
        let message = Call::new(&[demand(&limit, &[], cost)]).unwrap().message;
        assert!(message.ends_with(end), "{cost}: {message:x?}");
    }
}

#[test]
fn nothing_is_asked_where_no_limit_is() {
    assert_eq!(Call::new(&[]), None);
}

#[test]
fn the_least_timeout_holds_and_without_an_answer_the_limits_that_reject_are_over() {
    use {Mode::*, OnError::*};
    let cases = [
        (vec![("a", Enforce, 20, Allow)], 20, vec![], None),
        (vec![("a", Enforce, 20, Allow), ("b", Enforce, 5, Reject)], 5, vec!["b"], Some("b")),
        (vec![("a", Enforce, 20, Reject), ("b", Enforce, 20, Reject)], 20, vec!["a", "b"], Some("a")),
        (vec![("a", Enforce, 20, Allow), ("b", Shadow, 5, Reject)], 5, vec!["b"], None),
        (vec![("a", Shadow, 7, Reject), ("b", Enforce, 9, Reject)], 7, vec!["a", "b"], Some("b")),
    ];
    for (limits, timeout, over, refuses) in cases {
        let limits: Vec<Rc<Limit>> =
            limits.iter().map(|(name, over, timeout, on_error)| limit(name, &[], *over, *timeout, *on_error)).collect();
        let demands: Vec<Demand<'_>> = limits.iter().map(|limit| demand(limit, &[], 1)).collect();
        let call = Call::new(&demands).unwrap();
        let answer = call.without_answer();
        let names: Vec<&str> = answer.over.iter().map(|over| &*over.limit.name).collect();
        let refusal = answer.refusal().map(|over| &*over.limit.name);
        assert_eq!((call.timeout, names, refusal), (Millis(timeout), over, refuses), "{limits:?}");
    }
}

#[test]
fn an_answer_is_read_by_envoys_numbers_and_what_is_not_used_is_skipped() {
    let call = call(&[("a", Mode::Enforce), ("b", Mode::Enforce)]);
    let bytes = [
        // overall_code = 1: OVER_LIMIT.
        &b"\x08\x02"[..],
        // statuses = 2: code = 1; current_limit = 2; limit_remaining = 3; duration_until_reset = 4.
        b"\x12\x0e\x08\x01\x12\x04\x08\x0a\x10\x01\x18\x07\x22\x02\x08\x3c",
        b"\x12\x0a\x08\x02\x22\x06\x08\x02\x10\x80\x94\x23",
        // response_headers_to_add = 3; raw_body = 5; a field that nobody knows.
        b"\x1a\x08\x0a\x03x-a\x12\x01v",
        b"\x2a\x03no!\xf8\x07\x01",
    ];
    let answer = call.read(&bytes.concat()).unwrap();
    let over =
        Over { limit: simple("b", Mode::Enforce), wait: Some(Millis(2_001)), remaining: 0, most: None, rate: None };
    let header = Header { name: "x-a".to_owned(), value: "v".to_owned() };
    assert_eq!(answer, Answer { over: vec![over], headers: vec![header] });
}

#[test]
fn the_enforced_limit_with_the_longest_wait_refuses() {
    use {Code::*, Mode::*};
    let call = call(&[("a", Shadow), ("b", Enforce), ("c", Enforce), ("d", Enforce)]);
    let statuses = vec![
        status(OverLimit, 0, 100, 0),
        status(OverLimit, 1, 2, 0),
        status(OverLimit, 2, 9, 0),
        status(Ok, 3, 50, 0),
    ];
    let answer = call.read(&response(OverLimit, statuses)).unwrap();
    let names: Vec<&str> = answer.over.iter().map(|over| &*over.limit.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let refusal = answer.refusal().unwrap();
    assert_eq!((&*refusal.limit.name, refusal.wait, refusal.remaining), ("c", Some(Millis(9_000)), 2));
}

#[test]
fn what_the_limit_is_is_told_where_the_service_tells_it() {
    for (unit, period) in [(1, Some(1_000)), (2, Some(60_000)), (3, Some(3_600_000)), (0, None), (4, None)] {
        let call = call(&[("a", Mode::Enforce)]);
        let mut status = status(Code::OverLimit, 0, 1, 0);
        status.current_limit = Some(RateLimit { requests_per_unit: 100, unit });
        let answer = call.read(&response(Code::OverLimit, vec![status])).unwrap();
        let refusal = answer.refusal().unwrap();
        assert_eq!(refusal.most, Some(100));
        assert_eq!(refusal.rate, period.map(|period| Rate { tokens: 100, period: Millis(period) }), "{unit}");
    }
}

#[test]
fn a_shadowed_limit_is_counted_and_refuses_nothing() {
    use {Code::*, Mode::*};
    let call = call(&[("a", Shadow), ("b", Enforce)]);
    let answer = call.read(&response(OverLimit, vec![status(OverLimit, 0, 1, 0), status(Ok, 1, 1, 0)])).unwrap();
    assert_eq!((answer.over.len(), answer.refusal()), (1, None));
}

#[test]
fn without_a_status_for_each_limit_the_first_stands_for_all_of_a_kind() {
    use {Code::OverLimit, Mode::*};
    let over = |mode| {
        Ok(Answer {
            over: vec![Over { limit: simple("a", mode), wait: None, remaining: 0, most: None, rate: None }],
            headers: Vec::new(),
        })
    };
    let cases = [
        (vec![("a", Enforce)], over(Enforce)),
        (vec![("a", Enforce), ("b", Enforce)], over(Enforce)),
        (vec![("a", Shadow), ("b", Shadow)], over(Shadow)),
        (vec![("a", Enforce), ("b", Shadow)], Err(Unanswered::Ambiguous)),
    ];
    for (limits, expected) in cases {
        for statuses in [vec![], vec![status(OverLimit, 0, 1, 0); 5], vec![status(Code::Ok, 9, 1, 0); limits.len()]] {
            assert_eq!(call(&limits).read(&response(OverLimit, statuses)), expected, "{limits:?}");
        }
    }
}

#[test]
fn a_service_that_shadows_by_itself_lets_the_request_go_on() {
    let call = call(&[("a", Mode::Enforce)]);
    let answer = call.read(&response(Code::Ok, vec![status(Code::OverLimit, 0, 1, 0)])).unwrap();
    assert_eq!(answer, Answer::default());
}

#[test]
fn what_says_neither_yes_nor_no_is_no_answer() {
    let call = call(&[("a", Mode::Enforce)]);
    for (bytes, expected) in [
        (Vec::new(), Unanswered::Unknown),
        (response(Code::Unknown, vec![status(Code::OverLimit, 0, 1, 0)]), Unanswered::Unknown),
        (b"\x08\x09".to_vec(), Unanswered::Unknown),
        (b"\x08".to_vec(), Unanswered::Malformed),
        (b"\x12\x7f\x08".to_vec(), Unanswered::Malformed),
        (vec![0; MAX_RESPONSE + 1], Unanswered::TooLarge),
    ] {
        assert_eq!(call.read(&bytes), Err(expected), "{:x?}", &bytes[..bytes.len().min(9)]);
    }
}

#[test]
fn a_wait_is_rounded_up_and_never_negative() {
    for (seconds, nanos, wait) in [(0, 0, 0), (0, 1, 1), (1, 0, 1_000), (-5, 0, 0), (i64::MAX, 0, i64::MAX), (0, -1, 0)]
    {
        let call = call(&[("a", Mode::Enforce)]);
        let answer = call.read(&response(Code::OverLimit, vec![status(Code::OverLimit, 0, seconds, nanos)])).unwrap();
        assert_eq!(answer.refusal().unwrap().wait, Some(Millis(wait)), "{seconds} s {nanos} ns");
    }
}

fn with_headers(headers: &[(&str, &str)]) -> Answer {
    let header = |(key, value): &(&str, &str)| HeaderValue { key: (*key).to_owned(), value: (*value).to_owned() };
    let response_headers_to_add = headers.iter().map(header).collect();
    let response = Response { overall_code: Code::Ok.into(), statuses: Vec::new(), response_headers_to_add };
    call(&[("a", Mode::Enforce)]).read(&response.encode_to_vec()).unwrap()
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.headers.iter().map(|header| header.name.as_str()).collect()
}

#[test]
fn only_headers_that_can_be_passed_on_are() {
    let answer = with_headers(&[
        ("X-RateLimit-Limit", "10, 10;w=60"),
        (":status", "200"),
        ("Content-Length", "0"),
        ("transfer-encoding", "chunked"),
        ("x-ackguard", "forged"),
        ("", "v"),
        ("x bad", "v"),
        ("x-é", "v"),
        ("x-split", "a\r\nx: y"),
        ("x-tab", "é\t1"),
        ("x-last", ""),
    ]);
    assert_eq!(names(&answer), ["x-ratelimit-limit", "x-tab", "x-last"]);
    assert_eq!(answer.headers[1].value, "é\t1");
}

#[test]
fn headers_are_bounded_in_number_and_size() {
    let many = with_headers(&[("x", "v"); 40]);
    assert_eq!(many.headers.len(), super::MAX_HEADERS);
    let large = "v".repeat(1_500);
    let answer = with_headers(&[("a", &large), ("b", &large), ("c", &large), ("d", "v")]);
    assert_eq!(names(&answer), ["a", "b"]);
}

#[test]
fn a_cluster_is_named_by_a_message_even_where_its_name_could_be_one() {
    assert_eq!(target("x1").as_deref(), Some("\x0a\x04\x0a\x02x1"));
    let longest = "c".repeat(MAX_SERVICE_NAME);
    assert!(target(&longest).is_some_and(|message| message.ends_with(&longest)));
    assert_eq!(target(&"c".repeat(MAX_SERVICE_NAME + 1)), None);
    assert_eq!(target("outbound|1||a.b").as_deref(), Some("\x0a\x16\x0a\x0foutbound|1||a.b\x12\x03a.b"));
    let longest = format!("outbound|1||{}", "c".repeat(MAX_SERVICE_NAME - 12));
    assert!(target(&longest).is_some_and(|message| message.ends_with("\x12\x03ccc")));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let call = call(&[("a", Mode::Enforce), ("b", Mode::Shadow)]);
        if let Ok(answer) = call.read(&bytes) {
            let size: usize = answer.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
            prop_assert!(answer.headers.len() <= super::MAX_HEADERS && size <= super::MAX_HEADER_BYTES);
        }
    }

    /// An over-limit answer with a status for each limit names exactly those that are over.
    #[test]
    fn statuses_are_taken_in_the_order_of_the_limits(over in vec(any::<bool>(), 1..8)) {
        let names: Vec<String> = (0..over.len()).map(|index| index.to_string()).collect();
        let limits: Vec<(&str, Mode)> = names.iter().map(|name| (name.as_str(), Mode::Enforce)).collect();
        let statuses = over.iter().map(|over| status(if *over { Code::OverLimit } else { Code::Ok }, 0, 1, 0)).collect();
        if over.contains(&true) {
            let answer = call(&limits).read(&response(Code::OverLimit, statuses)).unwrap();
            let told: Vec<String> = answer.over.iter().map(|over| over.limit.name.to_string()).collect();
            let expected: Vec<String> = names.into_iter().zip(&over).filter(|(_, over)| **over).map(|(name, _)| name).collect();
            prop_assert_eq!(told, expected);
        }
    }
}
