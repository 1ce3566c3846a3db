//! What travels beside a body: ours in headers that begin with `x-chatferry-`, the broker's own in
//! `x-death`. A management page shows headers, so no chat text and no secret is ever among them.

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::bus::topology::ATTEMPT_HEADER;
use crate::domain::envelope::CONTENT_TYPE;
use crate::domain::{EventId, EventType};
use crate::fault::Code;
use crate::ports::{DeadLetter, Queue};

const OURS: &str = "x-chatferry-";
const CODE: &str = "x-chatferry-code";
const REASON: &str = "x-chatferry-reason";
const FIRST_FAILED_AT: &str = "x-chatferry-first-failed-at";
const FAILED_AT: &str = "x-chatferry-failed-at";
const QUEUE: &str = "x-chatferry-queue";
const HOST: &str = "x-chatferry-host";
const TRACE: &str = "traceparent";
/// What the broker adds when it dead-letters, also from a retry queue; it would grow with every turn.
const OF_THE_BROKER: [&str; 7] = [
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-queue",
    "x-delivery-count",
    "x-acquired-count",
];

/// What is known about a message besides its body.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label {
    /// The event's id; of a stranger's message without one, a fingerprint of its body.
    pub id: EventId,
    /// The CloudEvents type; empty if nobody said.
    pub kind: String,
    /// Deliveries that failed, counted by us.
    pub failures: u32,
    /// When the first one did.
    pub first_failed_at: Option<Timestamp>,
    headers: FieldTable,
}

/// Why a delivery is a dead letter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict<'a> {
    /// What failed.
    pub code: Code,
    /// One sentence without chat text.
    pub reason: &'a str,
    /// The queue it came from.
    pub queue: Queue,
    /// Host and process that gave up.
    pub host: &'a str,
}

impl Label {
    /// That of an event on its way out.
    pub fn new(id: EventId, kind: EventType) -> Self {
        let mut headers = FieldTable::default();
        headers.insert(TRACE.into(), AMQPValue::LongString(trace(id).into()));
        Self { id, kind: kind.as_str().to_owned(), failures: 0, first_failed_at: None, headers }
    }

    /// That of a message that came.
    pub fn read(properties: &BasicProperties, body: &[u8]) -> Self {
        let headers = properties.headers().clone().unwrap_or_default();
        let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string).unwrap_or_default();
        let id = text(properties.message_id()).parse();
        Self {
            id: id.unwrap_or_else(|_| fingerprint(body)),
            kind: text(properties.kind()),
            failures: number(&headers, ATTEMPT_HEADER).and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            first_failed_at: time(&headers, FIRST_FAILED_AT),
            headers,
        }
    }

    /// The same after one more failure.
    pub fn failed(&self, now: Timestamp) -> Self {
        let mut label = self.clone();
        label.failures = self.failures.saturating_add(1);
        label.first_failed_at = self.first_failed_at.or(Some(now));
        label
    }

    /// The same with nothing held against it.
    pub fn forgiven(&self) -> Self {
        Self { failures: 0, first_failed_at: None, ..self.clone() }
    }

    /// What is sent with the body. A stranger's headers (`traceparent`) travel on.
    pub fn properties(&self) -> BasicProperties {
        self.with_headers(self.table())
    }

    /// What is sent with a dead letter.
    pub fn dead(&self, verdict: Verdict<'_>, now: Timestamp) -> BasicProperties {
        let mut table = self.table();
        for (name, value) in [
            (CODE, verdict.code.as_str().to_owned()),
            (REASON, verdict.reason.to_owned()),
            (FAILED_AT, now.to_string()),
            (QUEUE, verdict.queue.as_str().to_owned()),
            (HOST, verdict.host.to_owned()),
        ] {
            table.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        self.with_headers(table)
    }

    fn table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in self.headers.inner() {
            if !name.as_str().starts_with(OURS) && !OF_THE_BROKER.contains(&name.as_str()) {
                table.insert(name.clone(), value.clone());
            }
        }
        table.insert(ATTEMPT_HEADER.into(), AMQPValue::LongLongInt(self.failures.into()));
        if let Some(at) = self.first_failed_at {
            table.insert(FIRST_FAILED_AT.into(), AMQPValue::LongString(at.to_string().into()));
        }
        table
    }

    fn with_headers(&self, table: FieldTable) -> BasicProperties {
        BasicProperties::default()
            .with_content_type(CONTENT_TYPE.into())
            // Persistent.
            .with_delivery_mode(2)
            .with_message_id(self.id.to_string().into())
            .with_type(self.kind.as_str().into())
            .with_app_id("chatferry".into())
            .with_headers(table)
    }
}

/// The W3C trace context in which an event begins: the trace is named after the event, so that every
/// publication of it, and whatever a reader does over it, is one trace.
fn trace(id: EventId) -> String {
    let id = id.to_string();
    let span = id.get(16..).unwrap_or_default();
    format!("00-{id}-{span}-00")
}

/// The dead letter that a message in the queue of dead letters is: buried by us, or by the broker.
pub(super) fn dead_letter(properties: &BasicProperties, body: Vec<u8>) -> DeadLetter {
    let label = Label::read(properties, &body);
    let headers = &label.headers;
    let death = last_death(headers);
    let at = |name| time(headers, name);
    let of_broker = |name| death.and_then(|death| text(death, name));
    let queue = text(headers, QUEUE).or_else(|| of_broker("queue")).unwrap_or_default();
    let (code, reason) = match text(headers, CODE) {
        Some(code) => (code, text(headers, REASON).unwrap_or_default()),
        None => buried_by_the_broker(of_broker("reason").as_deref()),
    };
    let failed_at =
        at(FAILED_AT).or_else(|| death.and_then(|death| time(death, "time"))).unwrap_or(Timestamp::UNIX_EPOCH);
    DeadLetter {
        id: label.id,
        // A stranger's letter without an origin goes where every message begins; a consumer tells what fits.
        queue: Queue::ALL.into_iter().find(|known| known.as_str() == queue).unwrap_or(Queue::Archive),
        kind: label.kind,
        code,
        reason,
        failures: label.failures,
        first_failed_at: label.first_failed_at.unwrap_or(failed_at),
        failed_at,
        failed_on: text(headers, HOST),
        body,
    }
}

fn buried_by_the_broker(reason: Option<&str>) -> (String, String) {
    match reason {
        Some("delivery_limit") => (
            Code::DeliveryLimit.as_str().to_owned(),
            "the broker gave it out as often as it may, and nobody settled it".to_owned(),
        ),
        Some(other) => (Code::DeliveryLimit.as_str().to_owned(), format!("buried by the broker: {other}")),
        None => (Code::EventInvalid.as_str().to_owned(), "put among the dead letters by another program".to_owned()),
    }
}

/// The latest entry of `x-death`, which the broker puts first.
fn last_death(headers: &FieldTable) -> Option<&FieldTable> {
    match headers.inner().get("x-death")? {
        AMQPValue::FieldArray(deaths) => match deaths.as_slice().first()? {
            AMQPValue::FieldTable(death) => Some(death),
            _ => None,
        },
        _ => None,
    }
}

fn fingerprint(body: &[u8]) -> EventId {
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(body).as_bytes()[..16]);
    EventId::from_bytes(id)
}

fn text(table: &FieldTable, name: &str) -> Option<String> {
    match table.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn number(table: &FieldTable, name: &str) -> Option<i64> {
    match *table.inner().get(name)? {
        AMQPValue::ShortShortInt(n) => Some(n.into()),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::ShortInt(n) => Some(n.into()),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::LongInt(n) => Some(n.into()),
        AMQPValue::LongUInt(n) => Some(n.into()),
        AMQPValue::LongLongInt(n) => Some(n),
        _ => None,
    }
}

fn time(table: &FieldTable, name: &str) -> Option<Timestamp> {
    match table.inner().get(name)? {
        AMQPValue::Timestamp(seconds) => Timestamp::from_second(i64::try_from(*seconds).ok()?).ok(),
        _ => text(table, name)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-02T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn failures_are_counted_and_a_strangers_headers_travel_on() {
        let id = EventId::of(EventType::MessageCaptured, &[b"1"]);
        let mut sent = Label::new(id, EventType::MessageCaptured);
        sent.headers.insert("traceparent".into(), AMQPValue::LongString("00-1".into()));
        sent.headers.insert("x-death".into(), AMQPValue::FieldArray(Default::default()));
        let first = Label::read(&sent.failed(now()).properties(), b"{}");
        assert_eq!((first.id, first.failures, first.first_failed_at), (id, 1, Some(now())));
        let later = now().saturating_add(jiff::SignedDuration::from_secs(60)).unwrap();
        let second = Label::read(&first.failed(later).properties(), b"{}");
        assert_eq!((second.failures, second.first_failed_at), (2, Some(now())));
        assert!(second.headers.contains_key("traceparent") && !second.headers.contains_key("x-death"));
        let forgiven = Label::read(&second.forgiven().properties(), b"{}");
        assert_eq!((forgiven.failures, forgiven.first_failed_at), (0, None));
    }

    #[test]
    fn a_dead_letter_reads_back() {
        let id = EventId::of(EventType::AnalysisRequested, &[b"1"]);
        let label = Label::new(id, EventType::AnalysisRequested).failed(now());
        let verdict = Verdict { code: Code::EventInvalid, reason: "no data", queue: Queue::Analyze, host: "box/7" };
        let letter = dead_letter(&label.dead(verdict, now()), b"{}".to_vec());
        assert_eq!((letter.id, letter.queue, letter.failures), (id, Queue::Analyze, 1));
        assert_eq!((letter.code.as_str(), letter.reason.as_str()), ("event-invalid", "no data"));
        assert_eq!((letter.first_failed_at, letter.failed_at), (now(), now()));
        assert_eq!(letter.failed_on.as_deref(), Some("box/7"));
    }

    #[test]
    fn an_event_begins_a_trace_of_its_own_name() {
        let id = EventId::of(EventType::MessageCaptured, &[b"1"]);
        let properties = Label::new(id, EventType::MessageCaptured).properties();
        let headers = properties.headers().clone().unwrap();
        let AMQPValue::LongString(told) = &headers.inner()["traceparent"] else { panic!("{headers:?}") };
        let told = told.to_string();
        let parts: Vec<&str> = told.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2]);
        assert_eq!(parts[1], id.to_string());
        assert_ne!(parts[2], "0".repeat(16));
    }

    #[test]
    fn a_strangers_message_has_an_id_of_its_own() {
        let nothing = BasicProperties::default();
        let label = Label::read(&nothing, b"hello");
        assert_eq!(label.id, Label::read(&nothing, b"hello").id);
        assert_ne!(label.id, Label::read(&nothing, b"hullo").id);
        let letter = dead_letter(&nothing, b"hello".to_vec());
        assert_eq!((letter.code.as_str(), letter.queue), ("event-invalid", Queue::Archive));
    }
}
