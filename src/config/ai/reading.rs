//! Reads the settings of an AI service, and says what contradicts what.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::super::reader::Reader;
use super::super::table::{self, Kind, Setting};
use super::super::value::Shown;
use super::{AiProvider, AiSettings, ApiKey, Price};

/// What AI_PROVIDER says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    BuiltIn,
    External(AiProvider),
}

impl Wanted {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "extractive" => Some(Self::BuiltIn),
            "openai" => Some(Self::External(AiProvider::OpenAi)),
            "anthropic" => Some(Self::External(AiProvider::Anthropic)),
            _ => None,
        }
    }
}

impl Shown for Wanted {
    fn shown(&self) -> String {
        match self {
            Self::BuiltIn => "extractive",
            Self::External(provider) => provider.as_str(),
        }
        .to_owned()
    }
}

/// A word out of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mask {
    On,
    Off,
    Auto,
}

impl Mask {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "on" => Some(Self::On),
            "off" => Some(Self::Off),
            "auto" => Some(Self::Auto),
            _ => None,
        }
    }
}

impl Shown for Mask {
    fn shown(&self) -> String {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Auto => "auto",
        }
        .to_owned()
    }
}

impl Shown for u32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for f64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Reader {
    /// The AI service, `Some(None)` for the built-in analyst; `None` after a problem.
    pub(in crate::config) fn ai(&mut self, data_dir: Option<&Path>) -> Option<Option<AiSettings>> {
        let before = self.problem_count();
        let wanted = self.optional(&table::AI_PROVIDER, Wanted::parse);
        let url = self.optional(&table::AI_API_URL, parse_api_url);
        let key = self.secret(&table::AI_API_KEY, is_header_value);
        let model = self.optional(&table::AI_MODEL, parse_model);
        let mask = self.value(&table::AI_MASK, Mask::parse);
        let price_input = self.value(&table::AI_PRICE_INPUT, Price::parse);
        let price_output = self.value(&table::AI_PRICE_OUTPUT, Price::parse);
        let requests_per_minute = self.whole(&table::AI_REQUESTS_PER_MINUTE);
        let concurrency = self.whole(&table::AI_CONCURRENCY);
        let timeout = self.duration(&table::AI_TIMEOUT);
        let context_tokens = self.whole(&table::AI_CONTEXT_TOKENS);
        let max_output_tokens = self.whole(&table::AI_MAX_OUTPUT_TOKENS);
        let default_prompts = data_dir.map(|dir| dir.join("prompts"));
        let prompts_dir = self.path(&table::AI_PROMPTS_DIR, default_prompts);
        let prompt_version = self.optional(&table::AI_PROMPT_VERSION, parse_version);
        let temperature = self.optional(&table::AI_TEMPERATURE, parse_up_to_two);
        let top_p = self.optional(&table::AI_TOP_P, parse_up_to_two);
        if self.problem_count() > before {
            return None;
        }
        let provider = match (wanted, &url) {
            (Some(Wanted::External(provider)), _) => provider,
            (None, Some(_)) => AiProvider::OpenAi,
            (Some(Wanted::BuiltIn) | None, _) => {
                let set = [
                    (&table::AI_API_URL, url.is_some()),
                    (&table::AI_API_KEY, key.is_some()),
                    (&table::AI_MODEL, model.is_some()),
                    (&table::AI_PROMPT_VERSION, prompt_version.is_some()),
                    (&table::AI_TEMPERATURE, temperature.is_some()),
                    (&table::AI_TOP_P, top_p.is_some()),
                ];
                for (setting, _) in set.into_iter().filter(|(_, is_set)| *is_set) {
                    let complaint = "has no effect: the built-in analyst asks no service".to_owned();
                    let fix = "set AI_PROVIDER to openai or anthropic, or remove this";
                    self.problem(setting, complaint, "nothing".to_owned(), fix);
                }
                return (self.problem_count() == before).then_some(None);
            }
        };
        let Some(model) = model else {
            let complaint = "is missing: a service has many models".to_owned();
            self.problem(&table::AI_MODEL, complaint, "the name of a model".to_owned(), table::AI_MODEL.obtain);
            return None;
        };
        let is_vendor = url.is_none();
        let url = url.or_else(|| Url::parse(provider.address()).ok())?;
        if is_vendor && key.is_none() {
            let complaint = format!("is missing: {} answers nobody without one", url.host_str().unwrap_or_default());
            let fix = "set AI_API_KEY or AI_API_KEY_FILE, or AI_API_URL for another server";
            self.problem(&table::AI_API_KEY, complaint, "a key".to_owned(), fix);
            return None;
        }
        let mask = match mask? {
            Mask::On => true,
            Mask::Off => false,
            Mask::Auto => !is_loopback(&url),
        };
        Some(Some(AiSettings {
            provider,
            url,
            key: key.map(|(value, file)| ApiKey { value, file }),
            model,
            mask,
            price_input: price_input?,
            price_output: price_output?,
            requests_per_minute: requests_per_minute?,
            concurrency: concurrency?,
            timeout: timeout?,
            context_tokens: context_tokens?,
            max_output_tokens: max_output_tokens?,
            prompts_dir: prompts_dir?,
            is_prompts_dir_set: self.is_set(&table::AI_PROMPTS_DIR),
            prompt_version,
            temperature,
            top_p,
        }))
    }

    pub(in crate::config) fn whole(&mut self, setting: &'static Setting) -> Option<u32> {
        self.value(setting, |text| {
            let number = text.parse::<u32>().ok()?;
            match setting.kind {
                Kind::Whole(min, max) => (min..=max).contains(&number).then_some(number),
                _ => Some(number),
            }
        })
    }
}

/// `https://`, or `http://` on this machine: what is sent are chats and a key.
fn parse_api_url(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim_end_matches('/')).ok()?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    (is_plain && is_safe && url.host().is_some()).then_some(url)
}

/// True for this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn parse_model(text: &str) -> Option<String> {
    let fits = (1..=200).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

/// A version names a file: letters, digits, `-`, `_` and `.`, not beginning with a point.
fn parse_version(text: &str) -> Option<String> {
    let fits = (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    fits.then(|| text.to_owned())
}

fn parse_up_to_two(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| (0.0..=2.0).contains(number))
}

/// A header can carry it.
pub(super) fn is_header_value(key: &SecretString) -> bool {
    let key = key.expose_secret();
    !key.is_empty() && key.len() <= 4_096 && key.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::case::Case;

    fn ai(variables: &[(&str, &str)]) -> Option<AiSettings> {
        Case::new().env(variables).load().unwrap().ai
    }

    #[test]
    fn an_address_alone_means_the_language_that_most_servers_speak() {
        assert!(ai(&[]).is_none());
        assert!(ai(&[("AI_PROVIDER", "extractive")]).is_none());
        let local = ai(&[("AI_API_URL", "http://127.0.0.1:11434/v1/"), ("AI_MODEL", "qwen3:8b")]).unwrap();
        assert_eq!((local.provider, local.url.as_str()), (AiProvider::OpenAi, "http://127.0.0.1:11434/v1"));
        assert!(!local.is_prompts_dir_set);
        let own = ai(&[("AI_API_URL", "http://127.0.0.1/v1"), ("AI_MODEL", "m"), ("AI_PROMPTS_DIR", "/p")]).unwrap();
        assert!(own.is_prompts_dir_set);
        assert!(!local.mask && local.key.is_none() && local.temperature.is_none());
        let hosted = ai(&[("AI_PROVIDER", "anthropic"), ("AI_API_KEY", "k"), ("AI_MODEL", "m")]).unwrap();
        assert_eq!((hosted.url.as_str(), hosted.mask), ("https://api.anthropic.com/v1", true));
        let off = [("AI_PROVIDER", "openai"), ("AI_API_KEY", "k"), ("AI_MODEL", "m"), ("AI_MASK", "off")];
        assert!(!ai(&off).unwrap().mask);
    }

    #[test]
    fn contradictions_are_told_where_they_stand() {
        let problems = |variables: &[(&str, &str)]| Case::new().env(variables).problems();
        let (environment, default) = ("environment", "default");
        for (variables, subject, origin) in [
            (&[("AI_API_KEY", "k")][..], "AI_API_KEY", environment),
            (&[("AI_MODEL", "m")], "AI_MODEL", environment),
            (&[("AI_PROVIDER", "extractive"), ("AI_API_URL", "https://a.example/v1")], "AI_API_URL", environment),
            (&[("AI_API_URL", "https://a.example/v1")], "AI_MODEL", default),
            (&[("AI_PROVIDER", "openai"), ("AI_MODEL", "m")], "AI_API_KEY", default),
            (&[("AI_PROVIDER", "gemini")], "AI_PROVIDER", environment),
            (&[("AI_API_URL", "http://192.168.1.2/v1"), ("AI_MODEL", "m")], "AI_API_URL", environment),
            (&[("AI_API_URL", "https://u:p@a.example/v1"), ("AI_MODEL", "m")], "AI_API_URL", environment),
            (&[("AI_CONCURRENCY", "0")], "AI_CONCURRENCY", environment),
            (&[("AI_CONTEXT_TOKENS", "5999")], "AI_CONTEXT_TOKENS", environment),
            (&[("AI_PRICE_INPUT", "0,15")], "AI_PRICE_INPUT", environment),
            (&[("AI_PROMPT_VERSION", "../x")], "AI_PROMPT_VERSION", environment),
        ] {
            assert_eq!(problems(variables), [format!("{subject} @ {origin}")], "{variables:?}");
        }
    }

    #[test]
    fn a_key_file_is_read_again_and_never_shown() {
        let case = Case::new().env(&[("AI_PROVIDER", "openai"), ("AI_MODEL", "m"), ("AI_API_KEY_FILE", "key")]).file(
            "key",
            "canary-old\n",
            0o600,
        );
        let config = case.load().unwrap();
        let key = config.ai.as_ref().unwrap().key.clone().unwrap();
        assert_eq!(key.value().expose_secret(), "canary-old");
        assert!(!format!("{config:?}").contains("canary"), "{config:?}");
        let shown = config.listing.iter().find(|listed| listed.variable == "AI_API_KEY").unwrap();
        assert_eq!(
            (shown.value.as_str(), shown.origin.to_string().as_str()),
            ("••••", "environment, as AI_API_KEY_FILE")
        );
        let case = case.file("key", "canary-new\n", 0o600);
        assert_eq!(key.read_again().unwrap().expose_secret(), "canary-new");
        let _case = case.file("key", "canary-new\n", 0o644);
        assert!(key.read_again().is_none(), "a file that others can read");
        assert!(ApiKey::fixed("x").read_again().is_none());
    }

    #[test]
    fn prices_are_exact() {
        for (text, micros) in
            [("0", 0), ("0.15", 150_000), ("3", 3_000_000), ("0.000001", 1), ("10000", 10_000_000_000)]
        {
            assert_eq!(Price::parse(text), Some(Price(micros)), "{text}");
            assert_eq!(Price(micros).shown(), text);
        }
        for bad in ["", ".5", "1.", "-1", "1e3", "0.0000001", "10001", "99999999999999999999"] {
            assert_eq!(Price::parse(bad), None, "{bad}");
        }
    }
}
