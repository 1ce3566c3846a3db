//! Logs on stderr and, if asked for, in files: turning them on, and which lines are let through.
//!
//! `LOG_LEVEL` is about our own modules. Foreign ones are capped at WARN whatever it says, and the
//! libraries that print page content, frames or headers are off: a debug session must not put a chat
//! into a log file. Writing own lines instead of `tracing_subscriber::fmt` keeps span fields and event
//! fields in one flat object with dotted names (`line.rs`).
//!
//! Every value passes a last sieve for the forms of known secrets (`secrets.rs`), wherever it came from.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use super::line::{self, Fields, Line};
use super::repeats::Repeats;
use super::{TelemetryError, files};

/// Libraries that are never heard: what they say holds page content, frames, headers or tokens.
const MUTED: &[&str] = &[
    "chromiumoxide",
    "tungstenite",
    "async_tungstenite",
    "tokio_tungstenite",
    "hyper",
    "h2",
    "lapin",
    "mongodb",
    "rustls",
    "reqwest",
    "yup_oauth2",
    "google_apis_common",
    "google_sheets4",
];

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, message, fields.
    Text,
    /// One JSON object per line: `ts` (UTC, RFC 3339), `level`, `target`, `msg`, then the fields.
    Json,
}

/// What is logged, and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// For our own modules.
    pub level: Level,
    /// Own modules (`chatferry::collect`) with another level; foreign ones are passed over.
    pub targets: Vec<(String, Level)>,
    /// In which form.
    pub format: LogFormat,
    /// Colour is welcome; it is used on a terminal only.
    pub colour: bool,
    /// Where log files are kept beside what stderr shows.
    pub folder: Option<PathBuf>,
}

/// Turns logs on for the whole process.
///
/// # Errors
/// [`TelemetryError::AlreadyOn`], [`TelemetryError::Folder`]: permanent, scope process.
pub fn init(settings: &LogSettings) -> Result<(), TelemetryError> {
    let terminal = std::io::stderr().is_terminal();
    let look = match settings.format {
        LogFormat::Json => Look::Json,
        // Beside other lines of a log file an hour without a day and a zone is worth nothing.
        LogFormat::Text if terminal => Look::Terminal { colour: settings.colour, zone: TimeZone::system() },
        LogFormat::Text => Look::Plain,
    };
    let file: Option<Sink> = match &settings.folder {
        None => None,
        Some(path) => {
            let unusable = |source| TelemetryError::Folder { path: path.clone(), source };
            Some(Box::new(files::open(path).map_err(unusable)?))
        }
    };
    let (filter, dial) = reload::Layer::new(filter(settings));
    let lines = LineLayer::new(look, std::io::stderr(), file);
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|_| TelemetryError::AlreadyOn)?;
    // Set once: the line above succeeds once.
    let _ = DIAL.set(Box::new(move |settings: &LogSettings| {
        // Gone only with the process.
        let _ = dial.reload(self::filter(settings));
    }));
    Ok(())
}

type Sink = Box<dyn Write + Send>;
type Dial = Box<dyn Fn(&LogSettings) + Send + Sync>;

/// Changes the levels of the logs that are on.
static DIAL: OnceLock<Dial> = OnceLock::new();

/// Lets through from now on what these settings say; form and folder stay. Nothing before [`init`].
pub fn set_levels(settings: &LogSettings) {
    if let Some(dial) = DIAL.get() {
        dial(settings);
    }
}

/// The form of a line and what it depends on.
#[derive(Debug, Clone)]
pub(super) enum Look {
    /// JSON.
    Json,
    /// Text with the full time in UTC.
    Plain,
    /// Text with the time of day.
    Terminal {
        /// With colours.
        colour: bool,
        /// The zone of the time of day.
        zone: TimeZone,
    },
}

#[cfg(test)]
fn subscriber<W: Write + Send + 'static>(settings: &LogSettings, look: Look, out: W) -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry().with(filter(settings)).with(LineLayer::new(look, out, None))
}

fn filter(settings: &LogSettings) -> Targets {
    let foreign = settings.level.min(Level::WARN);
    let ours = settings.targets.iter().filter(|(target, _)| is_ours(target)).cloned();
    Targets::new()
        .with_default(foreign)
        .with_targets(MUTED.iter().map(|target| (*target, LevelFilter::OFF)))
        .with_target("chatferry", settings.level)
        .with_targets(ours)
}

fn is_ours(target: &str) -> bool {
    target == "chatferry" || target.starts_with("chatferry::")
}

/// Writes each event as one line, in one write.
struct LineLayer<W> {
    look: Look,
    out: Mutex<W>,
    file: Option<Mutex<Sink>>,
    repeats: Mutex<Repeats>,
}

impl<W> LineLayer<W> {
    fn new(look: Look, out: W, file: Option<Sink>) -> Self {
        Self { look, out: Mutex::new(out), file: file.map(Mutex::new), repeats: Mutex::default() }
    }
}

impl<S, W> Layer<S> for LineLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        let (target, message) = fields.take_target_and_message(metadata.target());
        let message = fields.scrub(message);
        if *metadata.level() <= Level::WARN {
            let kind = fields.kind(&message);
            let admitted = self.repeats.lock().unwrap_or_else(PoisonError::into_inner).admit(kind, Instant::now());
            match admitted {
                None => return,
                Some(0) => {}
                Some(n) => fields.note("repeats.left_out", n),
            }
        }
        let line = Line { at: Timestamp::now(), level: *metadata.level(), target: &target, message: &message, fields };
        write(&self.out, &line::render(&line, &self.look));
        if let Some(file) = &self.file {
            write(file, &line::render(&line, &Look::Json));
        }
    }
}

/// A line that can't be written is lost: there is no place left to say so.
fn write(out: &Mutex<impl Write>, text: &str) {
    let _ = out.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes());
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    pub(in crate::telemetry) fn settings(level: Level) -> LogSettings {
        LogSettings { level, targets: Vec::new(), format: LogFormat::Json, colour: false, folder: None }
    }

    /// The JSON lines that `during` gives.
    pub(in crate::telemetry) fn logged(settings: &LogSettings, during: impl FnOnce()) -> Vec<serde_json::Value> {
        let sink = Sink::default();
        tracing::subscriber::with_default(subscriber(settings, Look::Json, sink.clone()), during);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn json_lines_are_flat_with_the_fields_of_their_spans() {
        let lines = logged(&settings(Level::INFO), || {
            let span = tracing::info_span!(target: "chatferry::collect", "pass", account.id = "demo/a", late = tracing::field::Empty);
            let _guard = span.enter();
            span.record("late", 1);
            let error = std::io::Error::other("inner\nline");
            tracing::warn!(target: "chatferry::collect", n = 3_u64, x = -0.5, ok = true, error = &error as &dyn std::error::Error, "did {}", "it");
        });
        let line = &lines[0];
        let at = line["ts"].as_str().unwrap();
        assert!(at.ends_with('Z') && at.parse::<Timestamp>().is_ok(), "{at}");
        let mut rest = line.clone();
        rest.as_object_mut().unwrap().remove("ts");
        let expected = serde_json::json!({
            "level": "warn", "target": "chatferry::collect", "msg": "did it", "account.id": "demo/a", "late": 1,
            "n": 3, "x": -0.5, "ok": true, "error": "inner\nline",
        });
        assert_eq!(rest, expected);
    }

    #[test]
    fn the_level_is_about_our_own_modules() {
        let heard = |settings: &LogSettings| {
            let lines = logged(settings, || {
                tracing::trace!(target: "chatferry::bus", "a");
                tracing::debug!(target: "chatferry::collect::login", "b");
                tracing::info!(target: "foreign", "c");
                tracing::warn!(target: "foreign::part", "d");
                tracing::error!(target: "chromiumoxide::handler", "e");
                tracing::error!(target: "chromiumoxide_cdp", "f");
                tracing::error!(target: "tungstenite::protocol", "g");
                tracing::error!(target: "hyper_util::client", "h");
                tracing::error!(target: "reqwest::connect", "r");
                tracing::error!(target: "foreign", "i");
                tracing::error!(target: "yup_oauth2::authenticator", "j");
                tracing::error!(target: "google_sheets4::api", "k");
            });
            lines.iter().map(|line| line["msg"].as_str().unwrap().to_owned()).collect::<String>()
        };
        assert_eq!(heard(&settings(Level::TRACE)), "abdi");
        assert_eq!(heard(&settings(Level::INFO)), "di");
        assert_eq!(heard(&settings(Level::ERROR)), "i");
        let targets = ["chatferry::collect", "hyper_util", "foreign"].map(|t| (t.to_owned(), Level::TRACE)).to_vec();
        assert_eq!(heard(&LogSettings { targets, ..settings(Level::INFO) }), "bdi");
    }

    #[test]
    fn a_loop_of_trouble_is_told_five_times_and_then_counted() {
        let lines = logged(&settings(Level::INFO), || {
            for n in 0..20_u64 {
                tracing::warn!(target: "chatferry::pipeline", { error.code = "bus-unavailable", n }, "publish failed");
                tracing::info!(target: "chatferry::pipeline", n, "batch archived");
            }
            tracing::warn!(target: "chatferry::pipeline", { error.code = "queue-full" }, "publish failed");
        });
        let count = |message: &str| lines.iter().filter(|line| line["msg"] == message).count();
        assert_eq!((count("publish failed"), count("batch archived")), (6, 20));
    }

    #[test]
    fn a_secret_is_taken_out_wherever_it_stands() {
        let lines = logged(&settings(Level::INFO), || {
            let address = "amqp://ferry:s3cret-word@broker/";
            let span = tracing::info_span!(target: "chatferry::bus", "link", address);
            let _guard = span.enter();
            tracing::warn!(target: "chatferry::bus", error = address, "no answer from {address}");
        });
        let text = serde_json::to_string(&lines).unwrap();
        assert!(!text.contains("s3cret-word") && text.matches("[secret]broker").count() == 3, "{text}");
    }

    #[test]
    fn a_second_beginning_is_a_fault() {
        // The first call may come too late as well: another test of this process may have been faster.
        let _ = init(&settings(Level::ERROR));
        assert!(matches!(init(&settings(Level::ERROR)), Err(TelemetryError::AlreadyOn)));
    }
}
