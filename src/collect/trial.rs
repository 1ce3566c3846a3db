//! Whether an edited pack may take the place of the one in use, judged by what both read on the same page. Pure.
//!
//! Two questions. Is it right by itself: the markers agree, the required fields are covered, every query can be
//! used? And does it mean the same: the names of conversations and messages follow from what a pack reads, so
//! one that reads other ids, or other texts where there are no ids, would store everything a second time.
//!
//! An objection names the query and gives numbers; it never holds anything that the page says.

use std::collections::{HashMap, HashSet};

use super::verdict::{self, Drift};
use crate::domain::Message;
use crate::domain::MessageKey;
use crate::ports::page::{Glance, ListReading, ListRow, PageVerdict, ProbeRow, ThreadReading, ThreadRow, TrialReport};
use crate::selectors::Pack;

/// Something that speaks against a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The query, as in the pack.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Objection {
    /// An objection to a query.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// As it is told.
    pub fn sentence(&self) -> String {
        format!("{} {}", self.field, self.problem)
    }
}

/// Queries that can't be used as written: nothing else was read with them.
fn unusable(probe: &[ProbeRow]) -> Vec<Objection> {
    let of_row = |row: &ProbeRow| {
        let reason = row.errors.values().next()?;
        Some(Objection::new(row.key.clone(), format!("can't be used as written: {reason}")))
    };
    probe.iter().filter_map(of_row).collect()
}

/// What speaks against a pack by what it reads of a page that shows the list.
pub fn of_list(pack: &Pack, report: &TrialReport) -> Vec<Objection> {
    let unusable = unusable(&report.probe);
    if !unusable.is_empty() {
        return unusable;
    }
    let rows = conversations(&report.list).len();
    match verdict::of_list(&report.glance, rows) {
        PageVerdict::Ok => {
            let mut objections = drifted(pack, &report.list.matches);
            if pack.conversations.scroll.is_some() && matches_nothing(&report.probe, "conversations.scroll.container") {
                objections.push(Objection::new("conversations.scroll.container", "is not in the page"));
            }
            objections
        }
        PageVerdict::Empty => Vec::new(),
        PageVerdict::LoggedOut => vec![Objection::new("pages.login", "sees a login form where there is none")],
        PageVerdict::NotRendered if report.glance.loading => {
            vec![Objection::new("pages.loading", "says that a page is loading that is complete")]
        }
        PageVerdict::NotRendered => {
            vec![Objection::new("pages.list.positive", "matches nothing on a page that shows the list")]
        }
        PageVerdict::Broken if report.list.rows.is_empty() => {
            vec![Objection::new("conversations.row", "matches nothing in a list that does not say it is empty")]
        }
        PageVerdict::Broken => vec![Objection::new("conversations.id", "is missing in every row")],
    }
}

/// What speaks against a pack by what it reads of a page that shows the conversation whose proof this is.
pub fn of_thread(pack: &Pack, proof: &str, report: &TrialReport) -> Vec<Objection> {
    let unusable = unusable(&report.probe);
    if !unusable.is_empty() {
        return unusable;
    }
    let rows = messages(&report.thread);
    match verdict::of_thread(&report.glance, rows) {
        PageVerdict::LoggedOut => vec![Objection::new("pages.login", "sees a login form where there is none")],
        PageVerdict::NotRendered if report.glance.loading => {
            vec![Objection::new("pages.loading", "says that a page is loading that is complete")]
        }
        PageVerdict::NotRendered => {
            vec![Objection::new("pages.thread.positive", "matches nothing on a page that shows a conversation")]
        }
        PageVerdict::Broken => {
            vec![Objection::new("messages.row", "matches nothing in a conversation that does not say it is empty")]
        }
        PageVerdict::Ok | PageVerdict::Empty if report.thread.opened.as_deref() != Some(proof) => {
            vec![Objection::new("conversations.opened.at", "does not recognise the conversation that is open")]
        }
        PageVerdict::Empty => Vec::new(),
        PageVerdict::Ok => {
            let mut objections = drifted(pack, &report.thread.matches);
            if matches_nothing(&report.probe, "history.container") {
                objections.push(Objection::new("history.container", "is not in the page"));
            }
            objections
        }
    }
}

fn drifted(pack: &Pack, matches: &crate::ports::page::Matches) -> Vec<Objection> {
    let missing = |drift| match drift {
        Drift::Missing { field, missing, rows } => {
            Some(Objection::new(field, format!("is missing in {missing} of {rows} rows")))
        }
        Drift::Fallback { .. } => None,
    };
    verdict::drifts(pack, matches).into_iter().filter_map(missing).collect()
}

fn matches_nothing(probe: &[ProbeRow], key: &str) -> bool {
    probe.iter().any(|row| row.key == key && row.counts.iter().all(|count| *count == 0))
}

fn conversations<'a>(list: &'a ListReading) -> Vec<(&'a str, &'a ListRow)> {
    let named = |row: &'a ListRow| row.id.as_deref().filter(|id| !id.is_empty()).map(|id| (id, row));
    list.rows.iter().filter_map(named).collect()
}

/// Rows that are messages, as far as a row can tell.
pub fn messages(thread: &ThreadReading) -> usize {
    let has_content = |row: &&ThreadRow| row.separator.is_none() && (row.text.is_some() || !row.attachments.is_empty());
    thread.rows.iter().filter(has_content).count()
}

/// What speaks against a pack that reads the list otherwise than the one in use. Fewer rows are its right if it
/// says which to skip.
pub fn same_conversations(old: &Pack, new: &Pack, before: &ListReading, after: &ListReading) -> Vec<Objection> {
    let (known, found) = (conversations(before), conversations(after));
    if known.is_empty() {
        return Vec::new();
    }
    let by_place = known.len() == found.len() && before.rows.len() == after.rows.len();
    let renamed = if by_place {
        known.iter().zip(&found).filter(|((old_id, _), (new_id, _))| old_id != new_id).count()
    } else {
        // The same words in a row mean the same row, where only one row has them.
        let mut ids: HashMap<&str, Option<&str>> = HashMap::new();
        for (id, row) in &known {
            ids.entry(row.digest.expose()).and_modify(|id| *id = None).or_insert(Some(id));
        }
        let is_renamed = |(id, row): &&(&str, &ListRow)| {
            ids.get(row.digest.expose()).copied().flatten().is_some_and(|known| known != *id)
        };
        found.iter().filter(is_renamed).count()
    };
    let ids: HashSet<&str> = found.iter().map(|(id, _)| *id).collect();
    let kept = known.iter().filter(|(id, _)| ids.contains(id)).count();
    if renamed > 0 || kept == 0 {
        let count = if kept == 0 { known.len() } else { renamed };
        let all = known.len();
        let problem = format!("gives {count} of {all} conversations another id than the pack in use does");
        return vec![Objection::new("conversations.id", problem)];
    }
    if kept < known.len() && old.conversations.skip == new.conversations.skip {
        let problem = format!("finds {kept} of the {} conversations that the pack in use finds", known.len());
        return vec![Objection::new("conversations.row", problem)];
    }
    Vec::new()
}

/// What speaks against a pack that reads the messages of a conversation otherwise than the one in use.
pub fn same_messages(old: &Pack, new: &Pack, before: &[Message], after: &[Message]) -> Vec<Objection> {
    let found: HashSet<MessageKey> = after.iter().map(|message| message.key).collect();
    let lost = before.iter().filter(|message| !found.contains(&message.key)).count();
    if lost == 0 {
        return Vec::new();
    }
    let known: HashSet<MessageKey> = before.iter().map(|message| message.key).collect();
    let strange = after.iter().filter(|message| !known.contains(&message.key)).count();
    let all = before.len();
    if strange == 0 {
        if old.messages.skip != new.messages.skip {
            return Vec::new();
        }
        let problem = format!("finds {} of the {all} messages that the pack in use finds", all - lost);
        return vec![Objection::new("messages.row", problem)];
    }
    let problem = format!("reads otherwise: {lost} of {all} messages would be stored a second time");
    vec![Objection::new(other_field(before, after), problem)]
}

/// Whether two readings of a message differ in one thing.
type Differs = fn(&Message, &Message) -> bool;

/// The first field that differs where both read as many messages.
fn other_field(before: &[Message], after: &[Message]) -> &'static str {
    if before.len() != after.len() {
        return "messages.row";
    }
    let differs = |what: Differs| before.iter().zip(after).any(|(old, new)| what(old, new));
    let fields: [(&'static str, Differs); 5] = [
        ("messages.native_id", |old, new| old.native_id != new.native_id),
        ("messages.sent_at.at", |old, new| old.sent_at != new.sent_at),
        ("messages.author", |old, new| old.author != new.author),
        ("messages.text", |old, new| old.text != new.text),
        ("messages.direction", |old, new| old.direction != new.direction),
    ];
    fields.into_iter().find(|(_, what)| differs(*what)).map_or("messages.row", |(field, _)| field)
}

/// True if the page is one on which packs can be compared: the one in use understands it.
pub fn is_understood(verdict: PageVerdict) -> bool {
    matches!(verdict, PageVerdict::Ok | PageVerdict::Empty)
}

/// The list's verdict by the pack in use.
pub fn verdict_of_list(glance: &Glance, list: &ListReading) -> PageVerdict {
    verdict::of_list(glance, conversations(list).len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ConversationKey;
    use crate::ports::page::{FieldMatch, Matches};
    use crate::selectors::Query;

    fn demo() -> Pack {
        toml::from_str(include_str!("../../selectors/demo.toml")).unwrap()
    }

    fn list(ids: &[&str]) -> ListReading {
        let row = |id: &&str| ListRow {
            id: Some((*id).to_owned()),
            title: Some("T".into()),
            last_activity: None,
            unread: None,
            digest: format!("row {}", id.trim_start_matches("new-")).as_str().into(),
        };
        ListReading { rows: ids.iter().map(row).collect(), matches: Matches::new() }
    }

    fn fields(objections: &[Objection]) -> Vec<&str> {
        objections.iter().map(|objection| objection.field.as_str()).collect()
    }

    #[test]
    fn a_pack_that_is_wrong_by_itself_is_told_by_its_query() {
        let pack = demo();
        let report = |change: fn(&mut TrialReport)| {
            let glance = Glance { list: true, ..Glance::default() };
            let mut report = TrialReport { glance, list: list(&["1", "2"]), ..TrialReport::default() };
            change(&mut report);
            of_list(&pack, &report)
        };
        assert_eq!(report(|_| ()), []);
        assert_eq!(fields(&report(|r| r.list.rows.clear())), ["conversations.row"]);
        assert_eq!(fields(&report(|r| r.list.rows.iter_mut().for_each(|row| row.id = None))), ["conversations.id"]);
        assert_eq!(fields(&report(|r| r.glance.list = false)), ["pages.list.positive"]);
        assert_eq!(fields(&report(|r| r.glance.login = true)), ["pages.login"]);
        let loading = report(|r| {
            r.glance.loading = true;
            r.list.rows.clear();
        });
        assert_eq!(fields(&loading), ["pages.loading"]);
        let empty = report(|r| {
            r.list.rows.clear();
            r.glance.list_empty = true;
        });
        assert_eq!(empty, []);
        let uncovered = report(|r| {
            let title = FieldMatch { by_alternative: vec![18], missing: 2 };
            r.list.matches.insert("conversations.title".to_owned(), title);
        });
        assert_eq!(uncovered, [Objection::new("conversations.title", "is missing in 2 of 20 rows")]);
        let no_container = report(|r| {
            let row = ProbeRow {
                key: "conversations.scroll.container".to_owned(),
                counts: vec![0, 0],
                sample: None,
                errors: std::collections::BTreeMap::new(),
            };
            r.probe.push(row);
        });
        assert_eq!(fields(&no_container), ["conversations.scroll.container"]);
        // Nothing was read with it, which is no word about the markers.
        let unusable = report(|r| {
            let errors = std::collections::BTreeMap::from([(1, "not a valid selector".to_owned())]);
            r.probe.push(ProbeRow { key: "messages.text".to_owned(), counts: vec![0, 0], sample: None, errors });
            (r.glance, r.list) = (Glance::default(), ListReading::default());
        });
        assert_eq!(unusable, [Objection::new("messages.text", "can't be used as written: not a valid selector")]);
    }

    #[test]
    fn the_open_conversation_must_be_recognised_and_its_messages_found() {
        let pack = demo();
        let row = ThreadRow { text: Some("hi".into()), ..ThreadRow::default() };
        let glance = Glance { list: true, thread: true, ..Glance::default() };
        let thread = ThreadReading { opened: Some("7".to_owned()), rows: vec![row], matches: Matches::new() };
        let report = TrialReport { glance, thread, ..TrialReport::default() };
        assert_eq!(of_thread(&pack, "7", &report), []);
        assert_eq!(fields(&of_thread(&pack, "8", &report)), ["conversations.opened.at"]);
        let with = |change: fn(&mut TrialReport)| {
            let mut report = report.clone();
            change(&mut report);
            of_thread(&pack, "7", &report)
        };
        assert_eq!(fields(&with(|r| r.thread.rows.clear())), ["messages.row"]);
        assert_eq!(fields(&with(|r| r.glance.thread = false)), ["pages.thread.positive"]);
        let uncovered = with(|r| {
            let text = FieldMatch { by_alternative: vec![1], missing: 1 };
            r.thread.matches.insert("messages.text".to_owned(), text);
        });
        assert_eq!(fields(&uncovered), ["messages.text"]);
    }

    #[test]
    fn ids_must_not_change_their_meaning_and_no_conversation_may_go_missing() {
        let (old, mut new) = (demo(), demo());
        let before = list(&["1", "2", "3"]);
        assert_eq!(same_conversations(&old, &new, &before, &before), []);
        assert_eq!(same_conversations(&old, &new, &before, &list(&["1", "2", "3", "4"])), []);
        let renamed = list(&["new-1", "new-2", "new-3"]);
        assert_eq!(fields(&same_conversations(&old, &new, &before, &renamed)), ["conversations.id"]);
        assert_eq!(fields(&same_conversations(&old, &new, &before, &list(&["1", "2", "new-3"]))), ["conversations.id"]);
        assert_eq!(
            fields(&same_conversations(&old, &new, &before, &list(&["1", "2", "new-3", "4"]))),
            ["conversations.id"]
        );
        let fewer = list(&["1", "3"]);
        assert_eq!(
            same_conversations(&old, &new, &before, &fewer),
            [Objection::new("conversations.row", "finds 2 of the 3 conversations that the pack in use finds")]
        );
        new.conversations.skip = Some(Query::css(".ad"));
        assert_eq!(same_conversations(&old, &new, &before, &fewer), [], "rows are skipped on purpose");
        assert_eq!(same_conversations(&old, &new, &list(&[]), &fewer), []);
    }

    fn message(id: &str, text: &str) -> Message {
        let conversation = ConversationKey::new(&"demo/default".parse().unwrap(), "c");
        Message {
            key: MessageKey::native(&conversation, id),
            native_id: Some(id.to_owned()),
            author: "Mia".into(),
            direction: crate::domain::Direction::In,
            text: text.into(),
            sent_at: None,
            sent_at_precision: crate::domain::Precision::Unknown,
            observed_at: jiff::Timestamp::UNIX_EPOCH,
            attachments: Vec::new(),
            position: 0,
        }
    }

    #[test]
    fn no_message_may_go_missing_or_get_another_name() {
        let (old, mut new) = (demo(), demo());
        let before = [message("1", "a"), message("2", "b")];
        assert_eq!(same_messages(&old, &new, &before, &before), []);
        assert_eq!(same_messages(&old, &new, &before, &[before.to_vec(), vec![message("3", "c")]].concat()), []);
        assert_eq!(fields(&same_messages(&old, &new, &before, &before[1..])), ["messages.row"]);
        let renamed = [message("x1", "a"), message("x2", "b")];
        assert_eq!(
            same_messages(&old, &new, &before, &renamed),
            [Objection::new("messages.native_id", "reads otherwise: 2 of 2 messages would be stored a second time")]
        );
        new.messages.skip = Some(Query::css(".call"));
        assert_eq!(same_messages(&old, &new, &before, &before[1..]), []);
        assert_eq!(fields(&same_messages(&old, &new, &before, &renamed)), ["messages.native_id"]);
    }
}
