//! A key that is changed while the program runs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chatferry::app::load_config;
use chatferry::config::AiProvider::{Anthropic, OpenAi};
use chatferry::config::{AiSettings, Sources};
use chatferry::fault::Code;

use super::{asked, code, service};
use crate::support::ai::{FakeAi, MODEL};

fn write(file: &Path, key: &str) {
    // As careful tools do it: whole, and then in place of the old one.
    let new = file.with_extension("new");
    std::fs::write(&new, key).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&new, file).unwrap();
}

/// The settings as the program reads them.
fn settings(fake: &FakeAi, provider: &str, file: &Path) -> AiSettings {
    let variables = [
        ("AI_PROVIDER", provider.into()),
        ("AI_API_URL", fake.url().into()),
        ("AI_API_KEY_FILE", file.into()),
        ("AI_MODEL", MODEL.into()),
        ("AI_REQUESTS_PER_MINUTE", "100000".into()),
    ];
    let environment = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    load_config(Sources { environment, ..Sources::default() }).unwrap().ai.unwrap()
}

#[tokio::test]
async fn a_new_key_in_the_file_counts_at_once() {
    for (provider, name) in [(OpenAi, "openai"), (Anthropic, "anthropic")] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        write(&file, "canary-old\n");
        let fake = FakeAi::start(provider).await;
        fake.takes_keys(&["canary-old"]);
        let service = service(settings(&fake, name, &file));
        asked(&service).await.0.unwrap();
        write(&file, "canary-new-key");
        fake.takes_keys(&["canary-new-key"]);
        asked(&service).await.0.unwrap();
        assert_eq!(fake.requests(), 2, "the old key was still sent");
    }
}

#[tokio::test]
async fn a_refusal_makes_the_file_be_read_again_whatever_its_time_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    write(&file, "canary-old");
    let written_at = std::fs::metadata(&file).unwrap().modified().unwrap();
    let fake = FakeAi::start(OpenAi).await;
    let service = service(settings(&fake, "openai", &file));
    fake.takes_keys(&["canary-new"]);
    assert_eq!((code(asked(&service).await), fake.requests()), (Code::AiAuth, 1));
    write(&file, "canary-new");
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(written_at).unwrap();
    asked(&service).await.0.unwrap();
    assert_eq!(fake.requests(), 3, "refused, read again, asked again");
}

#[tokio::test]
async fn a_file_that_can_not_be_used_leaves_the_key_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    write(&file, "canary-old");
    let fake = FakeAi::start(OpenAi).await;
    fake.takes_keys(&["canary-old"]);
    let service = service(settings(&fake, "openai", &file));
    write(&file, "");
    asked(&service).await.0.unwrap();
    std::fs::remove_file(&file).unwrap();
    asked(&service).await.0.unwrap();
}
