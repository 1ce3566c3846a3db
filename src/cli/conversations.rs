//! `conversations list | show`: what is stored.

use clap::Subcommand;
use serde_json::json;

use super::exit::{self, Failure};
use super::out;
use crate::app;
use crate::config::Config;
use crate::domain::ConversationKey;
use crate::ports::{ConversationFilter, MessageRange};

/// What to look at.
#[derive(Debug, Subcommand)]
pub enum ConversationsCommand {
    /// Every conversation, the newest first
    List {
        /// One JSON document
        #[arg(long)]
        json: bool,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
    },
    /// One conversation with its messages
    Show {
        /// Its key, c1-…
        id: ConversationKey,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Shows what is stored.
///
/// # Errors
/// The store can't be read; there is no such conversation.
pub async fn run(command: ConversationsCommand, config: &Config) -> Result<(), Failure> {
    let store = app::open_store(config).await?;
    match command {
        ConversationsCommand::List { json: as_json, limit } => {
            let list = store.conversations(&ConversationFilter { account: None, limit }).await?;
            let analyses = store.latest_analyses().await?;
            if as_json {
                let list: Vec<_> = list
                    .iter()
                    .map(|c| {
                        json!({ "key": c.key, "account": c.account, "conversation_id": c.native_id, "title": c.title, "messages": c.messages,
                                "last_sent_at": c.last_sent_at, "summary": analyses.get(&c.key).map(|analysis| &analysis.verdict.summary) })
                    })
                    .collect();
                out::json(&list);
                return Ok(());
            }
            let rows = list
                .iter()
                .map(|c| {
                    let summary = analyses
                        .get(&c.key)
                        .map(|analysis| out::printable(&analysis.verdict.summary))
                        .unwrap_or_default();
                    vec![
                        c.key.to_string(),
                        out::printable(&c.title),
                        out::number(c.messages),
                        out::time(c.last_sent_at),
                        summary,
                    ]
                })
                .collect();
            out::line(&out::table(&["key", "person", "messages", "last (UTC)", "summary"], &[2], rows));
        }
        ConversationsCommand::Show { id, json: as_json } => {
            let Some(conversation) = store.conversation(&id).await? else {
                return Err(Failure::said(
                    format!("chatferry: there is no conversation {id}; `chatferry conversations list` shows all"),
                    exit::FAULTS,
                ));
            };
            let messages = store.messages(&id, MessageRange::default()).await?;
            if as_json {
                let messages: Vec<_> = messages.iter().map(|stored| &stored.message).collect();
                out::json(&json!({ "key": id, "title": conversation.title, "messages": messages }));
                return Ok(());
            }
            out::line(&format!("{} ({} messages)", out::printable(&conversation.title), messages.len()));
            for stored in &messages {
                let message = &stored.message;
                out::line(&format!(
                    "{}  {}: {}",
                    out::time(message.sent_at),
                    out::printable(&message.author),
                    out::printable(&message.text)
                ));
            }
        }
    }
    Ok(())
}
