//! Our columns among other people's: found by their headers, and nothing is guessed.

use chatferry::fault::Code;
use chatferry::mirror::google::value::timestamp;

use super::rig::{Rig, TAB, others, row, rows};
use crate::google::book::Tab;

async fn edited(edit: impl FnOnce(&mut Tab)) -> Rig {
    let mut rig = Rig::new().await;
    rig.show(rows(6)).await;
    edit(rig.google.state().book.edit(TAB));
    rig
}

#[tokio::test]
async fn columns_of_other_people_before_between_and_behind_ours_stay_theirs() {
    let mut rig = edited(|tab| {
        tab.insert_column(0, "my notes");
        tab.insert_column(5, "follow-up");
        tab.set(1, 0, "call Anna".into());
        tab.set(3, 5, "Friday".into());
        tab.set(2, 20, 12.into());
        tab.set(4, 20, "=A1&\"x\"".into());
    })
    .await;
    let theirs = others(rig.google.state().book.tab(TAB).unwrap());
    assert_eq!(theirs.len(), 6);
    rig.show((1..=9).map(|id| row(id, 2)).collect()).await;
    rig.restarted().await;
    rig.show((1..=9).map(|id| row(id, 3)).collect()).await;
    assert_eq!(others(rig.google.state().book.tab(TAB).unwrap()), theirs);
}

#[tokio::test]
async fn new_rows_stand_below_what_people_typed_but_formulas_and_empty_boxes_do_not_count() {
    let mut rig = edited(|tab| {
        for row in 1..400 {
            tab.set(row, 20, false.into());
            tab.set(row, 21, "=IF(A2=\"\",\"\",1)".into());
        }
        tab.set(11, 22, "my total".into());
    })
    .await;
    rig.show(rows(7)).await;
    let state = rig.google.state();
    let tab = state.book.tab(TAB).unwrap();
    assert_eq!(super::rig::keys(tab)[&row(7, 1).conversation.key.to_string()], [13]);
}

#[tokio::test]
async fn a_header_that_is_renamed_moved_doubled_or_gone_parks_the_mirror_by_its_name() {
    type Edit = fn(&mut Tab);
    let cases: [(Edit, &str); 5] = [
        (|tab| tab.set(0, 9, "canary prio".into()), "\"priority\" is missing"),
        (|tab| tab.set(0, 6, "".into()), "\"summary\" is missing"),
        (|tab| tab.move_column(9, 1), "\"priority\" was moved"),
        (|tab| tab.set(0, 20, "summary".into()), "\"summary\" stands twice"),
        (|tab| tab.set(0, 0, "".into()), "\"key\" is missing"),
    ];
    for (edit, told) in cases {
        let mut rig = edited(edit).await;
        let before = rig.google.state().book.tab(TAB).unwrap().cells.clone();
        rig.projection.rows = (1..=8).map(|id| row(id, 2)).collect();
        for is_restarted in [false, true] {
            if is_restarted {
                rig.restarted().await;
            }
            let fault = rig.write().await.unwrap_err();
            assert_eq!((fault.code(), fault.class().as_str()), (Code::SheetColumns, "permanent"), "{told}");
            assert!(fault.to_string().contains(told) && !fault.to_string().contains("canary"), "{fault}");
        }
        assert_eq!(rig.google.state().book.tab(TAB).unwrap().cells, before, "{told}: nothing was written");
        assert_eq!(rig.google.state().misunderstood, [] as [String; 0]);
    }
}

#[tokio::test]
async fn a_header_that_is_put_back_is_enough() {
    let mut rig = edited(|tab| tab.set(0, 9, "prio".into())).await;
    rig.projection.rows = rows(8);
    assert!(rig.write().await.is_err());
    rig.google.state().book.edit(TAB).set(0, 9, " priority ".into());
    rig.write().await.unwrap();
    rig.google.state().book.edit(TAB).set(0, 9, "priority".into());
    rig.assert_right();
}

#[tokio::test]
async fn rows_that_people_sort_copy_delete_or_put_between_come_right() {
    let mut rig = edited(|tab| {
        tab.sort_by(6, true);
        tab.insert_rows(3, 2);
        tab.set(3, 20, "my own line".into());
        let copy: Vec<_> = (0..26).map(|column| tab.get(1, column).clone()).collect();
        for (column, value) in copy.into_iter().enumerate() {
            tab.set(12, column, value);
        }
        tab.set(12, 20, "about the copy".into());
        tab.delete_row(5);
    })
    .await;
    let theirs = others(rig.google.state().book.tab(TAB).unwrap());
    rig.show((1..=9).map(|id| row(id, 1 + u64::from(id % 2))).collect()).await;
    assert_eq!(others(rig.google.state().book.tab(TAB).unwrap()), theirs, "the copy's note stays");
}

#[tokio::test]
async fn a_conversation_that_left_the_store_leaves_the_sheet_and_its_notes_stay() {
    let mut rig = edited(|tab| tab.set(2, 20, "remember".into())).await;
    rig.show(rows(6).into_iter().skip(3).collect()).await;
    let theirs = others(rig.google.state().book.tab(TAB).unwrap());
    assert_eq!(theirs, ["\"remember\""]);
    rig.show(Vec::new()).await;
}

#[tokio::test]
async fn a_conversation_that_left_is_gone_although_rows_were_sorted_between_our_read_and_our_write() {
    let mut rig = edited(|_| ()).await;
    rig.projection.rows.remove(2);
    let mut calls = 0;
    rig.google.state().meddler = Some(Box::new(move |book| {
        calls += 1;
        if calls == 2 {
            let tab = book.edit(TAB);
            tab.sort_by(tab.column("person"), false);
        }
    }));
    rig.write().await.unwrap();
    rig.assert_right();
}

#[tokio::test]
async fn a_column_that_arrives_between_our_read_and_our_write_is_noticed_and_the_row_written_again() {
    let mut rig = edited(|_| ()).await;
    let mut calls = 0;
    rig.google.state().meddler = Some(Box::new(move |book| {
        calls += 1;
        if calls == 2 {
            book.edit(TAB).insert_column(3, "theirs");
        }
    }));
    rig.projection.rows[2] = row(3, 2);
    rig.write().await.unwrap();
    rig.google.state().meddler = None;
    rig.projection.rows[4] = row(5, 2);
    rig.write().await.unwrap();
    rig.assert_right();
}

#[tokio::test]
async fn a_protected_column_is_reported_with_the_remedy() {
    let mut rig = edited(|tab| tab.protected.push(6)).await;
    rig.projection.rows[0] = row(1, 2);
    let fault = rig.write().await.unwrap_err();
    assert_eq!(fault.code(), Code::SheetNotShared);
    assert!(
        fault.action().contains("protection") && fault.action().contains(crate::google::EMAIL),
        "{}",
        fault.action()
    );
}

#[tokio::test]
async fn while_rows_cant_be_written_the_sheet_itself_says_so() {
    let mut rig = Rig::new().await;
    rig.show(rows(3)).await;
    let written_at = rig.projection.status.written_at;
    let first_line = |rig: &Rig| {
        let state = rig.google.state();
        let status = state.book.tab("_status").unwrap();
        (0..3).map(|column| status.get(0, column).clone()).collect::<Vec<_>>()
    };
    let rename = |rig: &Rig, text: &str| rig.google.state().book.edit(TAB).set(0, 6, text.into());
    rename(&rig, "about");
    rig.later(400);
    rig.projection.status.dead_letters = 7;
    assert_eq!(rig.write().await.unwrap_err().code(), Code::SheetColumns);
    let line = first_line(&rig);
    assert_eq!((line[0].as_str(), timestamp(&line[1])), (Some("last write"), Some(written_at)), "that of the rows");
    let note = line[2].as_str().unwrap();
    assert!(note.starts_with("ROWS NOT WRITTEN since 2026-11-02 10:00 UTC"), "{note}");
    assert!(note.contains("\"summary\" is missing"), "{note}");

    // Once, and again only for news, and not more than once a minute.
    let writes = |rig: &Rig| rig.google.state().bodies.len();
    let told = writes(&rig);
    rig.later(300);
    rig.write().await.unwrap_err();
    assert_eq!(writes(&rig), told);
    rig.projection.status.dead_letters = 8;
    rig.write().await.unwrap_err();
    assert_eq!(writes(&rig), told + 1);
    rig.projection.status.dead_letters = 9;
    rig.later(30);
    rig.write().await.unwrap_err();
    assert_eq!(writes(&rig), told + 1);

    // A process that finds it so says it too.
    rig.restarted().await;
    rig.write().await.unwrap_err();
    assert_eq!(timestamp(&first_line(&rig)[1]), Some(written_at));

    rename(&rig, "summary");
    rig.write().await.unwrap();
    let line = first_line(&rig);
    assert_eq!(timestamp(&line[1]), Some(rig.projection.status.written_at));
    assert!(!line[2].as_str().unwrap().contains("NOT WRITTEN"), "{line:?}");
    rig.assert_right();
}

#[tokio::test]
async fn a_formula_that_spills_to_the_end_of_the_grid_does_not_push_rows_there() {
    let mut rig = edited(|tab| {
        for row in 1..tab.rows {
            tab.set(row, 20, format!("spilled {row}").into());
        }
        tab.set(11, 22, "my total".into());
    })
    .await;
    let height = rig.google.state().book.tab(TAB).unwrap().rows;
    rig.show(rows(7)).await;
    let state = rig.google.state();
    let tab = state.book.tab(TAB).unwrap();
    assert_eq!(tab.rows, height, "it need not grow");
    assert_eq!(super::rig::keys(tab)[&row(7, 1).conversation.key.to_string()], [13]);
}
