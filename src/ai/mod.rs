//! Who says what a conversation is about.
//!
//! [`extractive`] is the built-in analyst: it works offline, costs nothing, and can't be talked into
//! anything, because it only counts words and quotes sentences.

pub mod error;
pub mod extractive;

pub use error::AiError;
pub use extractive::Extractive;
