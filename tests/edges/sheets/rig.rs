//! A sheet of the adapter against a server of our own, rows to show in it, and what must be true afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chatferry::domain::{
    AccountState, AccountStatus, Analysis, AnalysisId, Conversation, ConversationKey, Direction, MessageKey, Priority,
    Risk, RiskFlag, Sentiment, Text, Usage, Verdict,
};
use chatferry::fault::AnyFault;
use chatferry::mirror::GoogleSheet;
use chatferry::mirror::google::Limits;
use chatferry::mirror::google::plan;
use chatferry::mirror::google::value::is_same;
use chatferry::mirror::rows::COLUMNS;
use chatferry::ports::{Mirror, MirrorOutcome, MirrorRow, MirrorStatus, Projection, Shown};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::google::book::Tab;
use crate::google::{Google, shown};

/// Our tab.
pub const TAB: &str = "Conversations";

/// Limits under which a test does not wait.
pub fn quick() -> Limits {
    Limits {
        burst: 10_000,
        every: Duration::from_nanos(1),
        timeout: Duration::from_secs(20),
        late: Duration::from_secs(3600),
        setback: Duration::ZERO,
        longest: Duration::ZERO,
    }
}

/// A sheet that may be written, with what a store would have noted about it.
pub struct Rig {
    pub google: Google,
    pub sheet: Arc<GoogleSheet>,
    pub noted: Shown,
    pub projection: Projection,
}

impl Rig {
    /// An empty spreadsheet.
    pub async fn new() -> Self {
        let google = Google::start().await;
        Self { sheet: opened(&google, quick()).await, google, noted: Shown::new(), projection: projection(Vec::new()) }
    }

    /// The same spreadsheet for a process that has just started.
    pub async fn restarted(&mut self) {
        self.sheet = opened(&self.google, quick()).await;
    }

    /// Writes once, and notes what was written if it went well.
    pub async fn write(&mut self) -> Result<MirrorOutcome, AnyFault> {
        let outcome = self.sheet.write(&self.projection, &self.noted).await?;
        self.noted = self.projection.fingerprints();
        Ok(outcome)
    }

    /// Shows these rows, which must work.
    #[track_caller]
    pub fn show(&mut self, rows: Vec<MirrorRow>) -> impl Future<Output = ()> {
        self.projection.rows = rows;
        async {
            self.write().await.unwrap();
            self.assert_right();
        }
    }

    /// Lets time pass: the status is older then.
    pub fn later(&mut self, seconds: i64) {
        self.projection.status.written_at += SignedDuration::from_secs(seconds);
        for account in &mut self.projection.status.accounts {
            account.expires_at += SignedDuration::from_secs(seconds);
        }
    }

    /// Each conversation stands once, each cell of ours is the store's, and nothing that was sent was refused for what
    /// it was.
    #[track_caller]
    pub fn assert_right(&self) {
        let state = self.google.state();
        assert_eq!(state.misunderstood, [] as [String; 0]);
        let tab = state.book.tab(TAB).expect("the tab is there");
        assert_shows(tab, &self.projection);
    }
}

/// A sheet of a process of its own, which may write.
pub async fn opened(google: &Google, limits: Limits) -> Arc<GoogleSheet> {
    let sheet = Arc::new(GoogleSheet::open(google.settings(), limits).await.unwrap());
    sheet.permit(Arc::new(|| true)).await;
    sheet
}

/// Where each key stands, counted from 1.
pub fn keys(tab: &Tab) -> BTreeMap<String, Vec<usize>> {
    let column = tab.column("key");
    let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for row in 1..tab.used() {
        let text = shown(tab.get(row, column));
        if text.parse::<ConversationKey>().is_ok() {
            found.entry(text).or_default().push(row + 1);
        }
    }
    found
}

#[track_caller]
pub fn assert_shows(tab: &Tab, projection: &Projection) {
    let keys = keys(tab);
    for (key, rows) in &keys {
        assert_eq!(rows.len(), 1, "{key} stands in {rows:?}");
    }
    assert_eq!(keys.len(), projection.rows.len(), "conversations in the sheet");
    for row in &projection.rows {
        let at = keys[&row.conversation.key.to_string()][0];
        for (column, value) in COLUMNS.into_iter().zip(plan::values(row)) {
            let read = tab.get(at - 1, tab.column(column.header()));
            let read = Some(read).filter(|value| !value.is_null());
            assert!(is_same(&value, read), "{} of {}: {value} is {read:?}", column.header(), row.conversation.key);
        }
    }
}

/// Every filled cell outside our columns, by what it holds.
pub fn others(tab: &Tab) -> Vec<String> {
    let ours: Vec<usize> = COLUMNS.iter().map(|column| tab.column(column.header())).collect();
    let cells = (0..tab.rows).flat_map(|row| (0..tab.columns).map(move |column| (row, column)));
    let theirs = cells.filter(|(_, column)| !ours.contains(column)).map(|(row, column)| tab.get(row, column));
    let mut found: Vec<String> = theirs.filter(|value| !value.is_null()).map(Value::to_string).collect();
    found.sort();
    found
}

/// Conversation `id`, as it is in its version `version`.
pub fn row(id: u32, version: u64) -> MirrorRow {
    let account = "demo/default".parse().unwrap();
    let native_id = id.to_string();
    let key = ConversationKey::new(&account, &native_id);
    let up_to = MessageKey::native(&key, "last");
    let at = Timestamp::from_second(1_793_000_000 + i64::from(id) * 60 + version as i64).unwrap();
    let analysis = Analysis {
        id: AnalysisId::new(&key, &up_to, "1", "extractive"),
        account: "demo/default".parse().unwrap(),
        conversation: key,
        up_to,
        messages: version,
        updates: 0,
        reading: chatferry::domain::analysis::Reading::default(),
        usage: Usage::default(),
        verdict: Verdict {
            summary: Text::from(format!("=1+1 canary-chat-text {id} in version {version}\nline \"two\"")),
            topics: vec![Text::from("+49 170"), Text::from("dinner")],
            language: None,
            sentiment: Sentiment::Positive,
            priority: if id.is_multiple_of(3) { Priority::High } else { Priority::Normal },
            last_speaker: Some(Direction::In),
            needs_reply: version.is_multiple_of(2),
            needs_reply_reason: None,
            links: Vec::new(),
            money: Vec::new(),
            risk_flags: vec![RiskFlag { risk: Risk::MoneyRequest, messages: Vec::new() }],
            open_questions: Vec::new(),
            follow_up: None,
        },
        model: "extractive".to_owned(),
        prompt_version: "1".to_owned(),
        created_at: at,
    };
    MirrorRow {
        conversation: Conversation {
            key,
            account,
            native_id,
            title: Text::from(format!("canary-person {id} 😀")),
            messages: version,
            last_message: Some(up_to),
            last_sent_at: Some(at),
            updated_at: at,
            due_at: None,
        },
        // One in seven has not been analysed yet.
        analysis: (!id.is_multiple_of(7)).then_some(analysis),
    }
}

/// Conversations 1 to `count` in their first version.
pub fn rows(count: u32) -> Vec<MirrorRow> {
    (1..=count).map(|id| row(id, 1)).collect()
}

pub fn projection(rows: Vec<MirrorRow>) -> Projection {
    let now: Timestamp = "2026-11-02T10:00:00Z".parse().unwrap();
    Projection {
        rows,
        status: MirrorStatus {
            accounts: vec![AccountStatus {
                account: "demo/default".parse().unwrap(),
                state: AccountState::Live,
                since: now,
                code: None,
                sentence: "Everything that can be seen is stored.".to_owned(),
                action: None,
                expires_at: now + SignedDuration::from_mins(5),
                last_pass_at: Some(now),
            }],
            last_capture_at: Some(now),
            written_at: now,
            open_gaps: 0,
            dead_letters: 0,
            analyses_wait: None,
            version: "0.1.0".to_owned(),
        },
    }
}
