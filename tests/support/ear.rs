//! Hears every line that any library writes on this thread, at every level, those that the program mutes included.
//!
//! One subscriber for the whole process, because those of single threads race with each other over what is
//! worth writing at all.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    /// The lines of this thread, while somebody listens.
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Every line that `during` writes on this thread: target, name and all fields.
pub fn listen(during: impl FnOnce()) -> Vec<String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Ear).expect("somebody else listens to this process"));
    HEARD.with(|heard| *heard.borrow_mut() = Some(Vec::new()));
    during();
    HEARD.with(|heard| heard.borrow_mut().take()).unwrap()
}

struct Ear;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

fn hear(name: String, record: impl FnOnce(&mut Line)) {
    HEARD.with(|heard| {
        // Whoever writes a line while one is being written is not heard: it would be this file.
        if let Ok(mut heard) = heard.try_borrow_mut()
            && let Some(lines) = heard.as_mut()
        {
            let mut line = Line(name);
            record(&mut line);
            lines.push(line.0);
        }
    });
}

fn named(metadata: &Metadata<'_>) -> String {
    format!("{}: {}", metadata.target(), metadata.name())
}

impl Subscriber for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        hear(named(span.metadata()), |line| span.record(line));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        hear("values".to_owned(), |line| values.record(line));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        hear(named(event.metadata()), |line| event.record(line));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
