//! The page against its JSON, and hostile text on it.

use std::collections::HashMap;

use regex::Regex;
use serde_json::{Value, json};

use super::sample::{Trouble, account, ago, analysis, conversation, parked, state, troubled, well};
use crate::domain::{AccountState, AccountStatus, Risk, RiskFlag, Text};
use crate::fault::Code;
use crate::ports::MirrorFault;
use crate::web::page::render;
use crate::web::status::Status;
use crate::web::survey::Survey;
use crate::web::when;

fn status(survey: &Survey) -> Status {
    Status::new(survey, &state(Trouble::Empty, Trouble::Empty, Trouble::Empty))
}

fn html(survey: &Survey) -> String {
    render(&status(survey)).unwrap()
}

#[test]
fn the_document_has_its_shape() {
    let document = Status { revision: "(revision)", ..status(&troubled()) };
    insta::assert_json_snapshot!("status", document);
}

#[test]
fn a_mirror_that_is_not_written_is_named_with_what_to_do() {
    let fault = |is_parked| MirrorFault {
        code: Code::SheetNotShared,
        sentence: "bot@x may not write the sheet".to_owned(),
        action: "Add bot@x as editor.".to_owned(),
        is_parked,
        since: ago(60),
    };
    let told = status(&Survey { mirror: Some(fault(true)), ..well() });
    assert_eq!(told.headline, "The mirror is parked: bot@x may not write the sheet.");
    assert_eq!((told.subline.as_str(), told.code), ("Add bot@x as editor.", Some("sheet-not-shared")));
    let behind = status(&Survey { mirror: Some(fault(false)), ..well() });
    assert!(behind.headline.starts_with("The mirror is behind: "), "{}", behind.headline);
}

/// One open element: its name, its hooks, and where its descendants' paths begin.
struct Open {
    tag: String,
    scope: Value,
    hooks: HashMap<String, String>,
    text: String,
    items: usize,
    list: Option<Value>,
}

/// Walks the page as `app.js` does and compares every place with the value its hook names. Returns how
/// many places there were. Inside `<template>` only the presence of the name is checked.
fn compare(html: &str, document: &Value) -> usize {
    let token = Regex::new(r#"<(/?)([a-z0-9]+)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*>|([^<]+)|<!doctype html>"#).unwrap();
    let attribute = Regex::new(r#"([a-z-]+)(?:="([^"]*)")?"#).unwrap();
    let mut open: Vec<Open> = Vec::new();
    let mut places = 0;
    for part in token.captures_iter(html) {
        let Some(tag) = part.get(2).map(|tag| tag.as_str()) else {
            if let (Some(top), Some(text)) = (open.last_mut(), part.get(4)) {
                top.text.push_str(text.as_str());
            }
            continue;
        };
        if !part[1].is_empty() {
            let top = open.pop().unwrap();
            assert_eq!(top.tag, tag, "elements are nested");
            let is_blank = open.iter().chain([&top]).any(|element| element.tag == "template");
            places += check(&top, is_blank, document);
            if let (Some(list), false) = (&top.list, is_blank) {
                assert_eq!(list.as_array().map(Vec::len), Some(top.items), "{:?}", top.hooks);
            }
            continue;
        }
        let hooks: HashMap<String, String> = attribute
            .captures_iter(&part[3])
            .map(|found| (found[1].to_owned(), unescape(found.get(2).map_or("", |value| value.as_str()))))
            .collect();
        let scope = match open.last_mut() {
            None => document.clone(),
            Some(Open { list: Some(list), items, .. }) => {
                let index = if tag == "template" { 0 } else { *items };
                *items += usize::from(tag != "template");
                match list.get(index) {
                    Some(item) => item.clone(),
                    // The blank item of an empty list: there is nothing to compare it with.
                    None if tag == "template" => Value::Null,
                    None => panic!("the page shows more than {list}"),
                }
            }
            Some(parent) => parent.scope.clone(),
        };
        if matches!(tag, "meta" | "link" | "img") {
            continue;
        }
        let list = hooks.get("data-each").map(|path| lookup(&scope, path).clone());
        open.push(Open { tag: tag.to_owned(), scope, hooks, text: String::new(), items: 0, list });
    }
    assert!(open.is_empty(), "every element is closed");
    places
}

fn check(element: &Open, is_blank: bool, document: &Value) -> usize {
    let mut places = 0;
    let is_hidden = element.hooks.contains_key("hidden");
    let now = document["now"].as_str().unwrap().parse().unwrap();
    for (hook, path) in &element.hooks {
        let known = ["text", "count", "time", "tone-from", "show", "hide", "each"];
        if !known.iter().any(|name| hook.strip_prefix("data-") == Some(name)) {
            continue;
        }
        let value = lookup(&element.scope, path);
        places += 1;
        if is_blank {
            continue;
        }
        let shown = unescape(&element.text);
        let has_something = !matches!(value, Value::Null) && *value != json!([]) && *value != json!("");
        match hook.as_str() {
            "data-text" => assert_eq!(shown, value.as_str().unwrap_or_default(), "{path}"),
            "data-count" => assert_eq!(shown, when::grouped(value.as_u64().unwrap()), "{path}"),
            "data-time" => {
                assert_eq!(element.hooks.get("datetime").map(String::as_str), value.as_str(), "{path}");
                let none = element.hooks.get("data-none").map_or("–", String::as_str).to_owned();
                let words = value.as_str().map_or(none, |at| when::relative(now, at.parse().unwrap()));
                assert_eq!(shown, words, "{path}");
            }
            "data-tone-from" => assert_eq!(element.hooks["data-tone"], *value, "{path}"),
            "data-show" => assert_eq!(is_hidden, !has_something, "{path}"),
            "data-hide" => assert_eq!(is_hidden, has_something, "{path}"),
            _ => {}
        }
    }
    places
}

fn lookup<'a>(scope: &'a Value, path: &str) -> &'a Value {
    if path == "." || scope.is_null() {
        return scope;
    }
    path.split('.').fold(scope, |value, key| value.get(key).unwrap_or_else(|| panic!("no {path} in {scope}")))
}

fn unescape(text: &str) -> String {
    let mut text = text.to_owned();
    for (entity, character) in [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")] {
        text = text.replace(entity, character);
    }
    text
}

#[test]
fn page_and_document_say_the_same_in_every_place() {
    for survey in [well(), troubled()] {
        let status = status(&survey);
        let places = compare(&render(&status).unwrap(), &serde_json::to_value(&status).unwrap());
        assert!(places > 100, "{places}");
    }
}

#[test]
fn hostile_text_stays_text() {
    let bomb = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`&{{7*7}}</bdi></th>";
    let talk = conversation(bomb, bomb);
    let mut told = analysis(&talk, bomb);
    told.verdict.topics = vec![Text::from(bomb)];
    told.model = bomb.to_owned();
    let survey = Survey {
        accounts: Ok(vec![AccountStatus { sentence: bomb.to_owned(), action: Some(bomb.to_owned()), ..parked("a") }]),
        analyses: Ok([(talk.key, told)].into()),
        conversations: Ok(vec![talk]),
        ..well()
    };
    let html = html(&survey);
    assert!(html.contains("&#60;script&#62;"), "it is shown");
    assert_eq!(html.matches("<script").count(), 1, "our own");
    assert_eq!(html.matches("<img").count(), 1, "our own");
    let document = serde_json::to_value(status(&survey)).unwrap();
    compare(&html, &document);
    assert_eq!(document["conversations"][0]["title"], bomb);
}

#[test]
fn a_title_that_turns_the_direction_is_shut_in() {
    let title = "\u{202e}gpj.exe\u{2066}";
    let html = html(&Survey { conversations: Ok(vec![conversation("1", title)]), ..well() });
    assert!(html.contains(&format!("<bdi class=\"person\" data-text=\"title\">{title}</bdi>")));
    assert_eq!(html.matches('\u{202e}').count(), 1, "and stands nowhere else");
    assert!(html.contains("<p class=\"summary\" dir=\"auto\""));
}

#[test]
fn endless_texts_are_cut() {
    let long = "Наталья ".repeat(2_500);
    let talk = conversation("1", &long);
    let mut told = analysis(&talk, &long);
    told.verdict.topics = vec![Text::from(long.as_str()); 500];
    told.verdict.risk_flags = vec![RiskFlag { risk: Risk::MovesOffSite, messages: Vec::new() }; 500];
    told.model = long.clone();
    let survey = Survey { analyses: Ok([(talk.key, told)].into()), conversations: Ok(vec![talk]), ..well() };
    let document = serde_json::to_value(status(&survey)).unwrap();
    let row = &document["conversations"][0];
    assert!(row["title"].as_str().unwrap().chars().count() <= 121);
    assert!(row["title"].as_str().unwrap().ends_with('…'));
    assert!(row.to_string().len() < 5_000, "{}", row.to_string().len());
}

#[test]
fn no_inline_style_or_script_that_the_policy_would_refuse() {
    let html = html(&troubled());
    let inline = Regex::new(r#"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?:>| [^>]*>[^<])"#).unwrap();
    assert!(inline.find(&html).is_none(), "{:?}", inline.find(&html));
    assert!(!include_str!("../assets/app.js").contains("innerHTML"));
}

#[test]
fn the_headline_names_the_gravest_cause_and_what_to_do() {
    let all_well = status(&well());
    assert_eq!(all_well.headline, "All is well.");
    assert_eq!(all_well.subline, "1 account live, 1 reading histories.");
    assert_eq!(serde_json::to_value(all_well.status).unwrap(), "ok");

    let accounts = Ok(vec![
        AccountStatus { sentence: String::new(), ..account("d", AccountState::Backoff) },
        AccountStatus { expires_at: ago(1), ..account("c", AccountState::Live) },
        account("b", AccountState::Stopped),
        parked("a"),
    ]);
    let one = status(&Survey { accounts, dead_letters: Ok(1), ..well() });
    assert_eq!(one.headline, "demo/a is parked: the site refused user name or password.");
    assert_eq!(one.subline, "Correct the password, then resume the account.");
    assert_eq!(one.code, Some("bad-credentials"));
    let also: Vec<&str> = one.also.iter().map(|cause| cause.sentence.as_str()).collect();
    assert_eq!(
        also,
        [
            "demo/c has stopped reporting; it was live when last heard of.",
            "demo/d is waiting to retry.",
            "1 dead letter waits for a person.",
        ]
    );

    let many = status(&Survey { accounts: Ok((0..50).map(|n| parked(&n.to_string())).collect()), ..well() });
    assert_eq!(many.also.len(), 8);
    assert_eq!(many.also[7].sentence, "And 42 more, shown below.");
}

#[test]
fn an_expired_status_is_shown_as_out_of_date() {
    let status = status(&troubled());
    let row = &status.accounts[1];
    assert_eq!((row.pill.label.as_str(), row.last_known.as_deref()), ("out of date", Some("was live")));
    assert!(row.out_of_date);
    assert_eq!(row.state, "live");
}

#[test]
fn a_summary_that_lags_behind_says_so() {
    let mut survey = well();
    let talks = survey.conversations.as_mut().unwrap();
    talks[0].last_message = Some(crate::domain::MessageKey::native(&talks[0].key, "10"));
    let rows = status(&survey).conversations;
    assert_eq!(rows[0].remark, Some("Newer messages are not in this summary yet."));
    assert_eq!(rows[1].remark, Some("Not analysed yet."));
    assert_eq!(status(&well()).conversations[0].remark, None);
}
