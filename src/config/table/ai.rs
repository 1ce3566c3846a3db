//! The rows about an AI service.

use super::rows::{ROW, SECOND};
use super::{Kind, Setting};

/// Who analyses.
pub static AI_PROVIDER: Setting = Setting {
    variable: "AI_PROVIDER",
    key: "ai.provider",
    kind: Kind::Choice(&["extractive", "openai", "anthropic"]),
    computed: Some("extractive, or openai where AI_API_URL is set"),
    help: "Who says what a conversation is about: the built-in analyst, or an AI service.",
    obtain: "openai for everything that speaks its language: OpenAI, vLLM, Ollama, LM Studio, llama.cpp, LiteLLM; docs/ai.md.",
    ..ROW
};

/// Where the service is.
pub static AI_API_URL: Setting = Setting {
    variable: "AI_API_URL",
    key: "ai.api_url",
    kind: Kind::ApiUrl,
    computed: Some("that of the vendor: https://api.openai.com/v1 or https://api.anthropic.com/v1"),
    help: "Where the AI service is, up to and with /v1.",
    obtain: "For Ollama http://127.0.0.1:11434/v1, for vLLM http://127.0.0.1:8000/v1.",
    ..ROW
};

/// The key of the service.
pub static AI_API_KEY: Setting = Setting {
    variable: "AI_API_KEY",
    key: "ai.api_key",
    kind: Kind::Text,
    computed: Some("none is sent"),
    secret: true,
    help: "The key of the AI service; a file is read again when it changes, so that a key can be changed while the daemon runs.",
    obtain: "From the vendor's console; servers on this machine mostly want none.",
    ..ROW
};

/// Which model.
pub static AI_MODEL: Setting = Setting {
    variable: "AI_MODEL",
    key: "ai.model",
    kind: Kind::Text,
    computed: Some("none: a service needs one"),
    help: "Which model of the service, by the name that the service has for it.",
    obtain: "From the vendor's list, or GET <AI_API_URL>/models; it is stored with every analysis and shown in the sheet.",
    ..ROW
};

/// Whether private data is masked.
pub static AI_MASK: Setting = Setting {
    variable: "AI_MASK",
    key: "ai.mask",
    kind: Kind::Choice(&["on", "off", "auto"]),
    default: Some("auto"),
    help: "Whether the service sees placeholders instead of e-mail addresses, phone and card numbers, passwords and keys.",
    obtain: "auto: on for a service elsewhere, off for one on this machine; what is stored holds the real values.",
    ..ROW
};

/// The price of the question.
pub static AI_PRICE_INPUT: Setting = Setting {
    variable: "AI_PRICE_INPUT",
    key: "ai.price_input",
    kind: Kind::Price,
    default: Some("0"),
    help: "What a million tokens of the question cost, in the currency of your choice; 0 means not known.",
    obtain: "The vendor's price list.",
    ..ROW
};

/// The price of the answer.
pub static AI_PRICE_OUTPUT: Setting = Setting {
    variable: "AI_PRICE_OUTPUT",
    key: "ai.price_output",
    kind: Kind::Price,
    default: Some("0"),
    help: "What a million tokens of the answer cost, in the same currency.",
    obtain: "The vendor's price list.",
    ..ROW
};

/// How often it may be asked.
pub static AI_REQUESTS_PER_MINUTE: Setting = Setting {
    variable: "AI_REQUESTS_PER_MINUTE",
    key: "ai.requests_per_minute",
    kind: Kind::Whole(1, 100_000),
    default: Some("60"),
    help: "How many requests the service gets in a minute at most.",
    obtain: "Below the limit of your account with the vendor; per process.",
    ..ROW
};

/// How many requests at once.
pub static AI_CONCURRENCY: Setting = Setting {
    variable: "AI_CONCURRENCY",
    key: "ai.concurrency",
    kind: Kind::Whole(1, 64),
    default: Some("4"),
    help: "How many requests are under way to the service at once, at most.",
    obtain: "1 for a model on this machine's own processor.",
    ..ROW
};

/// How long a request may take.
pub static AI_TIMEOUT: Setting = Setting {
    variable: "AI_TIMEOUT",
    key: "ai.timeout",
    kind: Kind::Duration(SECOND, 300 * SECOND),
    default: Some("60s"),
    help: "How long one request to the service may take.",
    obtain: "Longer for a slow model on this machine.",
    ..ROW
};

/// How much one question may hold.
pub static AI_CONTEXT_TOKENS: Setting = Setting {
    variable: "AI_CONTEXT_TOKENS",
    key: "ai.context_tokens",
    kind: Kind::Whole(6_000, 1_000_000),
    default: Some("16000"),
    help: "How many tokens one question may have, roughly; of a longer conversation the older messages are left out.",
    obtain: "At most the model's context less AI_MAX_OUTPUT_TOKENS.",
    ..ROW
};

/// How long an answer may be.
pub static AI_MAX_OUTPUT_TOKENS: Setting = Setting {
    variable: "AI_MAX_OUTPUT_TOKENS",
    key: "ai.max_output_tokens",
    kind: Kind::Whole(200, 100_000),
    default: Some("2000"),
    help: "How many tokens the answer may have, thinking included.",
    obtain: "8000 or more for models that think before they answer (failure code ai-cut-off).",
    ..ROW
};

/// The folder of the operator's prompts.
pub static AI_PROMPTS_DIR: Setting = Setting {
    variable: "AI_PROMPTS_DIR",
    key: "ai.prompts_dir",
    kind: Kind::Path,
    computed: Some("the folder `prompts` in the data directory"),
    help: "The folder of your own prompts, <version>.md; they go before the built-in ones.",
    obtain: "Any folder; it is read at the start, and must be there if it is set.",
    ..ROW
};

/// Which prompt.
pub static AI_PROMPT_VERSION: Setting = Setting {
    variable: "AI_PROMPT_VERSION",
    key: "ai.prompt_version",
    kind: Kind::Text,
    computed: Some("the newest built-in one"),
    help: "Which version of the prompt is asked: the name of a file of AI_PROMPTS_DIR without .md, or a built-in one.",
    obtain: "A changed prompt gets a new name: answers are stored under it.",
    ..ROW
};

/// A sampling parameter.
pub static AI_TEMPERATURE: Setting = Setting {
    variable: "AI_TEMPERATURE",
    key: "ai.temperature",
    kind: Kind::UpToTwo,
    computed: Some("none is sent"),
    help: "The sampling temperature; models that think refuse it.",
    obtain: "0 for a model on this machine that answers differently each time.",
    ..ROW
};

/// A sampling parameter.
pub static AI_TOP_P: Setting = Setting {
    variable: "AI_TOP_P",
    key: "ai.top_p",
    kind: Kind::UpToTwo,
    computed: Some("none is sent"),
    help: "The sampling parameter top_p; models that think refuse it.",
    obtain: "Only where the model's maker advises it.",
    ..ROW
};
