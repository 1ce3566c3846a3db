//! How the tabs are made: once, all at once, over nothing that is there.

use chatferry::fault::Code;

use super::rig::{Rig, TAB, rows};
use crate::google::Mishap;
use crate::google::book::Tab;

#[tokio::test]
async fn both_tabs_are_made_once_with_header_filter_bands_and_colours() {
    let mut rig = Rig::new().await;
    rig.show(rows(3)).await;
    let (made, changes) = {
        let state = rig.google.state();
        let tab = state.book.tab(TAB).unwrap();
        assert_eq!((tab.frozen, tab.bands.len(), tab.rules.len()), (1, 1, 3));
        assert!(tab.filter.is_some() && tab.formats > 20);
        assert_eq!(state.book.tab("_status").unwrap().rules.len(), 3);
        assert_eq!(state.book.tabs[0].title, "Sheet1", "what was there stays");
        (tab.clone(), state.book.changes.len())
    };
    for count in 4..7 {
        rig.restarted().await;
        rig.show(rows(count)).await;
    }
    let state = rig.google.state();
    let tab = state.book.tab(TAB).unwrap();
    assert_eq!((tab.bands.len(), tab.rules.len(), tab.formats), (1, made.rules.len(), made.formats));
    assert_eq!(state.book.changes.len(), changes, "nothing is made a second time");
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_nothing_twice() {
    for mishap in [Mishap::Lost, Mishap::Cut, Mishap::Empty, Mishap::Hollow] {
        let mut rig = Rig::new().await;
        rig.projection.rows = rows(3);
        // The first request looks at the tabs, the second makes them.
        rig.google.state().skip = 1;
        rig.google.mishaps(&[mishap]);
        assert_eq!(rig.write().await.unwrap_err().code(), Code::SheetUnavailable, "{mishap:?}");
        rig.write().await.unwrap();
        rig.assert_right();
        let state = rig.google.state();
        let made = state.book.changes.iter().filter(|kind| **kind == "addSheet").count();
        assert_eq!((made, state.book.tab(TAB).unwrap().rules.len()), (2, 3), "{mishap:?}");
    }
}

#[tokio::test]
async fn what_people_change_or_take_away_stays_as_they_left_it() {
    let mut rig = Rig::new().await;
    rig.show(rows(3)).await;
    {
        let mut state = rig.google.state();
        let tab = state.book.edit(TAB);
        tab.bands.clear();
        tab.filter = None;
        tab.rules.truncate(1);
        tab.frozen = 2;
        tab.title = "My people".to_owned();
        state.book.edit("_status").title = "Mia's? #1!".to_owned();
    }
    rig.restarted().await;
    rig.projection.rows = rows(5);
    rig.write().await.unwrap();
    let state = rig.google.state();
    assert!(state.book.tab(TAB).is_none(), "it is found by its id under its new name");
    let tab = state.book.tab("My people").unwrap();
    assert_eq!((tab.bands.len(), tab.rules.len(), tab.frozen, tab.filter.is_none()), (0, 1, 2, true));
    super::rig::assert_shows(tab, &rig.projection);
    assert_eq!(*state.book.tab("Mia's? #1!").unwrap().get(0, 0), "last write");
}

#[tokio::test]
async fn a_tab_renamed_or_deleted_under_our_hands_is_found_or_made_again() {
    let mut rig = Rig::new().await;
    rig.show(rows(3)).await;
    rig.google.state().book.edit(TAB).title = "Renamed".to_owned();
    rig.projection.rows = rows(4);
    rig.write().await.unwrap();
    super::rig::assert_shows(rig.google.state().book.tab("Renamed").unwrap(), &rig.projection);
    rig.google.state().book.tabs.retain(|tab| tab.title != "Renamed");
    rig.projection.rows = rows(5);
    rig.write().await.unwrap();
    rig.assert_right();
}

#[tokio::test]
async fn an_empty_tab_of_our_name_is_taken_over_with_what_it_has() {
    let mut rig = Rig::new().await;
    {
        let mut state = rig.google.state();
        let mut tab = Tab::new(77, "CONVERSATIONS", 20, 3);
        tab.rules.push(serde_json::json!({ "ranges": [], "booleanRule": { "condition": { "type": "BLANK" } } }));
        state.book.tabs.push(tab);
    }
    rig.show(rows(30)).await;
    rig.restarted().await;
    rig.show(rows(31)).await;
    let state = rig.google.state();
    let tab = state.book.tab(TAB).unwrap();
    assert_eq!((tab.id, tab.rules.len(), tab.bands.len(), tab.frozen), (77, 1, 1, 1));
}

#[tokio::test]
async fn a_tab_of_our_name_with_something_else_in_it_is_left_alone_and_named() {
    for (title, row) in [(TAB, 0), (TAB, 5), ("_status", 0)] {
        let mut rig = Rig::new().await;
        let mut theirs = Tab::new(77, title, 100, 26);
        theirs.set(row, 0, "shopping".into());
        rig.google.state().book.tabs.push(theirs);
        rig.projection.rows = rows(2);
        let fault = rig.write().await.unwrap_err();
        assert_eq!((fault.code(), fault.class().as_str()), (Code::SheetColumns, "permanent"), "{title} {row}");
        assert!(fault.to_string().contains(title) && !format!("{fault:?}").contains("shopping"), "{fault:?}");
        let state = rig.google.state();
        assert_eq!((state.book.changes.len(), state.bodies.len()), (0, 0), "nothing was written");
    }
}

#[tokio::test]
async fn a_tab_that_was_emptied_as_a_whole_is_made_anew() {
    let mut rig = Rig::new().await;
    rig.show(rows(5)).await;
    rig.google.state().book.edit(TAB).cells.clear();
    rig.show(rows(6)).await;
}

#[tokio::test]
async fn a_tab_is_made_large_enough_and_what_it_grows_by_gets_its_number_formats() {
    let mut rig = Rig::new().await;
    rig.show(rows(620)).await;
    let made = {
        let state = rig.google.state();
        let tab = state.book.tab(TAB).unwrap();
        assert_eq!(tab.rows, 1_120, "formats, filter and bands cover all of it");
        assert_eq!(state.book.changes.iter().filter(|change| **change == "appendDimension").count(), 0);
        tab.formats
    };
    rig.show(rows(1_130)).await;
    let state = rig.google.state();
    let tab = state.book.tab(TAB).unwrap();
    assert_eq!((tab.rows, tab.formats), (1_620, made + 3), "two times and a count");
}
