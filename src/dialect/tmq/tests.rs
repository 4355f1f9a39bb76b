//! T-MQ's paths and bodies: what is read from them, and that an edit changes its own field and nothing else.

use proptest::prelude::*;

use super::{ConsumerName, Target, field_name, read, subscribed, write};
use crate::dialect::{Reading, Route};
use crate::operation::{Demand, Field, Group, Kind, Millis, Reason, Setting, Topic, Unreadable};
use crate::policy::verdict::{Action, Change, NewValue};

#[test]
fn every_operation_of_the_protocol_has_its_target() {
    let text = |name: &str| name.to_owned();
    let consumer = |group: &str, consumer: &str| ConsumerName { group: text(group), consumer: text(consumer) };
    for (method, path, target) in [
        ("PUT", "/tmq/v1/topics/orders", Some(Target::CreateTopic(text("orders")))),
        ("POST", "/tmq/v1/topics/orders/messages", Some(Target::Publish(text("orders")))),
        ("GET", "/tmq/v1/topics/orders/route", Some(Target::TopicRoute(text("orders")))),
        ("POST", "/tmq/v1/transactions/7:commit", Some(Target::EndTransaction)),
        ("POST", "/tmq/v1/transactions/7:rollback", Some(Target::EndTransaction)),
        ("POST", "/tmq/v1/groups/g/consumers", Some(Target::Subscribe(text("g")))),
        ("GET", "/tmq/v1/groups/g/consumers/c", Some(Target::Describe(consumer("g", "c")))),
        ("POST", "/tmq/v1/groups/g/consumers/c:start", Some(Target::Lifecycle(consumer("g", "c")))),
        ("POST", "/tmq/v1/groups/g/consumers/c:pause", Some(Target::Lifecycle(consumer("g", "c")))),
        ("POST", "/tmq/v1/groups/g/consumers/c:resume", Some(Target::Lifecycle(consumer("g", "c")))),
        ("POST", "/tmq/v1/groups/g/consumers/c:stop", Some(Target::Lifecycle(consumer("g", "c")))),
        ("POST", "/tmq/v1/groups/g/consumers/c:close", Some(Target::Lifecycle(consumer("g", "c")))),
        ("POST", "/tmq/v1/groups/g/consumers/c:pull", Some(Target::Pull(consumer("g", "c")))),
        ("POST", "/tmq/v1/groups/g/consumers/c:ack", Some(Target::Ack(consumer("g", "c")))),
        ("POST", "/tmq/v1/groups/g/consumers/c:reject", Some(Target::Reject(consumer("g", "c")))),
        ("POST", "/tmq/v1/groups/g/consumers/c:heartbeat", Some(Target::Heartbeat(consumer("g", "c")))),
        // As a broker decodes it, so is it read.
        ("POST", "/tmq/v1/groups/g%20%C3%A9/consumers/c%3Apull", Some(Target::Pull(consumer("g é", "c")))),
        ("POST", "/%74mq/v1/groups/g/consumers", Some(Target::Subscribe(text("g")))),
        ("POST", "/tmq/v1/groups/a%2Fb/consumers", Some(Target::Subscribe(text("a/b")))),
        ("POST", "/tmq/v1/groups/g/consumers/a:b:pull", Some(Target::Pull(consumer("g", "a:b")))),
        ("POST", "/tmq/v1/groups/%ff/consumers", Some(Target::Subscribe(text("\u{fffd}")))),
        ("post", "/tmq/v1/groups/g/consumers", Some(Target::Subscribe(text("g")))),
        // What the protocol does not define.
        ("PUT", "/tmq/v1/groups/g/consumers", None),
        ("GET", "/tmq/v1/groups/g/consumers/c:pull/x", None),
        ("POST", "/tmq/v1/groups/g/consumers/c:seek", None),
        ("POST", "/tmq/v1/groups//consumers", None),
        ("POST", "/tmq/v2/groups/g/consumers", None),
        ("GET", "/tmq/v1/", None),
        ("GET", "", None),
    ] {
        assert_eq!(Target::parse(method.as_bytes(), path.as_bytes()), target, "{method} {path}");
    }
}

fn route(kind: Kind) -> Route {
    Route { group: Some(Group("g".to_owned())), reads_body: true, ..Route::bare(kind) }
}

fn subscribe(body: &str) -> Result<Reading, Unreadable> {
    read(&route(Kind::Subscribe), body.as_bytes())
}

#[test]
fn a_subscription_tells_its_settings() {
    let body = r#" {"topic":"o\u0072ders","ackTimeout": 0 ,"maxReconsumeTimes":-1,"autoAck":true,
        "deadLetterTopic":"d","clientId":"c1","other":{"ackTimeout":7}} "#;
    let operation = subscribe(body).unwrap().operation;
    assert_eq!(operation.topic, Some(Topic("orders".to_owned())));
    assert_eq!(operation.settings.ack_timeout, Setting::Given(Millis(0)));
    assert_eq!(operation.settings.max_attempts, Setting::Given(-1));
    assert_eq!(operation.settings.auto_ack, Setting::Given(true));
    let dead_letter = Setting::Given(Topic("d".to_owned()));
    assert_eq!(operation.settings.dead_letter, dead_letter);
}

#[test]
fn what_a_subscription_leaves_out_is_the_brokers_default() {
    for body in [
        r#"{"topic":"orders"}"#,
        r#"{"topic":"orders","ackTimeout":null,"autoAck":null,"maxReconsumeTimes":null,"deadLetterTopic":null}"#,
        r#"{"topic":"orders","deadLetterTopic":""}"#,
    ] {
        let settings = subscribe(body).unwrap().operation.settings;
        let absent = Setting::Absent { fallback: Some(Millis(5_000)) };
        assert_eq!(settings.ack_timeout, absent, "{body}");
        let absent = Setting::Absent { fallback: Some(3) };
        assert_eq!(settings.max_attempts, absent, "{body}");
        assert_eq!(settings.dead_letter, Setting::Absent { fallback: None }, "{body}");
    }
}

#[test]
fn a_name_is_as_long_as_its_text_and_not_as_its_spelling() {
    let longest = "x".repeat(crate::dialect::MAX_NAME);
    for body in [format!(r#"{{"topic":"{longest}"}}"#), format!(r#"{{"topic":"{}"}}"#, r"\u0078".repeat(longest.len()))]
    {
        assert_eq!(subscribe(&body).unwrap().operation.topic, Some(Topic(longest.clone())));
    }
    let over = subscribe(&format!(r#"{{"topic":"{longest}x"}}"#)).unwrap_err();
    assert_eq!(over.message, "topic: a name of 1025 bytes; expected at most 1024");
}

#[test]
fn a_name_in_the_path_has_the_same_bound_whatever_is_asked() {
    for kind in Kind::ALL {
        let of = |length: usize| Route { group: Some(Group("g".repeat(length))), ..Route::bare(kind) };
        assert!(read(&of(1024), b"").is_ok(), "{kind:?}");
        let fault = read(&of(1025), b"").unwrap_err();
        assert_eq!((fault.field, fault.reason), (Some("group"), Reason::TooLarge), "{kind:?}");
        assert_eq!(fault.message, "group: a name of 1025 bytes; expected at most 1024");
    }
}

#[test]
fn the_answer_to_a_subscription_names_the_consumer() {
    for (answer, expected) in [
        (r#"{"state":"Created","consumerId":"c-1","ackTimeout":10000}"#, Some("c-1")),
        (r#"{"consumerId":7}"#, None),
        (r#"{"consumerId":"a","consumerId":"b"}"#, None),
        ("{}", None),
        ("<html>", None),
        ("", None),
    ] {
        let consumer = subscribed(answer.as_bytes()).map(|consumer| consumer.0);
        assert_eq!(consumer.as_deref(), expected, "{answer}");
    }
}

#[test]
fn a_pull_and_a_heartbeat_may_leave_their_body_out() {
    for kind in [Kind::Pull, Kind::Extend] {
        for body in ["", "{}", r#"{"maxMessages":16}"#] {
            let operation = read(&route(kind), body.as_bytes()).unwrap().operation;
            assert_eq!(operation.settings.ack_timeout, Setting::NotAsked, "{body}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_field() {
    let long = format!(r#"{{"topic":"{}"}}"#, "x".repeat(2_000));
    let list = format!(r#"{{"topic":[{}1]}}"#, "1,".repeat(1_000));
    let list_message = format!("topic: [{}1… is not a topic's name", "1,".repeat(31));
    for (body, field, reason, message) in [
        ("", None, Reason::Malformed, "the body is not a JSON object: byte 0: expected an object"),
        ("[]", None, Reason::Malformed, "the body is not a JSON object: byte 0: expected an object"),
        ("{\"a\":}", None, Reason::Malformed, "the body is not a JSON object: byte 5: expected a value"),
        (
            r#"{"topic":"o","ackTimeout":"10s"}"#,
            Some("ackTimeout"),
            Reason::Type,
            "ackTimeout: \"10s\" is not whole milliseconds",
        ),
        (
            r#"{"topic":"o","ackTimeout":1.5}"#,
            Some("ackTimeout"),
            Reason::Type,
            "ackTimeout: 1.5 is not whole milliseconds",
        ),
        (
            r#"{"topic":"o","ackTimeout":1e4}"#,
            Some("ackTimeout"),
            Reason::Type,
            "ackTimeout: 1e4 is not whole milliseconds",
        ),
        (
            r#"{"topic":"o","ackTimeout":1,"ack\u0054imeout":2}"#,
            Some("ackTimeout"),
            Reason::Duplicate,
            "ackTimeout: stands more than once; expected one value",
        ),
        (r#"{"topic":"o","autoAck":"yes"}"#, Some("autoAck"), Reason::Type, "autoAck: \"yes\" is not true or false"),
        (
            r#"{"topic":"o","maxReconsumeTimes":{}}"#,
            Some("maxReconsumeTimes"),
            Reason::Type,
            "maxReconsumeTimes: {} is not a whole number",
        ),
        (
            r#"{"topic":"o","deadLetterTopic":7}"#,
            Some("deadLetterTopic"),
            Reason::Type,
            "deadLetterTopic: 7 is not a topic's name",
        ),
        (r#"{"topic":"\ud800"}"#, Some("topic"), Reason::Type, "topic: \"\\ud800\" is not a topic's name"),
        (r#"{"ackTimeout":5000}"#, Some("topic"), Reason::Type, "topic: absent; expected a topic's name"),
        (&list, Some("topic"), Reason::Type, &list_message),
        (&long, Some("topic"), Reason::TooLarge, "topic: a name of 2000 bytes; expected at most 1024"),
    ] {
        let fault = subscribe(body).unwrap_err();
        assert_eq!((fault.field, fault.reason, fault.message.as_str()), (field, reason, message));
    }
}

/// Whitespace as JSON has it.
fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,3}"
}

/// A value's text in forms that decoding and encoding again would not keep.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("1.0".to_owned()),
        Just("-0".to_owned()),
        Just("1e+400".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just(r#""\u0041\/é😀""#.to_owned()),
        Just(r#"{"ackTimeout":0 , "ackTimeout":1}"#.to_owned()),
        Just("[1 ,\t{}]".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
    ]
}

/// One member as it is written: the space before it, its key's text, what is around its value, its value.
#[derive(Clone, Debug)]
struct Member {
    before: String,
    key: String,
    colon: String,
    value: String,
    after: String,
}

impl Member {
    fn write(&self, value: &str) -> String {
        format!("{}{}{}{value}{}", self.before, self.key, self.colon, self.after)
    }
}

fn member(key: impl Strategy<Value = String>, value: impl Strategy<Value = String>) -> impl Strategy<Value = Member> {
    (space(), key, space(), space(), value, space()).prop_map(|(before, key, left, right, value, after)| Member {
        before,
        key,
        colon: format!("{left}:{right}"),
        value,
        after,
    })
}

fn own_key(field: Field) -> impl Strategy<Value = String> {
    let plain = format!("\"{}\"", field_name(field));
    let escaped = plain.replacen('T', "\\u0054", 1).replacen('A', "\\u0041", 1);
    prop_oneof![3 => Just(plain), 1 => Just(escaped)]
}

fn own_value(field: Field) -> impl Strategy<Value = String> {
    match field {
        Field::AckTimeout | Field::MaxAttempts | Field::MaxInFlight => {
            prop_oneof![any::<i64>().prop_map(|number| number.to_string()), Just("null".to_owned())].boxed()
        }
        Field::AutoAck => prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(str::to_owned).boxed(),
        Field::DeadLetter => prop_oneof![Just("\"\""), Just("\"d\""), Just("null")].prop_map(str::to_owned).boxed(),
    }
}

/// The members of a subscription: strangers, the topic, and each guarded field or not.
fn members() -> impl Strategy<Value = Vec<(Option<Field>, Member)>> {
    let stranger = member("\"[a-z]{1,8}_\"", value()).prop_map(|member| (None, member));
    let strangers = proptest::collection::vec(stranger, 0..4);
    let topic = member(Just("\"topic\"".to_owned()), Just("\"orders\"".to_owned()));
    let own: Vec<_> = Field::ALL
        .into_iter()
        .map(|field| {
            let present = member(own_key(field), own_value(field)).prop_map(move |member| (Some(field), member));
            proptest::option::of(present)
        })
        .collect();
    (strangers, topic, own)
        .prop_map(|(mut members, topic, own)| {
            members.push((None, topic));
            members.extend(own.into_iter().flatten());
            members
        })
        .prop_shuffle()
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = |field: Field, to: BoxedStrategy<NewValue>| {
        proptest::option::of(to.prop_map(move |to| Change { field, action: Action::Clamp, to }))
    };
    (
        change(Field::AckTimeout, any::<i64>().prop_map(|millis| NewValue::Millis(Millis(millis))).boxed()),
        change(Field::AutoAck, any::<bool>().prop_map(NewValue::Flag).boxed()),
        change(Field::MaxAttempts, any::<i64>().prop_map(NewValue::Count).boxed()),
        change(Field::DeadLetter, "[^\u{0}-\u{1f}\u{7f}]{0,8}".prop_map(NewValue::Name).boxed()),
    )
        .prop_map(|(a, b, c, d)| [a, b, c, d].into_iter().flatten().collect::<Vec<_>>())
        .prop_shuffle()
}

fn json(value: &NewValue) -> String {
    match value {
        NewValue::Millis(millis) => millis.0.to_string(),
        NewValue::Count(count) => count.to_string(),
        NewValue::Flag(flag) => flag.to_string(),
        NewValue::Name(name) => serde_json::to_string(name).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The expected bytes are put together from the pieces that the original was made of.
    #[test]
    fn a_splice_changes_its_field_and_no_other_byte(
        outer in (space(), space()), members in members(), changes in changes(),
    ) {
        let join = |written: Vec<String>| format!("{}{{{}}}{}", outer.0, written.join(","), outer.1);
        let body = join(members.iter().map(|(_, member)| member.write(&member.value)).collect());
        let reading = subscribe(&body).unwrap();
        let changed = |field: Field| changes.iter().find(|change| change.field == field);

        let mut expected: Vec<String> = members
            .iter()
            .map(|(field, member)| match field.and_then(changed) {
                Some(change) => member.write(&json(&change.to)),
                None => member.write(&member.value),
            })
            .collect();
        // Insertions stand behind the last value, before the space that follows it.
        let tail = members.last().map(|(_, member)| member.after.clone()).unwrap();
        let last = expected.pop().unwrap();
        let mut last = last[..last.len() - tail.len()].to_owned();
        for change in &changes {
            if !members.iter().any(|(field, _)| *field == Some(change.field)) {
                last += &format!(",\"{}\":{}", field_name(change.field), json(&change.to));
            }
        }
        expected.push(last + &tail);

        let edited = write(body.as_bytes(), &reading.layout, &changes).unwrap();
        prop_assert_eq!(String::from_utf8(edited).unwrap(), join(expected));
    }

    #[test]
    fn any_bytes_are_read_or_told(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for kind in Kind::ALL {
            if let Err(fault) = read(&route(kind), &bytes) {
                prop_assert!(!fault.message.is_empty());
            }
        }
    }

    #[test]
    fn any_path_is_a_target_or_none(path in "/tmq/v1/[a-z%:/]{0,40}") {
        let _ = Target::parse(b"POST", path.as_bytes());
    }
}

#[test]
fn a_pull_tells_how_much_it_asks_for() {
    let demand = |body: &str| read(&route(Kind::Pull), body.as_bytes()).unwrap().operation.demand.unwrap();
    for (body, messages, wait) in [
        ("", 16, 0),
        ("{}", 16, 0),
        (r#"{"maxMessages":null,"waitMs":null}"#, 16, 0),
        (r#"{"maxMessages":3,"waitMs":1000}"#, 3, 1_000),
        (r#"{"maxMessages":-3,"waitMs":-1}"#, 0, -1),
        (r#"{"maxMessages":99999999999,"waitMs":99999999999999999999}"#, u32::MAX, i64::MAX),
        (r#"{"maxMessages":1,"waitMs":"1s"}"#, 1, i64::MAX),
        (r#"{"maxMessages":1,"waitMs":1,"waitMs":2}"#, 1, i64::MAX),
    ] {
        assert_eq!(demand(body), Demand { messages: Ok(messages), wait: Millis(wait) }, "{body}");
    }
    for (body, reason) in [
        (r#"{"maxMessages":"16"}"#, Reason::Type),
        (r#"{"maxMessages":1.0}"#, Reason::Type),
        (r#"{"maxMessages":1,"maxMessages":1000}"#, Reason::Duplicate),
    ] {
        let fault = demand(body).messages.unwrap_err();
        assert_eq!((fault.field, fault.reason), (Some("maxMessages"), reason), "{body}");
    }
    assert_eq!(read(&route(Kind::Extend), b"{}").unwrap().operation.demand, None);
}

#[test]
fn a_pull_is_cut_beside_its_other_changes() {
    let cut = Change { field: Field::MaxInFlight, action: Action::Clamp, to: NewValue::Count(3) };
    let clamp = Change { field: Field::AckTimeout, action: Action::Clamp, to: NewValue::Millis(Millis(5_000)) };
    for (body, expected) in [
        (r#"{ "maxMessages" : 16, "ackTimeout":0, "x":1}"#, r#"{ "maxMessages" : 3, "ackTimeout":5000, "x":1}"#),
        (r#"{"ackTimeout":0}"#, r#"{"ackTimeout":5000,"maxMessages":3}"#),
    ] {
        let reading = read(&route(Kind::Pull), body.as_bytes()).unwrap();
        let edited = write(body.as_bytes(), &reading.layout, &[clamp.clone(), cut.clone()]).unwrap();
        assert_eq!(String::from_utf8(edited).unwrap(), expected);
    }
}

#[test]
fn an_empty_object_takes_insertions_without_a_stray_comma() {
    let reading = read(&route(Kind::Pull), b"{ }").unwrap();
    let change = |field, to| Change { field, action: Action::Default, to };
    let changes =
        [change(Field::AckTimeout, NewValue::Millis(Millis(1))), change(Field::AutoAck, NewValue::Flag(false))];
    let edited = write(b"{ }", &reading.layout, &changes).unwrap();
    assert_eq!(edited, br#"{"ackTimeout":1,"autoAck":false }"#);
}
