//! No key, no chat and no answer in any line that any library writes at any level.
//!
//! What is listened to here is more than what a log shows: every target at trace, those that the program
//! mutes included.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use chatferry::config::AiProvider::{Anthropic, OpenAi};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::{asked, service};
use crate::support::ai::{Act, FakeAi, KEY};

/// Everything that is written, as text behind its target.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Ear {
    fn hear(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("{}: {}", metadata.target(), metadata.name()));
        record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

impl Subscriber for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.hear(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line("values".to_owned());
        values.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        self.hear(event.metadata(), |line| event.record(line));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Pieces of the plain conversation, of the answer, and of the key.
const CANARIES: [&str; 5] = ["are you coming", "Bring 20", "A chat of 3", "canary", KEY];

#[test]
fn nothing_private_is_written_whatever_goes_wrong() {
    let ear = Ear::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut told = String::new();
    tracing::subscriber::with_default(ear.clone(), || {
        runtime.block_on(async {
            for provider in [OpenAi, Anthropic] {
                for act in [
                    Act::Answer,
                    Act::Say("canary: are you coming".to_owned()),
                    Act::Status(400, Vec::new(), "{\"error\": \"are you coming\"}".to_owned()),
                    Act::Status(401, vec![("x-request-id", "are you coming".to_owned())], format!("bad key {KEY}")),
                    Act::Status(302, vec![("location", format!("http://127.0.0.1:1/{KEY}"))], String::new()),
                    Act::Garbage(b"are you coming".to_vec()),
                    Act::failed(503),
                    Act::Reset,
                    Act::ResetInTheMiddle,
                    Act::Refusal,
                    Act::Cut { is_empty: false },
                ] {
                    let fake = FakeAi::start(provider).await;
                    fake.always(act);
                    if let Err(fault) = asked(&service(fake.settings())).await.0 {
                        told += &format!("{fault} {fault:?} {} {}\n", fault.chain(), fault.action());
                    }
                }
            }
        });
    });
    let lines = ear.0.lock().unwrap().clone();
    assert!(lines.iter().any(|line| line.starts_with("chatferry::ai: ")), "it does not hear us");
    assert!(lines.iter().any(|line| line.contains("hyper")), "it does not hear the transport: {}", lines.len());
    for canary in CANARIES {
        assert!(!told.contains(canary), "{canary} is in a fault:\n{told}");
        let heard = lines.iter().find(|line| line.contains(canary));
        assert_eq!(heard, None, "{canary} was written");
    }
}
