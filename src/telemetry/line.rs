//! One log line: the fields gathered, and how they are written.
//!
//! Whatever a value holds, a line stays a line: control characters are escaped, so that no hostile
//! text can forge a second entry or paint the terminal.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::Value;
use tracing::Level;
use tracing::field::{Field, Visit};

use super::logs::Look;
use super::secrets;

/// Named values in the order of recording; of two with one name the later stays.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes over the fields of `other`.
    pub(super) fn extend(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            self.set(name, value.clone());
        }
    }

    /// What a line says, but for numbers and the names of single events: another time it is a repetition.
    pub(super) fn kind(&self, message: &str) -> String {
        let says = |(name, _): &&(&str, Value)| !matches!(*name, "event.id" | "message.key" | "conversation.id");
        self.0.iter().filter(says).filter_map(|(_, value)| value.as_str()).fold(message.to_owned(), |mut kind, text| {
            kind.push('\0');
            kind.push_str(text);
            kind
        })
    }

    /// Adds a number.
    pub(super) fn note(&mut self, name: &'static str, n: u32) {
        self.set(name, n.into());
    }

    /// Takes the forms of known secrets out of every text, and out of the message, which it gives back.
    pub(super) fn scrub(&mut self, message: String) -> String {
        for (_, value) in &mut self.0 {
            if let Value::String(text) = value
                && let Cow::Owned(clean) = secrets::scrub(text)
            {
                *text = clean;
            }
        }
        match secrets::scrub(&message) {
            Cow::Owned(clean) => clean,
            Cow::Borrowed(_) => message,
        }
    }

    /// Takes out what is not shown as a field. Lines of the `log` crate carry their true target as a
    /// field and have the target `log`.
    pub(super) fn take_target_and_message(&mut self, target: &str) -> (String, String) {
        let mut taken = (target.to_owned(), String::new());
        self.0.retain_mut(|(name, value)| {
            match (*name, value) {
                ("message", Value::String(text)) => taken.1 = std::mem::take(text),
                ("log.target", Value::String(text)) => taken.0 = std::mem::take(text),
                (name, _) => return !name.starts_with("log."),
            }
            false
        });
        taken
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), Value::String(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field.name(), value.to_string().into());
    }
}

/// Everything that a line says.
#[derive(Debug)]
pub(super) struct Line<'l> {
    pub at: Timestamp,
    pub level: Level,
    pub target: &'l str,
    pub message: &'l str,
    pub fields: Fields,
}

/// The line as text, with its line break.
pub(super) fn render(line: &Line<'_>, look: &Look) -> String {
    let mut text = match look {
        Look::Json => json(line),
        Look::Plain => plain(line, &format!("{:.3}", line.at), ["", "", ""]),
        Look::Terminal { colour, zone } => {
            let time = line.at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
            // Level, dim, end: the basic colours, which every theme makes readable.
            let level = match line.level {
                Level::ERROR => "\x1b[31m",
                Level::WARN => "\x1b[33m",
                Level::INFO => "\x1b[32m",
                _ => "\x1b[34m",
            };
            plain(line, &time, if *colour { [level, "\x1b[2m", "\x1b[0m"] } else { ["", "", ""] })
        }
    };
    text.push('\n');
    text
}

/// Written piece by piece, because a map would put `ts` and `msg` somewhere among the fields.
fn json(line: &Line<'_>) -> String {
    let level = line.level.as_str().to_ascii_lowercase();
    let (target, message) = (Value::from(line.target), Value::from(line.message));
    let mut text = format!(r#"{{"ts":"{:.3}","level":"{level}","target":{target},"msg":{message}"#, line.at);
    for (name, value) in &line.fields.0 {
        // Writing to a String can't fail; the result is dropped on purpose, here and below.
        let _ = write!(text, ",{}:{value}", Value::from(*name));
    }
    text.push('}');
    text
}

fn plain(line: &Line<'_>, time: &str, [level, dim, end]: [&str; 3]) -> String {
    let mut text = format!("{dim}{time}{end} {level}{:5}{end} {}", line.level.as_str(), escaped(line.message));
    if !line.target.starts_with("chatferry") {
        let _ = write!(text, " {dim}[{}]{end}", escaped(line.target));
    }
    for (name, value) in &line.fields.0 {
        let value = match value {
            Value::String(value) if is_bare(value) => value.clone(),
            Value::String(value) => format!("\"{}\"", escaped(&value.replace('\\', "\\\\").replace('"', "\\\""))),
            other => other.to_string(),
        };
        let _ = write!(text, " {dim}{name}={end}{value}");
    }
    text
}

/// Whether a value can stand without quotes.
fn is_bare(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "-_./:@+,%#…".contains(c))
}

/// The text without anything that moves the cursor, begins a line or turns the writing around.
fn escaped(text: &str) -> String {
    let acts = |c: char| {
        c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if acts(c) {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn line(message: &str, value: &str) -> String {
        let fields = Fields(vec![("account.id", "demo/a".into()), ("n", 3.into()), ("note", value.into())]);
        let at = "2026-03-04T05:06:07.0895Z".parse().unwrap();
        let line = Line { at, level: Level::INFO, target: "chatferry::collect", message, fields };
        render(&line, &Look::Plain)
    }

    #[test]
    fn text_for_people() {
        let plain = line("pass completed", "two \"words\"\n");
        let expected =
            "2026-03-04T05:06:07.089Z INFO  pass completed account.id=demo/a n=3 note=\"two \\\"words\\\"\\n\"\n";
        assert_eq!(plain, expected);
        let at = "2026-03-04T05:06:07Z".parse().unwrap();
        let line = Line { at, level: Level::WARN, target: "other::part", message: "m", fields: Fields::default() };
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let short = render(&line, &Look::Terminal { colour: false, zone: zone.clone() });
        assert_eq!(short, "07:06:07 WARN  m [other::part]\n");
        let colour = render(&line, &Look::Terminal { colour: true, zone });
        assert!(colour.starts_with("\x1b[2m07:06:07\x1b[0m \x1b[33mWARN \x1b[0m m "), "{colour:?}");
    }

    #[test]
    fn lines_of_the_log_crate_have_their_own_target() {
        let mut fields = Fields(vec![
            ("message", "m".into()),
            ("log.target", "lib::part".into()),
            ("log.line", 7.into()),
            ("n", 1.into()),
        ]);
        assert_eq!(fields.take_target_and_message("log"), ("lib::part".to_owned(), "m".to_owned()));
        assert_eq!(fields.0, [("n", 1.into())]);
    }

    proptest! {
        #[test]
        fn no_value_can_begin_a_line_or_act_on_the_terminal(message in any::<String>(), value in any::<String>()) {
            let text = line(&message, &value);
            let body = text.strip_suffix('\n').unwrap();
            prop_assert!(!body.chars().any(char::is_control), "{body:?}");
        }
    }
}
