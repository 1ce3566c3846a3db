//! What an account says: a seeded script of messages, each a function of the seed and its number.

use chatferry::collect::spool::{Capture, Known};
use chatferry::domain::conversation::ConversationRef;
use chatferry::domain::event::MessageCaptured;
use chatferry::domain::{
    AccountId, ConversationKey, Direction, Envelope, Event, Message, MessageKey, Origin, Precision,
};
use jiff::Timestamp;

/// One in so many messages is edited once.
const EDITED: u32 = 9;

/// Messages of some conversations.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// Everything follows from it.
    pub seed: u64,
    /// Conversations.
    pub conversations: u32,
    /// Messages in each.
    pub messages: u32,
}

/// One message as it must be in the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Truth {
    /// Its key.
    pub key: MessageKey,
    /// Its text, the last edit's if there is one.
    pub text: String,
    /// Where it stands.
    pub position: i64,
}

impl Script {
    /// The account that all of it belongs to; another one for each seed.
    pub fn account(&self) -> AccountId {
        format!("demo/seed-{}", self.seed).parse().unwrap()
    }

    /// Conversation `c`.
    pub fn conversation(&self, c: u32) -> ConversationKey {
        ConversationKey::new(&self.account(), &format!("c{c}"))
    }

    fn key(&self, c: u32, n: u32) -> MessageKey {
        MessageKey::native(&self.conversation(c), &n.to_string())
    }

    fn is_edited(&self, n: u32) -> bool {
        (u64::from(n) + self.seed).is_multiple_of(u64::from(EDITED))
    }

    /// Equal texts in one minute, other scripts, emoji, and one text of 20 kB per conversation.
    fn text(&self, c: u32, n: u32, edits: u32) -> String {
        let told = match n % 7 {
            0 => "ok".to_owned(),
            1 => format!("=1+{n} 🙂🏳️‍🌈"),
            2 => format!("شكرا {n}\n<b>bold</b>"),
            3 if n == 3 => "x".repeat(20_000),
            _ => format!("message {n} of {c} in {}", self.seed),
        };
        if edits == 0 { told } else { format!("{told} (edited)") }
    }

    fn captured(&self, c: u32, n: u32, edits: u32) -> MessageCaptured {
        let at = |seconds: u32| Timestamp::from_second(1_780_000_000 + i64::from(seconds)).unwrap();
        MessageCaptured {
            account: self.account(),
            conversation: ConversationRef {
                key: self.conversation(c),
                id: format!("c{c}"),
                title: format!("Person {c}").into(),
            },
            message: Message {
                key: self.key(c, n),
                native_id: Some(n.to_string()),
                author: if n.is_multiple_of(2) { "me" } else { "them" }.into(),
                direction: if n.is_multiple_of(2) { Direction::Out } else { Direction::In },
                text: self.text(c, n, edits).into(),
                sent_at: Some(at(n / 3 * 60)),
                sent_at_precision: Precision::Minute,
                observed_at: at(100_000 + n + 1000 * edits),
                attachments: Vec::new(),
                position: i64::from(n) * 10,
            },
            origin: Origin::Backfill,
            revision: edits,
        }
    }

    /// Everything as a collector would spool it: a reading of some messages of one conversation after the
    /// other, then the edits.
    pub fn captures(&self, at_once: u32) -> Vec<Capture> {
        let mut captures = Vec::new();
        for from in (0..self.messages).step_by(at_once as usize) {
            for c in 0..self.conversations {
                let numbers = from..self.messages.min(from + at_once);
                captures.push(self.capture(c, numbers.map(|n| (n, 0)).collect()));
            }
        }
        for c in 0..self.conversations {
            let edited = (0..self.messages).filter(|n| self.is_edited(*n)).map(|n| (n, 1)).collect();
            captures.push(self.capture(c, edited));
        }
        captures
    }

    fn capture(&self, c: u32, messages: Vec<(u32, u32)>) -> Capture {
        let events = messages.into_iter().map(|(n, edits)| {
            let captured = self.captured(c, n, edits);
            let (key, observed_at) = (captured.message.key, captured.message.observed_at);
            let known = Known { content: [0; 16], revision: edits, position: captured.message.position };
            (Envelope::new(Event::MessageCaptured(Box::new(captured)), observed_at), key, known)
        });
        Capture {
            account: self.account(),
            conversation: self.captured(c, 0, 0).conversation,
            epoch: None,
            observed_at: self.captured(c, 0, 0).message.observed_at,
            complete: true,
            row_digest: None,
            recalled: None,
            events: events.collect(),
            open_gap: None,
            gaps: Vec::new(),
        }
    }

    /// What the store must hold of conversation `c`, in order.
    pub fn truth(&self, c: u32) -> Vec<Truth> {
        let told = |n| Truth {
            key: self.key(c, n),
            text: self.text(c, n, u32::from(self.is_edited(n))),
            position: i64::from(n) * 10,
        };
        (0..self.messages).map(told).collect()
    }
}
