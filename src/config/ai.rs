//! Which AI service is asked, how, and what it may cost.
//!
//! A setting of a service without a service is a problem: whoever sets a key believes that it is used.
//! The key may be read again from its file while the program runs, so that it can be changed without a
//! restart; until then it is known as it was at the start.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::reader::Reader;
use super::secret;
use super::table::{self, Kind, Setting};
use super::value::Shown;

/// Which language the service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AiProvider {
    /// `POST /chat/completions`: the vendor, and many servers that imitate it.
    OpenAi,
    /// `POST /messages`.
    Anthropic,
}

impl AiProvider {
    /// The word of the setting.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    const fn address(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
        }
    }
}

/// The key of the service.
#[derive(Debug, Clone)]
pub struct ApiKey {
    value: SecretString,
    file: Option<PathBuf>,
}

impl ApiKey {
    /// A key that stays.
    pub fn fixed(value: impl Into<String>) -> Self {
        Self { value: SecretString::from(value.into()), file: None }
    }

    /// The key as it was at the start.
    pub const fn value(&self) -> &SecretString {
        &self.value
    }

    /// When its file was last written; `None` if there is no file, or nobody can tell.
    pub fn written_at(&self) -> Option<SystemTime> {
        std::fs::metadata(self.file.as_ref()?).and_then(|file| file.modified()).ok()
    }

    /// The key as its file holds it now; `None` if there is no file, or it can't be used.
    pub fn read_again(&self) -> Option<SecretString> {
        secret::read(self.file.as_ref()?).ok().filter(is_header_value)
    }
}

/// What a million tokens cost, in millionths of the currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price(pub u64);

impl Price {
    /// An amount with a point and at most six decimals.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() > 6 {
            return None;
        }
        let micros =
            whole.parse::<u64>().ok()?.checked_mul(1_000_000)? + format!("{decimals:0<6}").parse::<u64>().ok()?;
        (micros <= 10_000_000_000).then_some(Self(micros))
    }
}

impl Shown for Price {
    fn shown(&self) -> String {
        let decimals = format!("{:06}", self.0 % 1_000_000);
        match decimals.trim_end_matches('0') {
            "" => (self.0 / 1_000_000).to_string(),
            decimals => format!("{}.{decimals}", self.0 / 1_000_000),
        }
    }
}

/// An AI service.
#[derive(Debug, Clone)]
pub struct AiSettings {
    /// Its language.
    pub provider: AiProvider,
    /// Its address, up to `/v1`, without a slash at the end.
    pub url: Url,
    /// Its key; `None`: none is sent.
    pub key: Option<ApiKey>,
    /// Which model.
    pub model: String,
    /// Whether private data is masked before it goes there.
    pub mask: bool,
    /// The price of questions.
    pub price_input: Price,
    /// The price of answers.
    pub price_output: Price,
    /// At most so many requests in a minute.
    pub requests_per_minute: u32,
    /// At most so many at once.
    pub concurrency: u32,
    /// The longest time for one.
    pub timeout: Duration,
    /// Roughly so many tokens of question.
    pub context_tokens: u32,
    /// At most so many tokens of answer.
    pub max_output_tokens: u32,
    /// The folder of the operator's prompts; it need not exist.
    pub prompts_dir: PathBuf,
    /// Which prompt is asked; `None`: the newest built-in one.
    pub prompt_version: Option<String>,
    /// Sampling parameters, only where they were set.
    pub temperature: Option<f64>,
    /// As above.
    pub top_p: Option<f64>,
}

impl AiSettings {
    /// The settings of a service at this address without anything else set.
    pub fn new(provider: AiProvider, url: Url, model: impl Into<String>) -> Self {
        Self {
            provider,
            mask: !is_loopback(&url),
            url,
            key: None,
            model: model.into(),
            price_input: Price::default(),
            price_output: Price::default(),
            requests_per_minute: 60,
            concurrency: 4,
            timeout: Duration::from_secs(60),
            context_tokens: 16_000,
            max_output_tokens: 2_000,
            prompts_dir: PathBuf::new(),
            prompt_version: None,
            temperature: None,
            top_p: None,
        }
    }

    /// Its host, for people.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

/// What AI_PROVIDER says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Extractive,
    Service(AiProvider),
}

impl Wanted {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "extractive" => Some(Self::Extractive),
            "openai" => Some(Self::Service(AiProvider::OpenAi)),
            "anthropic" => Some(Self::Service(AiProvider::Anthropic)),
            _ => None,
        }
    }
}

impl Shown for Wanted {
    fn shown(&self) -> String {
        match self {
            Self::Extractive => "extractive",
            Self::Service(provider) => provider.as_str(),
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

impl Shown for String {
    fn shown(&self) -> String {
        self.clone()
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

impl Shown for Url {
    fn shown(&self) -> String {
        self.as_str().trim_end_matches('/').to_owned()
    }
}

impl Reader {
    /// The AI service, `Some(None)` for the built-in analyst; `None` after a problem.
    pub(super) fn ai(&mut self, data_dir: Option<&Path>) -> Option<Option<AiSettings>> {
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
            (Some(Wanted::Service(provider)), _) => provider,
            (None, Some(_)) => AiProvider::OpenAi,
            (Some(Wanted::Extractive) | None, _) => {
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
            prompt_version,
            temperature,
            top_p,
        }))
    }

    fn whole(&mut self, setting: &'static Setting) -> Option<u32> {
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
fn is_loopback(url: &Url) -> bool {
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
fn is_header_value(key: &SecretString) -> bool {
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
