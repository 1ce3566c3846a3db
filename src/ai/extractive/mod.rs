//! The built-in analyst: sentences that people wrote, chosen by what they have in common, and facts
//! found by rule. Offline, deterministic, labelled as what it is (`extractive`).
//!
//! | file | what it finds |
//! |---|---|
//! | `clean` | the text without what can't be seen |
//! | `mentions` | links and amounts of money |
//! | `words` | the word lists of each language, and the words of a text |
//! | `reading` | the conversation, taken apart once: utterances, sentences, words |
//! | `language` | the language |
//! | `rank`, `summary` | the two or three sentences that say most |
//! | `topics` | what it is about, in key words |
//! | `reply` | whether an answer is due, why, and how soon |
//! | `sentiment`, `risk` | the mood of the other side; things to beware of |
//!
//! The input is hostile: nothing in it is obeyed, followed or interpreted. Work is bounded whatever
//! comes in (see the limits in `reading` and `rank`), and what goes out holds no control
//! character, no order-changing mark and, outside of `links`, no link.

pub(super) mod clean;
mod language;
pub(super) mod mentions;
mod rank;
mod reading;
mod reply;
mod risk;
mod sentences;
mod sentiment;
mod summary;
mod topics;
mod words;

use async_trait::async_trait;

use self::reading::{LONGEST_MESSAGE, Reading};
use super::error::AiError;
use crate::domain::{Message, Text, Usage, Verdict};
use crate::ports::{Analyst, AnalystRequest, Reply};

/// The name under which the built-in analyst answers.
pub const MODEL: &str = "extractive";
/// Changes whenever the same conversation would get a different answer.
pub const PROMPT_VERSION: &str = "extractive-1";

/// The built-in analyst.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extractive;

impl Extractive {
    /// The built-in analyst; it has no settings.
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Analyst for Extractive {
    fn model(&self) -> &str {
        MODEL
    }

    fn prompt_version(&self) -> &str {
        PROMPT_VERSION
    }

    async fn analyse(&self, request: &AnalystRequest) -> Reply {
        let request = request.clone();
        // A long conversation takes tenths of a second: not on the threads that run the tasks.
        let verdict = tokio::task::spawn_blocking(move || verdict(&request))
            .await
            .map_err(|error| if error.is_panic() { AiError::Panicked } else { AiError::Interrupted }.into());
        Reply { verdict, usage: Usage::default() }
    }
}

/// The links and the amounts of money in these messages, newest last: facts that no model is asked for.
pub(super) fn mentioned(messages: &[Message]) -> (Vec<String>, Vec<String>) {
    let texts: Vec<String> =
        messages.iter().map(|message| clean::clean(message.text.expose(), LONGEST_MESSAGE)).collect();
    let links = texts.iter().flat_map(|text| mentions::without_links(text).1);
    let money = texts.iter().flat_map(|text| {
        let (rest, _) = mentions::without_links(text);
        mentions::money(&rest).collect::<Vec<_>>()
    });
    (mentions::newest(links), mentions::newest(money))
}

/// The answer about one conversation.
fn verdict(request: &AnalystRequest) -> Verdict {
    let reading = Reading::of(request);
    let waiting = reply::waiting(&reading);
    let links = reading.utterances.iter().flat_map(|utterance| utterance.links.iter().cloned());
    let money = reading.utterances.iter().flat_map(|utterance| mentions::money(&utterance.text));
    Verdict {
        summary: Text::from(summary::compose(&reading, &waiting)),
        topics: texts(topics::find(&reading)),
        language: reading.language.map(str::to_owned),
        sentiment: sentiment::judge(&reading),
        priority: reply::priority(&reading, &waiting),
        last_speaker: request.messages.last().map(|message| message.direction),
        needs_reply: waiting.reason.is_some(),
        needs_reply_reason: waiting.reason.map(|reason| reason.as_str().to_owned()),
        links: texts(mentions::newest(links)),
        money: texts(mentions::newest(money)),
        risk_flags: risk::flags(&reading),
        open_questions: Vec::new(),
        follow_up: None,
    }
}

fn texts(found: Vec<String>) -> Vec<Text> {
    found.into_iter().map(Text::from).collect()
}

#[cfg(test)]
pub(super) mod tests;
