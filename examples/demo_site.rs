//! Runs the sample site for looking at it by hand: `cargo run --example demo_site -- layout=b virtualised`.
//! It never stops by itself; Ctrl-C ends it. Lines on standard input speak: `say CONVERSATION TEXT`,
//! `edit MESSAGE TEXT`, `truth FILE`.
#![allow(clippy::print_stdout, reason = "a person reads the address here")]

use std::time::Duration;

use chatferry::demo::{Layout, LoginMode, Site, SiteOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = SiteOptions::default();
    let mut truth = None;
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        match name {
            "layout" => options.layout = if value == "b" { Layout::B } else { Layout::A },
            "virtualised" => options.virtualised = true,
            "newest-first" => options.newest_first_dom = true,
            "no-ids" => options.native_ids = false,
            "empty" => options.empty_conversation = true,
            "inline" => options.inline_all = true,
            "challenge" => options.login = LoginMode::Challenge,
            "one-time-code" => options.login = LoginMode::OneTimeCode,
            "captcha" => options.login = LoginMode::Captcha,
            "password-change" => options.login = LoginMode::PasswordChange,
            "locked" => options.login = LoginMode::Locked,
            "seed" => options.seed = value.parse()?,
            "conversations" => options.conversations = value.parse()?,
            "messages" => options.messages = value.parse()?,
            "delay-ms" => options.delay = Duration::from_millis(value.parse()?),
            "live-ms" => options.live_every = Some(Duration::from_millis(value.parse()?)),
            "fail-every" => options.fail_every = Some(value.parse()?),
            "session" => options.session_requests = Some(value.parse()?),
            "nudges" => options.history_nudges = value.parse()?,
            "long" => options.long_conversation = Some(value.parse()?),
            "page" => options.page_size = value.parse()?,
            "bind" => options.bind = value.parse()?,
            "truth" => truth = Some(value.to_owned()),
            _ => return Err(format!("unknown option {name:?}").into()),
        }
    }
    let site = Site::start(options).await?;
    if let Some(path) = truth {
        write_truth(&site, &path)?;
    }
    println!("{}  user {}  password {}", site.base_url(), Site::username(), Site::password());
    // Blocking is fine here: the site runs on the runtime's other threads.
    for line in std::io::stdin().lines() {
        let line = line?;
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("say"), Some(conversation), Some(text)) => {
                println!("{}", site.say(conversation, None, text)?.native_id);
            }
            (Some("edit"), Some(message), Some(text)) => site.edit(message, text)?,
            (Some("truth"), Some(path), None) => write_truth(&site, path)?,
            _ => println!("say CONVERSATION TEXT | edit MESSAGE TEXT | truth FILE"),
        }
    }
    std::future::pending::<()>().await;
    Ok(())
}

fn write_truth(site: &Site, path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let rows: Vec<_> = site
        .truth()
        .into_iter()
        .map(|m| {
            serde_json::json!({
                "conversation": m.conversation_id, "title": m.conversation_title, "id": m.native_id,
                "author": m.author, "mine": m.direction.as_str() == "out", "text": m.text,
                "ms": m.sent_at.as_millisecond(), "edited": m.edited, "file": m.attachment,
            })
        })
        .collect();
    std::fs::write(path, serde_json::to_vec(&rows)?)?;
    Ok(())
}
