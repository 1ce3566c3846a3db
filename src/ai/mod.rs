//! Who says what a conversation is about.
//!
//! [`extractive`] is the built-in analyst: it works offline, costs nothing, and can't be talked into
//! anything, because it only counts words and quotes sentences. [`service`] asks a model behind an API, which
//! understands more and believes anything; so what it says is checked.

pub mod error;
pub mod extractive;
pub mod service;

pub use error::AiError;
pub use extractive::Extractive;
pub use service::AiService;
