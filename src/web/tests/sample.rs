//! Things to show: surveys made by hand, and dependencies in trouble.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::domain::event::MessageCaptured;
use crate::domain::{
    AccountId, AccountState, AccountStatus, Allowance, Analysis, AnalysisId, Balance, BudgetLimits, Conversation,
    ConversationKey, Digest, EventId, Gap, GapReason, MessageKey, Priority, Purse, Reading, Risk, RiskFlag, Sentiment,
    Text, Usage, Verdict,
};
use crate::fault::{AnyFault, Class, Code, Fault, Scope};
use crate::lifecycle::data_dir::Databases;
use crate::ports::{
    Archived, Backlog, Budgets, Bus, Clock, ConversationFilter, Counts, DeadLetter, Deliveries, Draw, DueConversation,
    DueRule, MessageRange, Outgoing, Queue, QueueDepth, Reservation, Reserved, Store, StoredMessage,
};
use crate::selectors::versions;
use crate::selectors::{Board, Library, LoadedPack, Why};
use crate::web::WebState;
use crate::web::spending::PurseReading;
use crate::web::survey::Survey;

/// The hour at which every test takes place.
pub fn noon() -> Timestamp {
    "2026-11-02T12:00:00Z".parse().unwrap()
}

pub fn ago(seconds: i64) -> Timestamp {
    noon() - SignedDuration::from_secs(seconds)
}

/// A clock that stands at [`noon`].
pub struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        noon()
    }
}

/// How a dependency behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It answers: there is nothing.
    Empty,
    /// It answers with a fault.
    Away,
    /// It never answers.
    Hangs,
}

#[derive(Debug, thiserror::Error)]
#[error("the connection to db.example was refused")]
pub struct Refused;

impl Fault for Refused {
    fn class(&self) -> Class {
        Class::RETRY
    }
    fn scope(&self) -> Scope {
        Scope::Process
    }
    fn code(&self) -> Code {
        Code::DatabaseFailed
    }
}

impl Trouble {
    async fn meet<T: Default>(self) -> Result<T, AnyFault> {
        match self {
            Self::Empty => Ok(T::default()),
            Self::Away => Err(Refused.into()),
            Self::Hangs => pending().await,
        }
    }
}

#[async_trait]
impl Backlog for Trouble {
    async fn pending(&self) -> Result<u64, AnyFault> {
        self.meet().await
    }
    async fn oldest(&self) -> Result<Option<Timestamp>, AnyFault> {
        self.meet().await
    }
    async fn captured(&self) -> Result<u64, AnyFault> {
        self.meet().await
    }
}

#[async_trait]
impl Bus for Trouble {
    async fn publish(&self, _: &[Outgoing]) -> Result<Vec<Result<(), AnyFault>>, AnyFault> {
        self.meet().await
    }
    async fn subscribe(&self, _: Queue, _: u16) -> Result<Box<dyn Deliveries>, AnyFault> {
        Err(Refused.into())
    }
    async fn depths(&self) -> Result<Vec<QueueDepth>, AnyFault> {
        self.meet().await
    }
    async fn dead_letters(&self) -> Result<u64, AnyFault> {
        self.meet().await
    }
    async fn probe(&self) -> Result<(), AnyFault> {
        Ok(())
    }

    async fn list_dead(&self) -> Result<Vec<DeadLetter>, AnyFault> {
        self.meet().await
    }
    async fn replay_dead(&self, _: &[EventId]) -> Result<u64, AnyFault> {
        self.meet().await
    }
    async fn drop_dead(&self, _: &[EventId]) -> Result<u64, AnyFault> {
        self.meet().await
    }
}

#[async_trait]
impl Store for Trouble {
    async fn archive(&self, _: &[MessageCaptured], _: DueRule, _: Timestamp) -> Result<Archived, AnyFault> {
        self.meet().await
    }
    async fn due(&self, _: Timestamp, _: u32) -> Result<Vec<DueConversation>, AnyFault> {
        self.meet().await
    }
    async fn next_due(&self) -> Result<Option<Timestamp>, AnyFault> {
        self.meet().await
    }
    async fn requested(&self, _: &ConversationKey, _: &MessageKey, _: u64) -> Result<(), AnyFault> {
        self.meet().await
    }
    async fn conversation(&self, _: &ConversationKey) -> Result<Option<Conversation>, AnyFault> {
        self.meet().await
    }
    async fn conversations(&self, _: &ConversationFilter) -> Result<Vec<Conversation>, AnyFault> {
        self.meet().await
    }
    async fn messages(&self, _: &ConversationKey, _: MessageRange) -> Result<Vec<StoredMessage>, AnyFault> {
        self.meet().await
    }
    async fn save_analysis(&self, _: &Analysis) -> Result<bool, AnyFault> {
        self.meet().await
    }
    async fn analysis(&self, _: &AnalysisId) -> Result<Option<Analysis>, AnyFault> {
        self.meet().await
    }
    async fn latest_analysis(&self, _: &ConversationKey, _: &str, _: &str) -> Result<Option<Analysis>, AnyFault> {
        self.meet().await
    }
    async fn answer_to(&self, _: &Digest) -> Result<Option<Analysis>, AnyFault> {
        self.meet().await
    }
    async fn latest_analyses(&self) -> Result<HashMap<ConversationKey, Analysis>, AnyFault> {
        self.meet().await
    }
    async fn save_account(&self, _: &AccountStatus, _: Option<u64>) -> Result<(), AnyFault> {
        self.meet().await
    }
    async fn accounts(&self) -> Result<Vec<AccountStatus>, AnyFault> {
        self.meet().await
    }
    async fn record_gap(&self, _: &Gap, _: Option<u64>) -> Result<(), AnyFault> {
        self.meet().await
    }
    async fn open_gaps(&self) -> Result<Vec<Gap>, AnyFault> {
        self.meet().await
    }
    async fn counts(&self, _: Option<&AccountId>) -> Result<Counts, AnyFault> {
        self.meet().await
    }
    async fn mirrored(&self, _: &str) -> Result<HashMap<ConversationKey, [u8; 16]>, AnyFault> {
        self.meet().await
    }
    async fn save_mirrored(&self, _: &str, _: &HashMap<ConversationKey, [u8; 16]>) -> Result<(), AnyFault> {
        self.meet().await
    }
}

#[async_trait]
impl Budgets for Trouble {
    async fn reserve(&self, _: &Reservation, _: &[Draw], _: Usage, _: Duration) -> Result<Reserved, AnyFault> {
        Ok(Reserved::Granted(self.meet().await?))
    }
    async fn settle(&self, _: &Reservation, _: Usage, _: Option<&Analysis>) -> Result<bool, AnyFault> {
        self.meet().await
    }
    async fn balance(&self, _: &Purse) -> Result<Balance, AnyFault> {
        self.meet().await
    }
}

/// A state over dependencies that behave as told.
pub fn state(store: Trouble, bus: Trouble, spool: Trouble) -> WebState {
    WebState {
        store: Arc::new(store),
        budgets: Arc::new(store),
        counters: Arc::default(),
        limits: BudgetLimits::default(),
        bus: Arc::new(bus),
        spool: Arc::new(spool),
        clock: Arc::new(Noon),
        writable: Arc::new(|| Ok(Databases::default())),
        started: ago(3_725),
        version: "1.2.3",
        workbook: Some("/var/lib/chatferry/summaries.xlsx".into()),
        sheet: Some("https://docs.google.com/spreadsheets/d/x/edit".to_owned()),
        packs: Arc::new(packs()),
        mirror: tokio::sync::watch::Sender::default().subscribe(),
    }
}

/// A site whose pack in use has a refused edit beside it; on a disk that takes nothing.
fn packs() -> Board {
    let (board, site) = (Board::new("/dev/null/packs".into()), "demo".parse().unwrap());
    let pack = Library::built_in(&site).unwrap();
    board.activate(&LoadedPack { hash: "0123456789ab".to_owned(), ..pack }, ago(7_200), Why::Start).unwrap_err();
    let reasons = vec!["messages.row matches nothing in a conversation that does not say it is empty".to_owned()];
    let refused = versions::Refused {
        hash: "ba9876543210".to_owned(),
        at: ago(60),
        account: Some("demo/default".to_owned()),
        reasons,
    };
    board.refuse(&site, refused).unwrap_err();
    board
}

pub fn account(label: &str, state: AccountState) -> AccountStatus {
    AccountStatus {
        account: format!("demo/{label}").parse().unwrap(),
        state,
        since: ago(600),
        code: None,
        sentence: "Everything that could be seen was seen.".to_owned(),
        action: None,
        expires_at: ago(-600),
        last_pass_at: Some(ago(90)),
    }
}

pub fn parked(label: &str) -> AccountStatus {
    AccountStatus {
        code: Some(Code::BadCredentials),
        sentence: "The site refused user name or password.".to_owned(),
        action: Some("Correct the password, then resume the account.".to_owned()),
        last_pass_at: None,
        ..account(label, AccountState::Parked)
    }
}

pub fn conversation(id: &str, title: &str) -> Conversation {
    let account: AccountId = "demo/anna".parse().unwrap();
    let key = ConversationKey::new(&account, id);
    Conversation {
        key,
        account,
        native_id: id.to_owned(),
        title: Text::from(title),
        messages: 1_204,
        last_message: Some(MessageKey::native(&key, "9")),
        last_sent_at: Some(ago(7_300)),
        updated_at: ago(7_000),
        due_at: None,
    }
}

pub fn analysis(of: &Conversation, summary: &str) -> Analysis {
    let up_to = MessageKey::native(&of.key, "9");
    Analysis {
        id: AnalysisId::new(&of.key, &up_to, "1", "extractive"),
        account: of.account.clone(),
        conversation: of.key,
        up_to,
        messages: of.messages,
        updates: 0,
        reading: Reading::default(),
        usage: Usage::default(),
        verdict: Verdict {
            summary: Text::from(summary),
            topics: vec![Text::from("boat"), Text::from("price")],
            language: Some("en".to_owned()),
            sentiment: Sentiment::Positive,
            priority: Priority::High,
            last_speaker: None,
            needs_reply: true,
            needs_reply_reason: None,
            links: Vec::new(),
            money: Vec::new(),
            risk_flags: vec![RiskFlag { risk: Risk::MoneyRequest, messages: Vec::new() }],
            open_questions: Vec::new(),
            follow_up: None,
        },
        model: "extractive".to_owned(),
        prompt_version: "1".to_owned(),
        created_at: ago(60),
    }
}

pub fn gap(reason: GapReason) -> Gap {
    let of = conversation("1", "");
    Gap { account: of.account, conversation: Some(of.key), reason, seen_from: None, since: ago(50), closed_at: None }
}

/// A survey in which nothing is wrong.
pub fn well() -> Survey {
    let talks = vec![conversation("1", "Anna"), conversation("2", "Bo")];
    let analyses = talks.iter().take(1).map(|talk| (talk.key, analysis(talk, "About the boat."))).collect();
    Survey {
        at: noon(),
        accounts: Ok(vec![account("anna", AccountState::Live), account("bo", AccountState::Backfilling)]),
        counts: Ok(Counts {
            conversations: 2,
            messages: 2_408,
            analysed_conversations: 1,
            analysed_messages: 1_204,
            open_gaps: 0,
        }),
        gaps: Ok(Vec::new()),
        conversations: Ok(talks),
        analyses: Ok(analyses),
        purses: Ok(vec![PurseReading {
            purse: Purse::of_month(noon()),
            allowance: Allowance { tokens: Some(100_000), cost_micros: None },
            balance: Balance {
                spent: Usage { calls: 9, input_tokens: 10_500, output_tokens: 1_800, cost_micros: 61_500 },
                ..Balance::default()
            },
        }]),
        depths: Ok(Queue::ALL
            .map(|queue| QueueDepth { queue, ready: 12_345, in_flight: 3, consumers: Some(1) })
            .into()),
        dead_letters: Ok(0),
        pending: Ok(0),
        oldest: Ok(None),
        captured: Ok(2_408),
        flowing: Ok(()),
        writable: Ok(Databases { sizes: vec![("chatferry", 4096)] }),
        mirror: None,
        mirrored_at: None,
    }
}

/// A survey in which much is wrong, and every list has something in it.
pub fn troubled() -> Survey {
    Survey {
        accounts: Ok(vec![
            account("anna", AccountState::Live),
            AccountStatus { expires_at: ago(1), ..account("bo", AccountState::Live) },
            parked("cleo"),
        ]),
        counts: Ok(Counts { open_gaps: 2, ..well().counts.unwrap() }),
        gaps: Ok(vec![gap(GapReason::HistoryLimit), gap(GapReason::ConversationUnreadable)]),
        dead_letters: Ok(3),
        pending: Err(AnyFault::from(Refused).into()),
        captured: Err(AnyFault::from(Refused).into()),
        ..well()
    }
}
