//! Rows as the page shows them → messages with authors, times, directions and keys. Pure.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;
use unicode_normalization::UnicodeNormalization;

use super::positions;
use super::spool::{Cursor, Known};
use crate::domain::conversation::ConversationRef;
use crate::domain::message::{FingerprintKeys, Likeness};
use crate::domain::{Attachment, Direction, Message, MessageKey, Precision, Text};
use crate::ports::page::ThreadRow;
use crate::selectors::Pack;
use crate::selectors::moment::Frame;

/// Who the owner is where a page names no author for own messages.
const OWNER: &str = "me";

/// Where in its conversation a reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At the oldest message.
    AtStart,
    /// Anywhere: what is older is known, or still to be read.
    Anywhere,
    /// Where the limits of the history are: what is older can't be seen.
    AtLimit,
}

/// What rows are read with.
#[derive(Debug)]
pub struct Reader<'a> {
    /// The pack.
    pub pack: &'a Pack,
    /// What times in words are relative to.
    pub frame: &'a Frame,
    /// The conversation.
    pub conversation: &'a ConversationRef,
    /// The account's user name, for `{username}` among the own authors.
    pub username: &'a str,
    /// When the page was read.
    pub observed_at: Timestamp,
}

/// Messages of one reading, oldest first, and what was left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The messages; positions are not given yet.
    pub messages: Vec<Message>,
    /// Rows that hold neither text nor attachment, or lack an id that the pack requires.
    pub unreadable: u64,
    /// Messages whose time stands there in a form that the pack does not know.
    pub untimed: u64,
    /// Date separators of which no date could be read.
    pub undated: u64,
}

impl Reader<'_> {
    /// Resolves rows, oldest first.
    ///
    /// A reading that begins somewhere in the middle may cut through a group of messages of one
    /// time; ordinals among equals counted there could differ from those of a longer reading, so
    /// messages without an id that share the first row's time are left out: a longer reading has
    /// given, or will give, their keys. So are rows before the first author or day that they would
    /// carry on, and, unless the limit is reached, messages with neither id nor time.
    pub fn resolve(&self, rows: &[ThreadRow], begin: Begin) -> Resolved {
        let from_start = begin == Begin::AtStart;
        let mut resolved = Resolved::default();
        let mut carried = Carried::default();
        let mut keys = FingerprintKeys::new();
        let mut first_time = None;
        for row in rows {
            if let Some(raw) = &row.separator {
                let day = self.separator_day(raw);
                resolved.undated += u64::from(day.is_none());
                carried.day = day.or(carried.day);
                continue;
            }
            let draft = self.draft(row, &mut carried);
            resolved.untimed += u64::from(self.is_untimed(row, draft.as_ref(), &carried));
            if !from_start && !self.is_anchored(&carried) {
                continue;
            }
            let Some(draft) = draft else {
                resolved.unreadable += 1;
                continue;
            };
            let sent_at_ms = draft.sent_at.map(Timestamp::as_millisecond);
            let at_the_cut = !from_start && sent_at_ms.is_some() && *first_time.get_or_insert(sent_at_ms) == sent_at_ms;
            let key = match &draft.native_id {
                Some(id) => MessageKey::native(&self.conversation.key, id),
                None => {
                    let (author, text) = (draft.author.expose(), composed(draft.text.expose()));
                    let likeness = Likeness { author, direction: draft.direction, sent_at_ms, text: &text };
                    keys.next(&self.conversation.key, likeness)
                }
            };
            let is_timeless = begin == Begin::Anywhere && sent_at_ms.is_none();
            if draft.native_id.is_some() || !(at_the_cut || is_timeless) {
                resolved.messages.push(Message { key, ..draft });
            }
        }
        resolved
    }

    /// Whether everything that a row takes over from earlier ones was seen.
    fn is_anchored(&self, carried: &Carried) -> bool {
        let messages = &self.pack.messages;
        let carries_author = messages.author.as_ref().is_some_and(|author| author.carry);
        (!carries_author || carried.author.is_some()) && (messages.separator.is_none() || carried.day.is_some())
    }

    /// A message without its key; `None` if the row can't be read.
    fn draft(&self, row: &ThreadRow, carried: &mut Carried) -> Option<Message> {
        let messages = &self.pack.messages;
        let id_required = messages.native_id.as_ref().is_some_and(|query| query.required.unwrap_or(true));
        let native_id = row.native_id.clone().filter(|id| !id.is_empty());
        let text = row.text.as_ref().map(|text| normal_text(text.expose()));
        let author = self.author(row, carried);
        let (sent_at, precision) = self.sent_at(row, carried);
        let has_text = text.as_ref().is_some_and(|text| !text.is_empty());
        if (id_required && native_id.is_none()) || (!has_text && row.attachments.is_empty()) {
            return None;
        }
        let own = row.own || author.as_ref().is_some_and(|author| self.is_own_author(author.expose()));
        let direction = if own { Direction::Out } else { Direction::In };
        let author = author.unwrap_or_else(|| if own { Text::from(OWNER) } else { self.conversation.title.clone() });
        Some(Message {
            key: MessageKey::native(&self.conversation.key, ""),
            native_id,
            author,
            direction,
            text: text.unwrap_or_default(),
            sent_at,
            sent_at_precision: precision,
            observed_at: self.observed_at,
            attachments: row.attachments.iter().cloned().map(|url| Attachment { url }).collect(),
            position: 0,
        })
    }

    fn author(&self, row: &ThreadRow, carried: &mut Carried) -> Option<Text> {
        let query = self.pack.messages.author.as_ref()?;
        let author = row.author.clone().filter(|author| !author.is_empty());
        let author = if query.carry { author.or_else(|| carried.author.clone()) } else { author };
        carried.author.clone_from(&author);
        author
    }

    fn is_own_author(&self, author: &str) -> bool {
        self.pack.messages.direction.own_authors.iter().any(|own| own.replace("{username}", self.username) == author)
    }

    fn sent_at(&self, row: &ThreadRow, carried: &mut Carried) -> (Option<Timestamp>, Precision) {
        let Some(rule) = &self.pack.messages.sent_at else { return (None, Precision::Unknown) };
        let moment = row.sent_at.as_deref().and_then(|raw| self.frame.moment(raw, &rule.formats, carried.day));
        if let Some(moment) = moment {
            carried.day = Some(moment.at.to_zoned(self.frame.zone.clone()).date());
            carried.time = Some((moment.at, moment.precision));
            return (Some(moment.at), moment.precision);
        }
        // A time that stands there and can't be read is no reason to take another one's.
        let is_bare = row.sent_at.as_deref().is_none_or(str::is_empty);
        match carried.time.filter(|_| rule.at.carry && is_bare) {
            Some((at, precision)) => (Some(at), precision),
            None => (None, Precision::Unknown),
        }
    }

    /// A time that is there and could not be read. One without a date before the first separator is none yet.
    fn is_untimed(&self, row: &ThreadRow, draft: Option<&Message>, carried: &Carried) -> bool {
        let is_written = row.sent_at.as_ref().is_some_and(|raw| !raw.is_empty());
        let needs_day = self.pack.messages.separator.is_some() && carried.day.is_none();
        is_written && !needs_day && draft.is_some_and(|draft| draft.sent_at.is_none())
    }

    fn separator_day(&self, raw: &Text) -> Option<Date> {
        let separator = self.pack.messages.separator.as_ref()?;
        self.frame.date(raw.expose(), &separator.formats, &separator.today, &separator.yesterday)
    }
}

/// What a row takes over from those before it.
#[derive(Debug, Default)]
struct Carried {
    author: Option<Text>,
    day: Option<Date>,
    time: Option<(Timestamp, Precision)>,
}

/// Line breaks as `\n`; else as it was written.
fn normal_text(text: &str) -> Text {
    Text::new(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() })
}

/// Composed letters, so that a page that spells one text two ways still shows one message. For names only:
/// what is stored stays as it was written.
pub(super) fn composed(text: &str) -> Cow<'_, str> {
    if unicode_normalization::is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// What is new in a reading, and what changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// New and changed messages with what to remember of each, oldest first.
    pub fresh: Vec<(Message, Known)>,
    /// How many of them are new.
    pub new: u64,
    /// How many are known with another content.
    pub revised: u64,
}

/// Compares a reading with what is known, and gives every new message its position.
pub fn difference(messages: Vec<Message>, cursor: &Cursor) -> Difference {
    let known_positions: BTreeSet<i64> = cursor.messages.values().map(|known| known.position).collect();
    let window: Vec<Option<i64>> =
        messages.iter().map(|message| cursor.messages.get(&message.key).map(|known| known.position)).collect();
    let positions = positions::assign(&window, &known_positions);
    let mut difference = Difference::default();
    let mut seen = HashMap::new();
    for (mut message, position) in messages.into_iter().zip(positions) {
        // A page that shows one id twice shows one message.
        if seen.insert(message.key, ()).is_some() {
            continue;
        }
        message.position = position;
        let content = message.content_digest();
        let revision = match cursor.messages.get(&message.key) {
            Some(known) if known.content == content => continue,
            Some(known) => {
                difference.revised += 1;
                known.revision + 1
            }
            None => {
                difference.new += 1;
                0
            }
        };
        difference.fresh.push((message, Known { content, revision, position }));
    }
    difference
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccountId, ConversationKey};
    use jiff::tz::TimeZone;

    fn pack(change: &str) -> Pack {
        let text = include_str!("../../selectors/demo.toml");
        toml::from_str(&format!("{text}\n{change}")).unwrap()
    }

    fn row(author: Option<&str>, when: Option<&str>, text: &str) -> ThreadRow {
        ThreadRow {
            separator: None,
            native_id: None,
            author: author.map(Text::from),
            own: false,
            text: Some(text.into()),
            sent_at: when.map(str::to_owned),
            attachments: Vec::new(),
        }
    }

    fn separator(text: &str) -> ThreadRow {
        ThreadRow { separator: Some(text.into()), text: None, ..row(None, None, "") }
    }

    fn resolve(pack: &Pack, rows: &[ThreadRow], from_start: bool) -> Resolved {
        let account: AccountId = "demo/default".parse().unwrap();
        let conversation =
            ConversationRef { key: ConversationKey::new(&account, "7"), id: "7".into(), title: "Mia".into() };
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let frame = Frame::new(TimeZone::UTC, now);
        let reader = Reader { pack, frame: &frame, conversation: &conversation, username: "alex", observed_at: now };
        reader.resolve(rows, if from_start { Begin::AtStart } else { Begin::Anywhere })
    }

    #[test]
    fn author_and_date_are_carried_where_the_pack_says_so() {
        let mut pack = pack(
            "[messages.separator]\nrow = \".day\"\ndate = \".day\"\nformats = [\"%d %B %Y\"]\ntoday = [\"Today\"]",
        );
        pack.messages.author.as_mut().unwrap().carry = true;
        pack.messages.sent_at.as_mut().unwrap().formats = vec!["%H:%M".into()];
        let rows = [
            separator("3 October 2026"),
            row(Some("Mia"), Some("23:59"), "late"),
            row(None, Some("23:59"), "later"),
            separator("Today"),
            row(None, Some("00:01"), "early"),
        ];
        let messages = resolve(&pack, &rows, true).messages;
        let times: Vec<String> = messages.iter().map(|m| m.sent_at.unwrap().to_string()).collect();
        assert_eq!(times, ["2026-10-03T23:59:00Z", "2026-10-03T23:59:00Z", "2026-11-21T00:01:00Z"]);
        assert!(messages.iter().all(|m| m.author.expose() == "Mia" && m.sent_at_precision == Precision::Minute));
    }

    #[test]
    fn own_messages_are_told_by_mark_or_author() {
        let mut pack = pack("");
        pack.messages.direction.own_authors = vec!["{username}".into(), "You".into()];
        let mut marked = row(None, None, "c");
        marked.own = true;
        let rows = [row(Some("alex"), None, "a"), row(Some("You"), None, "b"), marked, row(None, None, "d")];
        let resolved = resolve(&pack, &rows, true);
        let seen: Vec<(&str, &str)> =
            resolved.messages.iter().map(|m| (m.direction.as_str(), m.author.expose())).collect();
        assert_eq!(seen, [("out", "alex"), ("out", "You"), ("out", "me"), ("in", "Mia")]);
    }

    #[test]
    fn a_reading_from_the_middle_gives_the_keys_of_the_whole_or_none() {
        let pack = pack("");
        let when = |minute: u32| format!("2026-10-03T10:{minute:02}:00Z");
        let rows: Vec<ThreadRow> =
            [0, 0, 0, 1, 1, 2].map(|minute| row(Some("Mia"), Some(&when(minute)), "ok")).to_vec();
        let whole: Vec<MessageKey> = resolve(&pack, &rows, true).messages.iter().map(|m| m.key).collect();
        assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), 6);
        for begin in 1..rows.len() {
            let part: Vec<MessageKey> = resolve(&pack, &rows[begin..], false).messages.iter().map(|m| m.key).collect();
            assert_eq!(part, whole[whole.len() - part.len()..], "from row {begin}");
        }
        assert_eq!(resolve(&pack, &rows[2..], false).messages.len(), 3);
    }

    #[test]
    fn what_a_cut_reading_can_not_know_is_left_out() {
        let timeless = [row(Some("Mia"), None, "ok"), row(Some("Mia"), None, "ok")];
        assert_eq!(resolve(&pack(""), &timeless, false).messages.len(), 0, "ordinals would begin anew");
        let mut carrying = pack("");
        carrying.messages.author.as_mut().unwrap().carry = true;
        let when = Some("2026-10-03T10:00:00Z");
        let later = Some("2026-10-03T10:01:00Z");
        let rows = [
            row(None, when, "whose?"),
            row(None, later, "whose?"),
            row(Some("Mia"), later, "mine"),
            row(None, Some("2026-10-03T10:02:00Z"), "hers"),
        ];
        let messages = resolve(&carrying, &rows, false).messages;
        assert!(messages.iter().all(|message| message.author.expose() == "Mia"), "{messages:?}");
        assert_eq!(messages.last().unwrap().text.expose(), "hers");
    }

    #[test]
    fn a_row_without_content_is_counted_not_invented() {
        let pack = pack("");
        let mut empty = row(Some("Mia"), None, "");
        empty.text = None;
        let mut picture = empty.clone();
        picture.attachments = vec!["/a.png".into()];
        let resolved = resolve(&pack, &[empty, picture, row(Some("Mia"), None, "e\u{301}\r\nx")], true);
        assert_eq!(resolved.unreadable, 1);
        assert_eq!(resolved.messages.len(), 2);
        assert_eq!(resolved.messages[1].text.expose(), "e\u{301}\nx", "as it was written");
        let composed = resolve(&pack, &[row(Some("Mia"), None, "\u{e9}\nx")], true);
        assert_eq!(composed.messages[0].key, resolved.messages[1].key, "two spellings of one message");
    }

    #[test]
    fn only_news_and_edits_go_out() {
        let pack = pack("");
        let mut rows: Vec<ThreadRow> = ["a", "b", "c"].map(|text| row(Some("Mia"), None, text)).to_vec();
        for (n, row) in rows.iter_mut().enumerate() {
            row.native_id = Some(n.to_string());
        }
        let first = difference(resolve(&pack, &rows, true).messages, &Cursor::default());
        assert_eq!((first.new, first.revised), (3, 0));
        let messages = first.fresh.iter().map(|(message, known)| (message.key, *known)).collect();
        let cursor = Cursor { complete: true, messages, ..Cursor::default() };
        assert_eq!(difference(resolve(&pack, &rows, true).messages, &cursor), Difference::default());
        rows[1].text = Some("b, corrected".into());
        let second = difference(resolve(&pack, &rows, true).messages, &cursor);
        assert_eq!((second.new, second.revised, second.fresh[0].1.revision), (0, 1, 1));
        assert_eq!(second.fresh[0].0.position, first.fresh[1].0.position);
    }
}
