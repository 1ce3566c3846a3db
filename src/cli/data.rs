//! `data export`: every message as one JSON line.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::exit::{self, Failure};
use crate::app;
use crate::config::Config;
use crate::domain::{AccountId, MessageKey, Text};
use crate::ports::{ConversationFilter, MessageRange};

/// What to do with the data.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Every message as one JSON line, ordered by conversation and time
    Export {
        /// Only of this account, SITE/LABEL
        #[arg(long, value_name = "ID")]
        account: Option<AccountId>,
        /// A new file, readable by you alone [default: stdout]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// One exported message: the public names of the fields.
#[derive(Serialize)]
struct Line<'a> {
    key: MessageKey,
    site: &'a str,
    account: &'a AccountId,
    conversation_id: &'a str,
    conversation_title: &'a Text,
    author: &'a Text,
    direction: &'static str,
    text: &'a Text,
    sent_at: Option<jiff::Timestamp>,
    sent_at_precision: &'static str,
    observed_at: jiff::Timestamp,
    origin: &'static str,
    native_id: Option<&'a str>,
}

/// Exports.
///
/// # Errors
/// The store can't be read, or the file can't be written.
pub async fn run(command: DataCommand, config: &Config) -> Result<(), Failure> {
    let DataCommand::Export { account, out } = command;
    let store = app::open_store(config).await?;
    let mut writer: Box<dyn Write> = match &out {
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            Box::new(file.map_err(|error| unwritable(&path.display().to_string(), &error))?)
        }
        None => Box::new(std::io::stdout().lock()),
    };
    let mut writer = BufWriter::new(&mut writer);
    let target = out.as_ref().map_or_else(|| "stdout".to_owned(), |path| path.display().to_string());
    let mut conversations = store.conversations(&ConversationFilter { account, limit: None }).await?;
    conversations.sort_by(|a, b| (&a.account, &a.native_id).cmp(&(&b.account, &b.native_id)));
    for conversation in &conversations {
        for stored in store.messages(&conversation.key, MessageRange::default()).await? {
            let message = &stored.message;
            let line = Line {
                key: message.key,
                site: conversation.account.site().as_str(),
                account: &conversation.account,
                conversation_id: &conversation.native_id,
                conversation_title: &conversation.title,
                author: &message.author,
                direction: message.direction.as_str(),
                text: &message.text,
                sent_at: message.sent_at,
                sent_at_precision: message.sent_at_precision.as_str(),
                observed_at: message.observed_at,
                origin: stored.origin.as_str(),
                native_id: message.native_id.as_deref(),
            };
            let written = serde_json::to_writer(&mut writer, &line)
                .map_err(std::io::Error::from)
                .and_then(|()| writer.write_all(b"\n"));
            match written {
                Ok(()) => {}
                // `| head` has seen enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(unwritable(&target, &error)),
            }
        }
    }
    writer.flush().map_err(|error| unwritable(&target, &error))
}

fn unwritable(target: &str, error: &std::io::Error) -> Failure {
    Failure::said(format!("chatferry: the export can't be written to {target}: {error}"), exit::FAULTS)
}
