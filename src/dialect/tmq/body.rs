//! The settings in a body: where they stand, what they say, and how they are changed.

use super::{DEFAULT_ACK_TIMEOUT, DEFAULT_AUTO_ACK, DEFAULT_MAX_MESSAGES, DEFAULT_MAX_RECONSUME_TIMES, field_name};
use crate::dialect::{Layout, MAX_NAME, Reading, Route};
use crate::json::{self, Kind as JsonKind, Malformed, Object, Reader, Span, Value};
use crate::operation::{
    Consumer, Demand, Field, Group, Kind, Millis, Operation, Reason, Setting, Settings, Topic, Unreadable,
};
use crate::policy::verdict::{Change, NewValue};
use crate::splice::ObjectEdits;

/// How much of a value that cannot be read is quoted back, in bytes.
const QUOTED: usize = 64;

/// Reads the settings that an operation of this route may hold; see [`Dialect::read`](crate::dialect::Dialect::read).
pub fn read(route: &Route, body: &[u8]) -> Result<Reading, Unreadable> {
    let topic = route.topic.as_ref().map(|Topic(name)| ("topic", name));
    let group = route.group.as_ref().map(|Group(name)| ("group", name));
    for (field, name) in topic.into_iter().chain(group) {
        if name.len() > MAX_NAME {
            return Err(name_too_long(field, name.len()));
        }
    }
    let operation = Operation {
        kind: route.kind,
        topic: route.topic.clone(),
        group: route.group.clone(),
        settings: Settings::NONE,
        demand: (route.kind == Kind::Pull).then_some(Demand { messages: Ok(DEFAULT_MAX_MESSAGES), wait: Millis(0) }),
    };
    // The broker takes an absent body of a pull or a heartbeat for one that sets nothing.
    let optional = matches!(route.kind, Kind::Pull | Kind::Extend);
    if !route.reads_body || (optional && body.is_empty()) {
        return Ok(Reading { operation, layout: Layout::Unread });
    }
    let wanted: &[&'static str] = match route.kind {
        Kind::Subscribe => &["ackTimeout", "autoAck", "maxReconsumeTimes", "deadLetterTopic", "topic"],
        Kind::Pull => &["ackTimeout", "maxMessages", "waitMs"],
        _ => &["ackTimeout"],
    };
    let members = Members::read(wanted, body).map_err(malformed)?;
    members.settings(operation)
}

/// How many messages or receipts a body holds; see [`Dialect::messages`](crate::dialect::Dialect::messages).
pub fn messages(route: &Route, body: &[u8]) -> Result<u64, Unreadable> {
    let list = match route.kind {
        Kind::Publish => "messages",
        Kind::Ack | Kind::Reject | Kind::Extend => "receipts",
        _ => return Ok(0),
    };
    if body.is_empty() {
        return Ok(0);
    }
    let (mut counts, mut other) = (0, None);
    let mut reader = Reader::new(body).map_err(malformed)?;
    let mut lists = 0;
    let member = |reader: &mut Reader<'_>, key: json::Key<'_>| {
        if !key.is(list) {
            return reader.value().map(|_| ());
        }
        lists += 1;
        match reader.peek_kind()? {
            JsonKind::Array => reader.elements(|reader| {
                counts += 1;
                reader.value().map(|_| ())
            }),
            JsonKind::Null => reader.value().map(|_| ()),
            _ => {
                other = Some(reader.value()?);
                Ok(())
            }
        }
    };
    reader.members(member).and_then(|_| reader.end()).map_err(malformed)?;
    let fault = |reason, message| Err(Unreadable { field: Some(list), reason, message });
    match other {
        _ if lists > 1 => fault(Reason::Duplicate, format!("{list}: stands more than once; expected one value")),
        Some(_) => fault(Reason::Type, format!("{list}: not a list")),
        None => Ok(counts),
    }
}

/// Makes changes in a body; see [`Dialect::write`](crate::dialect::Dialect::write).
pub fn write(body: &[u8], layout: &Layout, changes: &[Change]) -> Option<Vec<u8>> {
    let Layout::Object { object, .. } = layout else {
        return changes.is_empty().then(|| body.to_vec());
    };
    let mut edits = ObjectEdits::new(object);
    for change in changes {
        let json = match &change.to {
            NewValue::Millis(millis) => millis.0.to_string(),
            NewValue::Count(count) => count.to_string(),
            NewValue::Flag(flag) => flag.to_string(),
            NewValue::Name(name) => {
                let mut quoted = String::new();
                json::text::quote(name, &mut quoted);
                quoted
            }
        };
        edits.set(field_name(change.field), layout.value(change.field), &json);
    }
    edits.apply(body)
}

/// The id in the answer to a subscription; see [`Dialect::subscribed`](crate::dialect::Dialect::subscribed).
pub fn subscribed(answer: &[u8]) -> Option<Consumer> {
    let members = Members::read(&["consumerId"], answer).ok()?;
    members.name("consumerId").ok()?.map(Consumer)
}

/// The members of interest of the object that a body is.
struct Members<'a> {
    reader: Reader<'a>,
    object: Object,
    found: Vec<(&'static str, Value)>,
}

impl<'a> Members<'a> {
    fn read(wanted: &[&'static str], body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body)?;
        let mut found = Vec::new();
        let object = reader.members(|reader, key| {
            let value = reader.value()?;
            if let Some(name) = wanted.iter().find(|name| key.is(name)) {
                found.push((*name, value));
            }
            Ok(())
        })?;
        reader.end()?;
        Ok(Members { reader, object, found })
    }

    fn settings(self, mut operation: Operation) -> Result<Reading, Unreadable> {
        let ack_timeout = self.integer("ackTimeout", "whole milliseconds")?;
        let settings = &mut operation.settings;
        if operation.kind == Kind::Subscribe {
            let auto_ack = self.boolean("autoAck")?;
            let max_attempts = self.integer("maxReconsumeTimes", "a whole number")?;
            settings.ack_timeout = or_default(ack_timeout.map(Millis), Some(DEFAULT_ACK_TIMEOUT));
            settings.auto_ack = or_default(auto_ack, Some(DEFAULT_AUTO_ACK));
            settings.max_attempts = or_default(max_attempts, Some(DEFAULT_MAX_RECONSUME_TIMES));
            // An empty name is no topic to any broker.
            let dead_letter = self.name("deadLetterTopic")?.filter(|name| !name.is_empty());
            settings.dead_letter = or_default(dead_letter.map(Topic), None);
            let topic = self.name("topic")?.ok_or_else(|| Unreadable {
                field: Some("topic"),
                reason: Reason::Type,
                message: "topic: absent; expected a topic's name".to_owned(),
            })?;
            operation.topic = Some(Topic(topic));
        } else if let Some(millis) = ack_timeout {
            settings.ack_timeout = Setting::Given(Millis(millis));
        }
        operation.demand = operation.demand.map(|_| self.demand());
        let mut values = Vec::new();
        for field in Field::ALL {
            if let Some(span) = self.span(field_name(field)) {
                values.push((field, span));
            }
        }
        Ok(Reading { operation, layout: Layout::Object { object: self.object, values } })
    }

    fn demand(&self) -> Demand {
        let messages = self.integer(field_name(Field::MaxInFlight), "a whole number");
        let number = |messages: i64| u32::try_from(messages.max(0)).unwrap_or(u32::MAX);
        let wait = self.integer("waitMs", "whole milliseconds").unwrap_or(Some(i64::MAX));
        Demand {
            messages: messages.map(|messages| messages.map_or(DEFAULT_MAX_MESSAGES, number)),
            wait: Millis(wait.unwrap_or(0)),
        }
    }

    fn span(&self, name: &str) -> Option<Span> {
        let (_, value) = self.found.iter().find(|(found, _)| *found == name)?;
        Some(value.span.clone())
    }

    /// The one value of a member; `null` is as good as absent, as it is to the broker.
    fn value(&self, name: &'static str) -> Result<Option<&Value>, Unreadable> {
        let mut values = self.found.iter().filter(|(found, _)| *found == name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Unreadable {
                field: Some(name),
                reason: Reason::Duplicate,
                message: format!("{name}: stands more than once; expected one value"),
            });
        }
        Ok(first.map(|(_, value)| value).filter(|value| value.kind != JsonKind::Null))
    }

    fn integer(&self, name: &'static str, expected: &'static str) -> Result<Option<i64>, Unreadable> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        let number = match value.kind {
            JsonKind::Number => json::text::integer(self.reader.slice(&value.span)),
            _ => None,
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong_type(name, value, expected)),
        }
    }

    fn boolean(&self, name: &'static str) -> Result<Option<bool>, Unreadable> {
        match self.value(name)? {
            None => Ok(None),
            Some(value) if value.kind == JsonKind::Bool => Ok(Some(self.reader.slice(&value.span) == "true")),
            Some(value) => Err(self.wrong_type(name, value, "true or false")),
        }
    }

    fn name(&self, name: &'static str) -> Result<Option<String>, Unreadable> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        match json::text::unquote(self.reader.slice(&value.span)) {
            Some(text) if text.len() > MAX_NAME => Err(name_too_long(name, text.len())),
            Some(text) => Ok(Some(text.into_owned())),
            _ => Err(self.wrong_type(name, value, "a topic's name")),
        }
    }

    fn wrong_type(&self, name: &'static str, value: &Value, expected: &str) -> Unreadable {
        let mut found = self.reader.slice(&value.span);
        let mut cut = "";
        if found.len() > QUOTED {
            let end = (0..=QUOTED).rev().find(|end| found.is_char_boundary(*end));
            found = found.get(..end.unwrap_or(0)).unwrap_or_default();
            cut = "…";
        }
        Unreadable {
            field: Some(name),
            reason: Reason::Type,
            message: format!("{name}: {found}{cut} is not {expected}"),
        }
    }
}

fn or_default<T>(given: Option<T>, fallback: Option<T>) -> Setting<T> {
    match given {
        Some(value) => Setting::Given(value),
        None => Setting::Absent { fallback },
    }
}

fn name_too_long(field: &'static str, length: usize) -> Unreadable {
    Unreadable {
        field: Some(field),
        reason: Reason::TooLarge,
        message: format!("{field}: a name of {length} bytes; expected at most {MAX_NAME}"),
    }
}

fn malformed(fault: Malformed) -> Unreadable {
    Unreadable { field: None, reason: Reason::Malformed, message: format!("the body is not a JSON object: {fault}") }
}
