//! No key, no chat and no answer in any line that any library writes at any level.
//!
//! What is listened to here is more than what a log shows: every target at trace, those that the program
//! mutes included.

use chatferry::config::AiProvider::{Anthropic, OpenAi};

use super::{asked, service};
use crate::support::ai::{Act, FakeAi, KEY};
use crate::support::ear::listen;

/// Pieces of the plain conversation, of the answer, and of the key.
const CANARIES: [&str; 5] = ["are you coming", "Bring 20", "A chat of 3", "canary", KEY];

#[test]
fn nothing_private_is_written_whatever_goes_wrong() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut told = String::new();
    let lines = listen(|| {
        runtime.block_on(async {
            for provider in [OpenAi, Anthropic] {
                for act in [
                    Act::Answer,
                    Act::Say("canary: are you coming".to_owned()),
                    Act::Status(400, Vec::new(), "{\"error\": \"are you coming\"}".to_owned()),
                    Act::Status(401, vec![("x-request-id", "are you coming".to_owned())], format!("bad key {KEY}")),
                    Act::Status(302, vec![("location", format!("http://127.0.0.1:1/{KEY}"))], String::new()),
                    Act::Garbage(b"are you coming".to_vec()),
                    Act::failed(503),
                    Act::Reset,
                    Act::ResetInTheMiddle,
                    Act::Refusal,
                    Act::Cut { is_empty: false },
                ] {
                    let fake = FakeAi::start(provider).await;
                    fake.always(act);
                    if let Err(fault) = asked(&service(fake.settings())).await.0 {
                        told += &format!("{fault} {fault:?} {} {}\n", fault.chain(), fault.action());
                    }
                }
            }
        });
    });
    assert!(lines.iter().any(|line| line.starts_with("chatferry::ai: ")), "it does not hear us");
    assert!(lines.iter().any(|line| line.contains("hyper")), "it does not hear the transport: {}", lines.len());
    for canary in CANARIES {
        assert!(!told.contains(canary), "{canary} is in a fault:\n{told}");
        let heard = lines.iter().find(|line| line.contains(canary));
        assert_eq!(heard, None, "{canary} was written");
    }
}
