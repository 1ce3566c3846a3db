//! Rows and a status for the tests of this module and of `rows`.

use crate::domain::{
    AccountState, AccountStatus, Analysis, AnalysisId, Conversation, ConversationKey, Direction, MessageKey, Priority,
    Reading, Risk, RiskFlag, Sentiment, Text, Usage, Verdict,
};
use crate::fault::Code;
use crate::ports::{MirrorRow, MirrorStatus, Projection};

/// An analysed conversation with this title and summary.
pub(crate) fn row(id: &str, title: &str, summary: &str) -> MirrorRow {
    let account = "demo/default".parse().unwrap();
    let key = ConversationKey::new(&account, id);
    let up_to = MessageKey::native(&key, "last");
    MirrorRow {
        conversation: Conversation {
            key,
            account: account.clone(),
            native_id: id.to_owned(),
            title: Text::from(title),
            messages: 12,
            last_message: Some(up_to),
            last_sent_at: Some("2026-11-02T09:30:00Z".parse().unwrap()),
            updated_at: "2026-11-02T09:31:00Z".parse().unwrap(),
            due_at: None,
        },
        analysis: Some(Analysis {
            id: AnalysisId::new(&key, &up_to, "1", "extractive"),
            account,
            conversation: key,
            up_to,
            messages: 12,
            updates: 0,
            reading: Reading::default(),
            usage: Usage::default(),
            verdict: Verdict {
                summary: Text::from(summary),
                topics: vec![Text::from("Friday"), Text::from("dinner")],
                language: Some("en".to_owned()),
                sentiment: Sentiment::Positive,
                priority: Priority::High,
                last_speaker: Some(Direction::In),
                needs_reply: true,
                needs_reply_reason: Some("question".to_owned()),
                links: Vec::new(),
                money: Vec::new(),
                risk_flags: vec![RiskFlag { risk: Risk::MoneyRequest, messages: Vec::new() }],
                open_questions: Vec::new(),
                follow_up: None,
            },
            model: "extractive".to_owned(),
            prompt_version: "extractive-1".to_owned(),
            created_at: "2026-11-02T09:32:00Z".parse().unwrap(),
        }),
    }
}

/// One account that is well and one that waits for a human.
pub(crate) fn status() -> MirrorStatus {
    MirrorStatus {
        accounts: vec![
            AccountStatus {
                account: "demo/default".parse().unwrap(),
                state: AccountState::Live,
                since: "2026-11-02T08:00:00Z".parse().unwrap(),
                code: None,
                sentence: "Everything that can be seen is stored.".to_owned(),
                action: None,
                expires_at: "2026-11-02T10:05:00Z".parse().unwrap(),
                last_pass_at: Some("2026-11-02T09:59:00Z".parse().unwrap()),
            },
            AccountStatus {
                account: "meetme/default".parse().unwrap(),
                state: AccountState::Parked,
                since: "2026-11-01T22:10:00Z".parse().unwrap(),
                code: Some(Code::Challenge),
                sentence: "The site asks for a code.".to_owned(),
                action: Some("Log in by hand once, then resume the account.".to_owned()),
                expires_at: "2026-11-08T00:00:00Z".parse().unwrap(),
                last_pass_at: None,
            },
        ],
        last_capture_at: Some("2026-11-02T09:31:00Z".parse().unwrap()),
        written_at: "2026-11-02T10:00:00Z".parse().unwrap(),
        open_gaps: 1,
        dead_letters: 0,
        analyses_wait: None,
        version: "0.1.0".to_owned(),
    }
}

/// A projection of these rows.
pub(crate) fn projection(rows: Vec<MirrorRow>) -> Projection {
    Projection { rows, status: status() }
}
