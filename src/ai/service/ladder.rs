//! How the form of an answer is asked for: by a schema, as some JSON object, or in words alone.
//!
//! Servers differ. Which form one takes is found out by asking, from the strictest down, and remembered for
//! as long as the process runs; only a form that was accepted is remembered, so that a question which fails
//! in every form teaches nothing.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::config::AiProvider;

/// A form, the strictest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rung {
    /// The server holds the model to our schema.
    Schema,
    /// The server holds the model to JSON.
    Object,
    /// The prompt asks for it.
    Words,
}

impl Rung {
    /// The word in the log.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Schema => "json_schema",
            Self::Object => "json_object",
            Self::Words => "prompt",
        }
    }
}

/// The rungs of one endpoint and model.
#[derive(Debug)]
pub(super) struct Ladder {
    rungs: &'static [Rung],
    at: AtomicU8,
}

impl Ladder {
    /// All rungs that this language has.
    pub(super) const fn new(provider: AiProvider) -> Self {
        let rungs: &[Rung] = match provider {
            AiProvider::OpenAi => &[Rung::Schema, Rung::Object, Rung::Words],
            AiProvider::Anthropic => &[Rung::Schema, Rung::Words],
        };
        Self { rungs, at: AtomicU8::new(0) }
    }

    /// The rung to begin with, and those below it.
    pub(super) fn rungs_left(&self) -> impl Iterator<Item = Rung> + use<> {
        let at = usize::from(self.at.load(Ordering::Relaxed)).min(self.rungs.len() - 1);
        self.rungs[at..].iter().copied()
    }

    /// Remembers a rung that was accepted; true if it is another one than before.
    pub(super) fn settle_on(&self, rung: Rung) -> bool {
        let Some(at) = self.rungs.iter().position(|known| *known == rung).and_then(|at| u8::try_from(at).ok()) else {
            return false;
        };
        self.at.swap(at, Ordering::Relaxed) != at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_is_where_the_next_question_begins() {
        let ladder = Ladder::new(AiProvider::OpenAi);
        assert_eq!(ladder.rungs_left().collect::<Vec<_>>(), [Rung::Schema, Rung::Object, Rung::Words]);
        assert!(ladder.settle_on(Rung::Object) && !ladder.settle_on(Rung::Object));
        assert_eq!(ladder.rungs_left().collect::<Vec<_>>(), [Rung::Object, Rung::Words]);
        let other = Ladder::new(AiProvider::Anthropic);
        assert!(!other.settle_on(Rung::Object));
        assert_eq!(other.rungs_left().collect::<Vec<_>>(), [Rung::Schema, Rung::Words]);
    }
}
