//! Under which names the limit of an answer is sent: `max_completion_tokens`, `max_tokens`, or both.
//!
//! The vendor takes the first only. Of the servers that imitate it, some ignore that one without a word (Ollama,
//! llama.cpp), so that an answer would have no limit: they are sent both. One that refuses a name is asked again
//! without it, and that is remembered for as long as the process runs; only what was accepted is remembered.

use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;

use super::refusal::{is_told, lowered, texts};

const COMPLETION: &str = "max_completion_tokens";
const PLAIN: &str = "max_tokens";

/// A name of the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// `max_completion_tokens`.
    Completion,
    /// `max_tokens`.
    Plain,
}

impl Name {
    /// The field.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Completion => COMPLETION,
            Self::Plain => PLAIN,
        }
    }
}

/// The names that are sent; never none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Both.
    Both,
    /// One.
    Only(Name),
}

impl Names {
    const ALL: [Self; 3] = [Self::Both, Self::Only(Name::Completion), Self::Only(Name::Plain)];

    /// The fields to send.
    pub(super) const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Both => &[COMPLETION, PLAIN],
            Self::Only(Name::Completion) => &[COMPLETION],
            Self::Only(Name::Plain) => &[PLAIN],
        }
    }

    /// What is left without `refused`; `None` if that was not sent.
    pub(super) fn without(self, refused: Name) -> Option<Self> {
        let is_sent = matches!(self, Self::Both) || self == Self::Only(refused);
        is_sent.then_some(match refused {
            Name::Completion => Self::Only(Name::Plain),
            Name::Plain => Self::Only(Name::Completion),
        })
    }
}

/// What one endpoint takes.
#[derive(Debug)]
pub(super) struct Limits {
    at: AtomicU8,
    is_vendor: bool,
}

impl Limits {
    /// Nothing is known but whether it is the vendor.
    pub(super) fn new(host: &str) -> Self {
        let is_vendor = host.eq_ignore_ascii_case("api.openai.com");
        Self { at: AtomicU8::new(u8::from(is_vendor)), is_vendor }
    }

    /// The names to begin with.
    pub(super) fn names(&self) -> Names {
        Names::ALL.get(usize::from(self.at.load(Ordering::Relaxed))).copied().unwrap_or(Names::Both)
    }

    /// Remembers what was accepted.
    pub(super) fn settle_on(&self, names: Names) {
        let at = Names::ALL.iter().position(|known| *known == names).and_then(|at| u8::try_from(at).ok());
        if let Some(at) = at.filter(|_| !self.is_vendor) {
            self.at.store(at, Ordering::Relaxed);
        }
    }
}

/// The name that a refusal blames: in the field for it (`param`, `loc`), or the first in a message, if the question
/// holds none such. `sent`: the question in lower case.
pub(super) fn blamed(body: &[u8], sent: &str) -> Option<Name> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let details = value.get("detail").and_then(Value::as_array).into_iter().flatten();
    let places = details.clone().filter_map(|detail| detail.get("loc")?.as_array()).flatten().filter_map(Value::as_str);
    let mut named = texts(&value, &["param"], false).into_iter().chain(places);
    let is = |text: &str| [Name::Completion, Name::Plain].into_iter().find(|name| name.as_str() == text);
    named.find_map(is).or_else(|| {
        let mut said = texts(&value, &["message", "detail"], true);
        said.extend(details.filter_map(|detail| detail.get("msg")?.as_str()));
        let said = lowered(&said.join("\n"));
        let mut words = said.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.find_map(is).filter(|name| is_told(name.as_str(), &said, sent))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_name_is_left_out_and_one_is_always_left() {
        let limits = Limits::new("127.0.0.1");
        assert_eq!(limits.names().fields(), ["max_completion_tokens", "max_tokens"]);
        let left = limits.names().without(Name::Plain).unwrap();
        assert_eq!((left.fields(), limits.names()), (&["max_completion_tokens"][..], Names::Both));
        limits.settle_on(left);
        assert_eq!((limits.names(), left.without(Name::Plain)), (left, None));
        assert_eq!(left.without(Name::Completion), Some(Names::Only(Name::Plain)));
        let vendor = Limits::new("api.openai.com");
        vendor.settle_on(Names::Both);
        assert_eq!(vendor.names().fields(), ["max_completion_tokens"]);
    }

    #[test]
    fn only_the_exact_name_in_a_place_of_the_services_own_is_blamed() {
        for (body, name) in [
            (r#"{"error":{"message":"x","param":"max_tokens"}}"#, Some(Name::Plain)),
            (r#"{"detail":[{"loc":["body","max_completion_tokens"],"msg":"x"}]}"#, Some(Name::Completion)),
            (
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}"#,
                Some(Name::Plain),
            ),
            (r#"{"error":"unknown field max_completion_tokens"}"#, Some(Name::Completion)),
            (r#"{"message":"max_completion_tokens: Extra inputs are not permitted"}"#, Some(Name::Completion)),
            (r#"{"error":{"message":"max_tokens_to_sample and xmax_tokens","param":"messages"}}"#, None),
            (r#"{"detail":[{"loc":["body"],"msg":"x","input":"max_tokens"}]}"#, None),
            ("max_tokens", None),
        ] {
            assert_eq!(blamed(body.as_bytes(), "m1: hello"), name, "{body}");
        }
        let (quote, sent) = (br#"{"error":{"message":"can't read: max_tokens"}}"#, "m1: max_tokens");
        assert_eq!(blamed(quote, sent), None);
        assert_eq!(blamed(br#"{"error":{"param":"max_tokens"}}"#, sent), Some(Name::Plain));
    }
}
