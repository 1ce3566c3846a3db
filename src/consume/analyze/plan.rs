//! What to ask an analyst that remembers: its last answer and what is new, or the messages themselves.
//! Pure.
//!
//! What a question costs must not grow with the history. An update holds the last answer and the new
//! messages. After [`REBUILD_AFTER`] updates the messages themselves are read again, so that no error, and
//! nothing that somebody planted in a summary, lives for ever; that question is at most a tenth larger
//! than the update in whose place it stands, and so holds the newest messages and not the oldest.

use super::gate;
use crate::domain::{Analysis, Digest, Message, Verdict};

/// Up to so many messages, reading all of them is cheaper than an answer and the new ones.
const WHOLE: usize = 14;

/// Updates between two readings of the messages themselves.
const REBUILD_AFTER: u32 = 50;

/// What instructions and the shape of the answer take up, in characters (600 tokens).
const INSTRUCTIONS: usize = 2_400;

/// What a message takes up besides its text: author, time, direction, key.
const ENVELOPE: usize = 40;

/// As much of one message as counts here; a prompt cuts longer ones too.
const LONGEST: usize = 2_000;

/// The newest messages, as many as fit.
#[derive(Debug, Clone, Copy)]
struct Window {
    messages: usize,
    characters: usize,
}

/// For a first reading, and for one of messages that have changed: once, so it may be thorough.
const FIRST: Window = Window { messages: 100, characters: 16_000 };

/// For what came since the last answer.
const NEWS: Window = Window { messages: 60, characters: 12_000 };

/// What to do about a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: the last answer is of these messages.
    Answered,
    /// Nobody needs to be asked about what is new.
    Carry {
        /// Messages at the end that the analyst has not read then.
        unread: u64,
    },
    /// Ask.
    Ask {
        /// With the last answer, or with messages alone.
        goes_on: bool,
        /// From this message on.
        from: usize,
        /// Messages that neither the answer nor the question covers.
        left_out: usize,
        /// Updates since the messages themselves were read, this one included.
        updates: u32,
    },
}

/// What these messages say, in their order. Not when they were sent nor by which name: a page that shows
/// "5 minutes ago" and a person who takes another name change the past in no way that matters, and reading
/// all of it again would cost.
pub(super) fn content(messages: &[Message]) -> Digest {
    let mut fields = Vec::with_capacity(messages.len());
    for message in messages {
        let attachments = message.attachments.len() as u64;
        fields.push(Digest::new(
            "said-1",
            &[
                &message.key.to_bytes(),
                message.direction.as_str().as_bytes(),
                message.text.expose().as_bytes(),
                &attachments.to_le_bytes(),
            ],
        ));
    }
    let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes().as_slice()).collect();
    Digest::new("conversation-1", &fields)
}

/// What to do: `messages` is the whole conversation, oldest first; `last` the last answer by this analyst
/// to this version of the question.
pub(super) fn plan(messages: &[Message], last: Option<&Analysis>) -> Plan {
    let unchanged = last.and_then(|last| Some((last, read_before(messages, last)?)));
    let Some((last, covered)) = unchanged else {
        let from = newest(messages, FIRST);
        return Plan::Ask { goes_on: false, from, left_out: from, updates: 0 };
    };
    let new = &messages[covered..];
    if new.is_empty() {
        return Plan::Answered;
    }
    let unread = last.reading.unread.saturating_add(new.len() as u64);
    if gate::is_idle(new) {
        return Plan::Carry { unread };
    }
    let begin = messages.len().saturating_sub(usize::try_from(unread).unwrap_or(usize::MAX));
    let from = begin + newest(&messages[begin..], NEWS);
    let update = weight(&last.verdict) + size(&messages[from..]);
    if messages.len() <= WHOLE || size(messages) <= update {
        return Plan::Ask { goes_on: false, from: 0, left_out: 0, updates: 0 };
    }
    if last.updates >= REBUILD_AFTER {
        let characters = (INSTRUCTIONS + update) * 11 / 10 - INSTRUCTIONS;
        let from = newest(messages, Window { messages: usize::MAX, characters });
        return Plan::Ask { goes_on: false, from, left_out: from, updates: 0 };
    }
    Plan::Ask { goes_on: true, from, left_out: from - begin, updates: last.updates + 1 }
}

/// How many messages the answer covers, if they still are what it was made from.
fn read_before(messages: &[Message], last: &Analysis) -> Option<usize> {
    let covered = messages.iter().position(|message| message.key == last.up_to)? + 1;
    (last.reading.content == Some(content(&messages[..covered]))).then_some(covered)
}

/// The index from which on the newest messages fit; at least one does.
fn newest(messages: &[Message], window: Window) -> usize {
    let mut left = window.characters;
    let fit = messages.iter().rev().take(window.messages).take_while(|message| {
        let size = size(std::slice::from_ref(*message));
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    });
    messages.len() - fit.count().max(1).min(messages.len())
}

fn size(messages: &[Message]) -> usize {
    messages.iter().map(|message| message.text.expose().chars().take(LONGEST).count() + ENVELOPE).sum()
}

/// What an answer takes up in the next question.
fn weight(verdict: &Verdict) -> usize {
    serde_json::to_string(verdict).map_or(0, |text| text.chars().count())
}

#[cfg(test)]
mod tests;
