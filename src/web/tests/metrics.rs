//! `/metrics`: what a survey sees, in the format that Prometheus reads, from the closed list.

use std::collections::BTreeMap;

use super::sample::{Trouble, state, troubled, well};
use super::wire::Server;
use crate::telemetry::metrics::{Kind, catalogue};
use crate::web::metrics::numbers;

fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(key, value)| (key, value.parse().unwrap())).collect()
}

#[test]
fn the_state_of_each_account_is_one_of_all() {
    let state = state(Trouble::Empty, Trouble::Empty, Trouble::Empty);
    let text = numbers(&troubled(), &state);
    let now = samples(&text);
    for account in troubled().accounts.unwrap() {
        let of = |word: &str| {
            now[format!(r#"chatferry_account_state{{account="{}",state="{word}"}}"#, account.account).as_str()]
        };
        let sum: f64 = crate::domain::AccountState::ALL.iter().map(|state| of(state.as_str())).sum();
        assert_eq!((of(account.state.as_str()), sum), (1.0, 1.0), "{text}");
    }
}

#[test]
fn a_survey_gives_its_numbers() {
    let state = state(Trouble::Empty, Trouble::Empty, Trouble::Empty);
    let text = numbers(&well(), &state);
    let now = samples(&text);
    assert_eq!(now[r#"chatferry_build_info{version="1.2.3"}"#], 1.0);
    assert_eq!(now[r#"chatferry_queue_messages{queue="archive"}"#], 12_348.0);
    assert_eq!(now[r#"chatferry_budget_used_ratio{window="month"}"#], 0.12);
    assert_eq!(now[r#"chatferry_queue_consumers{queue="archive"}"#], 1.0);
    assert_eq!(now[r#"chatferry_db_size_bytes{database="chatferry"}"#], 4096.0);
    assert_eq!(now[r#"chatferry_pack_generation{site="demo"}"#], 0.0, "known, and never another one");
    assert_eq!(now["chatferry_spool_pending_events"], 0.0);
    assert_eq!(now[r#"chatferry_part_up{part="store"}"#], 1.0);
}

/// The name of a sample without what the format adds to that of a histogram.
fn family(name: &str) -> &str {
    let suffixes = ["_bucket", "_sum", "_count"];
    let is_histogram = |base: &&str| {
        catalogue::ALL.iter().any(|metric| metric.name == *base && matches!(metric.kind, Kind::Histogram(_)))
    };
    suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix)).find(is_histogram).unwrap_or(name)
}

#[tokio::test]
async fn nothing_is_given_but_what_the_catalogue_lists() {
    let server = Server::start(state(Trouble::Empty, Trouble::Away, Trouble::Hangs)).await;
    let answer = server.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let now = samples(&answer.body);
    assert!(now.len() > 30, "{}", answer.body);
    for key in now.keys() {
        let (name, labels) = key.split_once('{').unwrap_or((key, "}"));
        let Some(metric) = catalogue::ALL.iter().find(|metric| metric.name == family(name)) else {
            assert!(name.starts_with("process_"), "{key} is not in the catalogue");
            continue;
        };
        let found: Vec<&str> = labels
            .trim_end_matches('}')
            .split(',')
            .filter_map(|label| label.split_once('='))
            .map(|(name, _)| name)
            .collect();
        let found: Vec<&str> = found.into_iter().filter(|name| *name != "le").collect();
        assert_eq!(found, metric.labels, "{key}");
    }
    assert_eq!(now[r#"chatferry_part_up{part="store"}"#], 1.0);
    assert_eq!(now[r#"chatferry_part_up{part="bus"}"#], 0.0);
    assert_eq!(now[r#"chatferry_part_up{part="spool"}"#], 0.0);
}
