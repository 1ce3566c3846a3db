//! Analyses, account states, gaps and what the mirror wrote.

use std::collections::HashMap;
use std::sync::Arc;

use chatferry::domain::{
    AccountState, AccountStatus, Analysis, AnalysisId, ConversationKey, Digest, Direction, Gap, GapReason, Priority,
    Reading, Risk, RiskFlag, Sentiment, Usage, Verdict,
};
use chatferry::fault::Code;

use super::{StoreFixture, account, archive, at, captured, conversation, key};

fn content(number: u8) -> Digest {
    Digest::new("content", &[&[number]])
}

fn question(id: &str, messages: u64) -> Digest {
    Digest::new("question", &[id.as_bytes(), &messages.to_le_bytes()])
}

pub(crate) fn analysis(id: &str, up_to: i64, model: &str, messages: u64, created: i64) -> Analysis {
    Analysis {
        id: AnalysisId::new(&conversation(id), &key(id, up_to), "1", model),
        account: account("default"),
        conversation: conversation(id),
        up_to: key(id, up_to),
        messages,
        updates: 2,
        reading: Reading { content: Some(content(1)), question: Some(question(id, messages)), unread: 3 },
        usage: Usage { calls: 1, input_tokens: 900, output_tokens: 120, cost_micros: 345 },
        verdict: Verdict {
            summary: "They talk about \"lunch\" 🥗.".into(),
            topics: vec!["lunch".into(), "Mittag".into()],
            language: Some("de".to_owned()),
            sentiment: Sentiment::Mixed,
            priority: Priority::High,
            last_speaker: Some(Direction::In),
            needs_reply: true,
            needs_reply_reason: None,
            links: vec!["https://x.test".into()],
            money: vec!["12 €".into()],
            risk_flags: vec![RiskFlag { risk: Risk::MoneyRequest, messages: vec![key(id, up_to)] }],
            open_questions: vec!["When?".into()],
            follow_up: Some(jiff::civil::date(2026, 11, 30)),
        },
        model: model.to_owned(),
        prompt_version: "1".to_owned(),
        created_at: at(created),
    }
}

pub async fn the_first_analysis_of_an_id_stays(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let first = analysis("c", 3, "m", 4, 10);
    assert!(store.save_analysis(&first).await.unwrap());
    let mut second = first.clone();
    second.verdict.summary = "Another answer.".into();
    assert!(!store.save_analysis(&second).await.unwrap());
    let store = fixture.open().await;
    assert_eq!(store.analysis(&first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.analysis(&analysis("c", 4, "m", 4, 10).id).await.unwrap(), None);
    // Messages older than the newest were found: the answer that knows them stays, whichever comes first.
    let mut fuller = first.clone();
    fuller.messages += 1;
    assert!(store.save_analysis(&fuller).await.unwrap());
    assert!(!store.save_analysis(&first).await.unwrap());
    assert_eq!(store.analysis(&first.id).await.unwrap(), Some(fuller.clone()));
    // A message was edited: the answer that was made later of it stays, whichever comes first.
    let renewed = Analysis {
        reading: Reading { content: Some(content(2)), ..fuller.reading },
        verdict: second.verdict.clone(),
        created_at: at(11),
        ..fuller.clone()
    };
    assert!(store.save_analysis(&renewed).await.unwrap());
    assert!(!store.save_analysis(&fuller).await.unwrap());
    assert!(
        !store.save_analysis(&Analysis { created_at: at(12), ..renewed.clone() }).await.unwrap(),
        "of the same content"
    );
    assert_eq!(store.analysis(&first.id).await.unwrap(), Some(renewed));
    // Many at once: one of them is the first.
    let answers = (0..16).map(|n| (Arc::clone(&store), analysis("d", 1, "m", 4, n)));
    let saved = futures::future::join_all(answers.map(async |(store, one)| store.save_analysis(&one).await.unwrap()));
    assert_eq!(saved.await.into_iter().filter(|first| *first).count(), 1);
}

pub async fn the_latest_analysis_covers_most(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    archive(&*store, &(0..4).map(|n| captured("c", n)).collect::<Vec<_>>()).await;
    archive(&*store, &[captured("d", 1)]).await;
    assert!(store.latest_analyses().await.unwrap().is_empty());
    for one in [
        analysis("c", 2, "m", 3, 99),
        analysis("c", 3, "m", 4, 10),
        analysis("c", 3, "n", 4, 11),
        analysis("e", 1, "m", 1, 1),
    ] {
        assert!(store.save_analysis(&one).await.unwrap());
    }
    let latest = store.latest_analyses().await.unwrap();
    assert_eq!(latest.len(), 2);
    assert_eq!(latest[&conversation("c")], analysis("c", 3, "n", 4, 11));
    // Counted once per conversation, and only up to the newest message.
    let counts = store.counts(None).await.unwrap();
    assert_eq!((counts.analysed_conversations, counts.analysed_messages), (1, 4));
    archive(&*store, &[captured("c", 4)]).await;
    let counts = store.counts(Some(&account("default"))).await.unwrap();
    assert_eq!((counts.analysed_conversations, counts.analysed_messages), (0, 0));
    assert_eq!((counts.conversations, counts.messages), (2, 6));
}

pub async fn an_analysis_is_found_by_analyst_and_by_question(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let by =
        async |model: &str, version: &str| store.latest_analysis(&conversation("c"), model, version).await.unwrap();
    assert_eq!(by("m", "1").await, None);
    let versioned = |version: &str, one: Analysis| Analysis {
        id: AnalysisId::new(&one.conversation, &one.up_to, version, &one.model),
        prompt_version: version.to_owned(),
        ..one
    };
    let (older, newer) = (analysis("c", 3, "m", 4, 10), analysis("c", 5, "m", 6, 20));
    let other = versioned("2", analysis("c", 5, "m", 6, 30));
    let unasked = Analysis { reading: Reading::default(), ..analysis("c", 7, "m", 8, 40) };
    for one in [&newer, &older, &other, &analysis("c", 9, "n", 10, 50), &analysis("d", 9, "m", 11, 60)] {
        assert!(store.save_analysis(one).await.unwrap());
    }
    let store = fixture.open().await;
    let by =
        async |model: &str, version: &str| store.latest_analysis(&conversation("c"), model, version).await.unwrap();
    assert_eq!(by("m", "1").await, Some(newer.clone()));
    assert_eq!(by("m", "2").await, Some(other));
    assert_eq!(by("m", "3").await, None);
    let answer = async |messages| store.answer_to(&question("c", messages)).await.unwrap();
    assert_eq!((answer(4).await, answer(5).await), (Some(older), None));
    assert!(store.save_analysis(&unasked).await.unwrap());
    assert_eq!((by("m", "1").await, answer(8).await), (Some(unasked), None));
    // Of two versions of the question about the same messages the sheet shows the one made later.
    assert!(store.save_analysis(&versioned("4", analysis("d", 9, "m", 11, 61))).await.unwrap());
    assert_eq!(store.latest_analyses().await.unwrap()[&conversation("d")].prompt_version, "4");
}

pub async fn an_older_account_state_never_replaces_a_newer(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let status = |label: &str, state, since| AccountStatus {
        account: account(label),
        state,
        since: at(since),
        code: Some(Code::Challenge),
        sentence: "The site asks for a code.".to_owned(),
        action: None,
        expires_at: at(since + 60),
        last_pass_at: Some(at(1)),
    };
    let parked = status("b", AccountState::Parked, 20);
    for one in [&status("b", AccountState::Live, 10), &parked, &status("b", AccountState::Starting, 5)] {
        store.save_account(one, None).await.unwrap();
    }
    let live = status("a", AccountState::Live, 1);
    store.save_account(&live, None).await.unwrap();
    let store = fixture.open().await;
    assert_eq!(store.accounts().await.unwrap(), [live.clone(), parked.clone()]);
    // The same state may be told again with a later expiry.
    let renewed = AccountStatus { expires_at: at(900), ..parked };
    store.save_account(&renewed, None).await.unwrap();
    assert_eq!(store.accounts().await.unwrap(), [live, renewed]);
}

pub async fn a_gap_is_open_once_and_closes(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    let gap = |id: &str, reason, seen_from: Option<i64>, since| Gap {
        account: account("default"),
        conversation: Some(conversation(id)),
        reason,
        seen_from: seen_from.map(at),
        since: at(since),
        closed_at: None,
    };
    let closed = |mut gap: Gap, when| {
        gap.closed_at = Some(at(when));
        gap
    };
    let (limit, stuck) = (GapReason::HistoryLimit, GapReason::HistoryStuck);
    for one in [
        gap("c", limit, Some(50), 10),
        gap("c", limit, Some(40), 20),
        gap("c", stuck, None, 5),
        gap("d", limit, None, 30),
    ] {
        store.record_gap(&one, None).await.unwrap();
        store.record_gap(&one, None).await.unwrap();
    }
    // Noticed first at 10, seen down to 40 by now.
    let expected = [gap("c", stuck, None, 5), gap("c", limit, Some(40), 10), gap("d", limit, None, 30)];
    let store = fixture.open().await;
    assert_eq!(store.open_gaps().await.unwrap(), expected);
    assert_eq!(store.counts(None).await.unwrap().open_gaps, 3);
    for _ in 0..2 {
        store.record_gap(&closed(gap("c", limit, None, 10), 60), None).await.unwrap();
        assert_eq!(store.open_gaps().await.unwrap(), [expected[0].clone(), expected[2].clone()]);
    }
    // What was noticed before the closing is told again: it stays closed. A new gap opens.
    store.record_gap(&gap("c", limit, Some(40), 20), None).await.unwrap();
    assert_eq!(store.counts(Some(&account("default"))).await.unwrap().open_gaps, 2);
    store.record_gap(&gap("c", limit, Some(70), 80), None).await.unwrap();
    store.record_gap(&closed(gap("c", limit, None, 10), 60), None).await.unwrap();
    assert_eq!(store.open_gaps().await.unwrap()[2], gap("c", limit, Some(70), 80));
    // Closing what was never open does nothing.
    store.record_gap(&closed(gap("e", stuck, None, 1), 2), None).await.unwrap();
    assert_eq!(store.open_gaps().await.unwrap().len(), 3);
    // A time in which nobody watched the account is a gap of no conversation.
    let unwatched = Gap { conversation: None, ..gap("", GapReason::NotWatched, Some(90), 100) };
    store.record_gap(&unwatched, None).await.unwrap();
    store.record_gap(&Gap { since: at(110), ..unwatched.clone() }, None).await.unwrap();
    let store = fixture.open().await;
    assert_eq!(store.open_gaps().await.unwrap().last(), Some(&unwatched));
    store.record_gap(&closed(unwatched, 120), None).await.unwrap();
    assert_eq!(store.open_gaps().await.unwrap().len(), 3);
}

pub async fn what_was_mirrored_is_replaced(fixture: &impl StoreFixture) {
    let store = fixture.open().await;
    assert!(store.mirrored("sheet").await.unwrap().is_empty());
    let rows: HashMap<ConversationKey, [u8; 16]> = (0..100).map(|n| (conversation(&n.to_string()), [n; 16])).collect();
    store.save_mirrored("sheet", &rows).await.unwrap();
    let store = fixture.open().await;
    assert_eq!(store.mirrored("sheet").await.unwrap(), rows);
    let fewer: HashMap<ConversationKey, [u8; 16]> =
        [(conversation("7"), [9; 16]), (conversation("new"), [1; 16])].into();
    store.save_mirrored("sheet", &fewer).await.unwrap();
    store.save_mirrored("sheet", &fewer).await.unwrap();
    assert_eq!(store.mirrored("sheet").await.unwrap(), fewer);
    // What one target shows says nothing about another, not even about one whose name begins alike.
    for other in ["workbook", "shee", "sheet-2", "sheet0", "Sheet"] {
        assert!(store.mirrored(other).await.unwrap().is_empty(), "{other}");
        let one: HashMap<ConversationKey, [u8; 16]> = [(conversation("7"), [2; 16])].into();
        store.save_mirrored(other, &one).await.unwrap();
        assert_eq!(store.mirrored(other).await.unwrap(), one);
    }
    assert_eq!(store.mirrored("sheet").await.unwrap(), fewer);
    store.save_mirrored("sheet", &HashMap::new()).await.unwrap();
    assert!(store.mirrored("sheet").await.unwrap().is_empty());
    assert_eq!(store.mirrored("workbook").await.unwrap().len(), 1);
}
