//! Which AI service is asked, how, and what it may cost.
//!
//! A setting of a service without a service is a problem: whoever sets a key believes that it is used.
//! The key may be read again from its file while the program runs, so that it can be changed without a
//! restart; until then it is known as it was at the start.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use url::Url;

use self::reading::{is_header_value, is_loopback};
use super::secret;
use super::value::{Money, Shown};

mod reading;

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

/// More than anything costs, so that a price in millionths is noticed.
const MOST: Price = Price(10_000_000_000);

/// What a million tokens cost, in millionths of the currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(pub u64);

impl Price {
    /// An amount with a point and at most six decimals.
    pub fn parse(text: &str) -> Option<Self> {
        Money::parse(text).map(|money| Self(money.0)).filter(|price| *price <= MOST)
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
    /// The folder of the operator's prompts.
    pub prompts_dir: PathBuf,
    /// Whether somebody set that folder: then it must be there.
    pub is_prompts_dir_set: bool,
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
            is_prompts_dir_set: false,
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
