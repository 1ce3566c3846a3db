//! Readings that can't be true: what people do to a conversation looks otherwise than what a changed layout
//! does to the reading of it.
//!
//! A renamed class leaves every row in its place and gives it another author, another side or another name, so
//! the reading is full of edits, or of messages that were sent long ago and were not there. Keeping it would
//! overwrite or double what is stored. Pure.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use crate::collect::resolve::{Difference, Resolved, composed};
use crate::collect::spool::{Cursor, Known};
use crate::domain::message::{FingerprintKeys, Likeness};
use crate::domain::{ConversationKey, Direction, Message, MessageKey};

/// Fewer than this are people's doing.
const AT_LEAST: usize = 3;
/// How far the clocks of site and machine may be apart.
const SLACK: SignedDuration = SignedDuration::from_mins(10);

/// A field of the pack that is in doubt, and why.
pub(super) type Doubt = (&'static str, String);

/// What is wrong with the rows in themselves.
pub(super) fn of_rows(resolved: &Resolved) -> Option<Doubt> {
    let rows = resolved.messages.len();
    let is_many = |count: u64| count * 20 > rows as u64 + resolved.unreadable;
    if is_many(resolved.untimed) {
        return Some(("messages.sent_at.formats", format!("fit none of {} times", resolved.untimed)));
    }
    if resolved.undated > 0 {
        return Some(("messages.separator.formats", format!("fit none of {} dates", resolved.undated)));
    }
    let ids = resolved.messages.iter().filter_map(|message| message.native_id.as_deref());
    let named = ids.clone().count();
    let distinct = ids.collect::<HashSet<_>>().len();
    if (named - distinct) * 20 > named {
        return Some(("messages.native_id", format!("gives {named} messages {distinct} ids")));
    }
    None
}

/// What is wrong with the rows beside what is known. `keys` are those of the whole reading, oldest first.
pub(super) fn of_news(
    conversation: &ConversationKey,
    keys: &[MessageKey],
    changed: &Difference,
    cursor: &Cursor,
) -> Option<Doubt> {
    let seen: HashSet<&MessageKey> = keys.iter().collect();
    let turned = changed.fresh.iter().filter(|(message, _)| is_turned(conversation, message, &seen, cursor)).count();
    if turned > 0 {
        return Some(("messages.direction", format!("turns {turned} known messages round")));
    }
    let known: Vec<i64> = keys.iter().filter_map(|key| cursor.messages.get(key)).map(|known| known.position).collect();
    let revised = usize::try_from(changed.revised).unwrap_or(usize::MAX);
    if revised >= AT_LEAST && revised * 2 > known.len() {
        return Some(("messages.row", format!("gives {revised} of {} known messages another content", known.len())));
    }
    // With a hole in what is known, old messages that are new are what was missing.
    if !cursor.complete || cursor.open_gap.is_some() {
        return None;
    }
    let newest = cursor.messages.values().map(|known| known.position).max()?;
    let looked = cursor.observed_at.and_then(|at| at.checked_sub(SLACK).ok());
    let is_late = |message: &Message| match (message.sent_at, looked) {
        (Some(sent_at), Some(looked)) => sent_at < looked,
        _ => message.position < newest,
    };
    let late = changed.fresh.iter().filter(|(message, known)| known.revision == 0 && is_late(message)).count();
    let from = known.first().copied().unwrap_or(i64::MIN);
    let is_gone = |(key, known): &(&MessageKey, &Known)| known.position >= from && !seen.contains(key);
    let gone = cursor.messages.iter().filter(is_gone).count();
    (late >= AT_LEAST && late * 10 > keys.len() && gone * 2 >= late).then(|| {
        ("messages.row", format!("gives {late} messages that were sent long ago and are new; {gone} are gone"))
    })
}

/// Whether this is a known message in everything but its direction. Nobody can change that one.
fn is_turned(conversation: &ConversationKey, message: &Message, seen: &HashSet<&MessageKey>, cursor: &Cursor) -> bool {
    let direction = match message.direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
    };
    if let Some(known) = cursor.messages.get(&message.key) {
        return Message { direction, ..message.clone() }.content_digest() == known.content;
    }
    if message.native_id.is_some() {
        return false;
    }
    let sent_at_ms = message.sent_at.map(Timestamp::as_millisecond);
    let (author, text) = (message.author.expose(), composed(message.text.expose()));
    let likeness = Likeness { author, direction, sent_at_ms, text: &text };
    let key = FingerprintKeys::new().next(conversation, likeness);
    sent_at_ms.is_some() && cursor.messages.contains_key(&key) && !seen.contains(&key)
}
