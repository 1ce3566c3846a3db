//! The planner against a tab that is a table of texts: what is written where, and what is never touched.

use proptest::prelude::*;

use super::*;
use crate::mirror::rows::Column;
use crate::mirror::workbook::samples::row;

const ALL: usize = usize::MAX;

fn rows(ids: &[u32]) -> Vec<MirrorRow> {
    ids.iter().map(|id| row(&id.to_string(), &format!("person {id}"), "about")).collect()
}

fn wants(rows: &[MirrorRow]) -> Vec<Want<'_>> {
    rows.iter().map(|row| Want { row, fingerprint: row.fingerprint() }).collect()
}

fn key(row: &MirrorRow) -> String {
    row.conversation.key.to_string()
}

fn seen(keys: &[&str], typed: Option<usize>) -> Seen {
    let keys = std::iter::once("key").chain(keys.iter().copied()).map(str::to_owned).collect();
    Seen { layout: Layout::fresh(), keys, typed }
}

fn written(planned: Planned) -> Plan {
    match planned {
        Planned::Write(plan) => plan,
        Planned::LookFurther => panic!("it wants to look further"),
    }
}

fn ranges(plan: &Plan) -> Vec<&str> {
    plan.updates.iter().map(|update| update.range.as_str()).collect()
}

#[test]
fn new_rows_stand_behind_everything_in_use_the_newest_last() {
    let rows = rows(&[1, 2]);
    let plan = written(plan("T", &seen(&[], Some(0)), &wants(&rows), &Shown::new(), &[], ALL));
    assert_eq!(ranges(&plan), ["'T'!A2:N3"]);
    assert_eq!(plan.updates[0].values[1][0], key(&rows[0]).as_str(), "the newest comes first in a projection");
    assert_eq!((plan.rows, plan.last_row, plan.left), (2, 3, 0));
    let below = written(super::plan("T", &seen(&["x"], Some(7)), &wants(&rows[..1]), &Shown::new(), &[], ALL));
    assert_eq!(ranges(&below), ["'T'!A8:N8"], "a person's note in row 7 gets no stranger beside it");
    let unread = super::plan("T", &seen(&[], None), &wants(&rows), &Shown::new(), &[], ALL);
    assert_eq!(unread, Planned::LookFurther);
}

#[test]
fn what_is_noted_as_shown_and_stands_there_costs_nothing() {
    let rows = rows(&[1, 2]);
    let keys = [key(&rows[1]), key(&rows[0])];
    let noted: Shown = wants(&rows).iter().map(|want| (want.row.conversation.key, want.fingerprint)).collect();
    let nothing = written(plan("T", &seen(&[&keys[0], &keys[1]], None), &wants(&rows), &noted, &[], ALL));
    assert_eq!(nothing, Plan::default());
    let mut changed = rows.clone();
    changed[0].conversation.messages += 1;
    let one = written(plan("T", &seen(&[&keys[0], "", &keys[1]], None), &wants(&changed), &noted, &[], ALL));
    assert_eq!(ranges(&one), ["'T'!A4:N4"], "where it stands now");
}

#[test]
fn of_two_rows_with_one_key_the_first_is_written_and_the_other_emptied() {
    let rows = rows(&[1]);
    let noted: Shown = [(rows[0].conversation.key, rows[0].fingerprint())].into();
    let key = key(&rows[0]);
    let plan = written(plan("T", &seen(&[&key, "mine", &key], None), &wants(&rows), &noted, &[], ALL));
    assert_eq!(ranges(&plan), ["'T'!A2:N2", "'T'!A4:N4"]);
    assert_eq!(plan.updates[0].values[0][0], key.as_str());
    assert!(plan.updates[1].values[0].iter().all(|cell| *cell == ""));
    assert_eq!((plan.rows, plan.updates[1].values[0].len()), (1, WIDTH));
}

#[test]
fn what_left_the_store_is_emptied_and_what_was_never_ours_stays() {
    let rows = rows(&[1, 2, 3]);
    let noted: Shown = [(rows[0].conversation.key, [0; 16])].into();
    let keys: Vec<String> = rows.iter().map(key).collect();
    let seen = seen(&[&keys[0], &keys[1], "Total", &keys[2]], None);
    let plan = written(plan("T", &seen, &[], &noted, &[], ALL));
    assert_eq!(ranges(&plan), ["'T'!A2:N2"]);
    assert_eq!((plan.gone.len(), plan.leaving, plan.rows), (0, 1, 0), "nobody has seen yet that it is gone");
    let empty = Seen { keys: vec!["key".to_owned()], ..seen.clone() };
    let after = written(super::plan("T", &empty, &[], &noted, &[], ALL));
    assert_eq!((after.gone.as_slice(), after.leaving), (&[rows[0].conversation.key][..], 0));
    let strays = written(super::plan("T", &seen, &[], &Shown::new(), &[3, 5], ALL));
    assert_eq!(ranges(&strays), ["'T'!A3:N3", "'T'!A5:N5"]);
}

#[test]
fn a_write_keeps_to_its_budget_but_takes_one_row_at_least() {
    let mut many = rows(&(1..=50).collect::<Vec<_>>());
    many[7].analysis.as_mut().unwrap().verdict.summary = crate::domain::Text::from("x".repeat(40_000));
    let mut noted = Shown::new();
    let mut keys: Vec<String> = Vec::new();
    for turn in 0..100 {
        let standing: Vec<&str> = keys.iter().map(String::as_str).collect();
        let plan = written(plan("T", &seen(&standing, Some(0)), &wants(&many), &noted, &[], 5_000));
        let bytes: usize = plan.updates.iter().flat_map(|u| &u.values).flatten().map(|v| v.to_string().len() + 1).sum();
        assert!(bytes <= 5_000 || plan.rows == 1, "{bytes} bytes in {} rows", plan.rows);
        for update in &plan.updates {
            keys.extend(update.values.iter().map(|row| row[0].as_str().unwrap().to_owned()));
        }
        noted.extend(plan.shows.iter().copied());
        if plan.left == 0 {
            assert!(turn > 1 && noted.len() == 50 && keys.len() == 50, "{turn}");
            return;
        }
    }
    panic!("it never ends");
}

#[test]
fn no_value_is_null_and_a_text_is_cut_before_google_refuses_it() {
    let mut one = row("1", &"😀".repeat(40_000), &"y".repeat(60_000));
    one.analysis.as_mut().unwrap().verdict.topics.clear();
    let values = values(&one);
    assert!(values.iter().all(|value| !value.is_null()));
    assert_eq!(values[Column::Topics as usize], "");
    for column in [Column::Person, Column::Summary] {
        let text = values[column as usize].as_str().unwrap();
        assert!(text.encode_utf16().count() <= 49_000 && text.ends_with("… [shortened]"));
    }
    assert_eq!(values[Column::Key as usize], key(&one).as_str(), "ids are texts");
}

/// A tab as a plain table, on which a plan can be carried out.
#[derive(Debug, Clone)]
struct Table(Vec<Vec<String>>);

impl Table {
    fn apply(&mut self, plan: &Plan) {
        for update in &plan.updates {
            let range = update.range.trim_start_matches("'T'!");
            let (from, to) = range.split_once(':').unwrap();
            let place = |cell: &str| {
                let (row, column) = a1::ends(cell);
                (row.unwrap(), column.unwrap() - 1)
            };
            let ((top, left), (bottom, right)) = (place(from), place(to));
            assert_eq!(update.values.len(), bottom - top + 1);
            for (row, values) in (top..).zip(&update.values) {
                assert_eq!(values.len(), right - left + 1);
                while self.0.len() < row {
                    self.0.push(vec![String::new(); self.0[0].len()]);
                }
                for (column, value) in (left..).zip(values) {
                    self.0[row - 1][column] = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                }
            }
        }
    }

    fn seen(&self) -> Seen {
        let layout = Layout::find(&self.0[0]).unwrap();
        let keys = self.0.iter().map(|row| row[layout.key()].clone()).collect();
        let mine = layout.others(self.0[0].len());
        let is_typed = |row: &Vec<String>| mine.iter().any(|(a, b)| row[*a..=*b].iter().any(|cell| !cell.is_empty()));
        let typed = self.0.iter().rposition(is_typed).map_or(0, |index| index + 1);
        Seen { layout, keys, typed: Some(typed) }
    }

    fn others(&self) -> Vec<String> {
        let layout = Layout::find(&self.0[0]).unwrap();
        let mut found: Vec<String> = layout
            .others(self.0[0].len())
            .into_iter()
            .flat_map(|(a, b)| self.0.iter().flat_map(move |row| row[a..=b].to_vec()))
            .filter(|cell| !cell.is_empty())
            .collect();
        found.sort();
        found
    }
}

#[derive(Debug, Clone)]
enum Act {
    Store(Vec<u8>),
    Sort(u8),
    Insert(usize),
    Copy(usize),
    Empty(usize),
    Note(usize, String),
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        proptest::collection::vec(0u8..12, 0..8).prop_map(Act::Store),
        any::<u8>().prop_map(Act::Sort),
        (0usize..20).prop_map(Act::Insert),
        (0usize..20).prop_map(Act::Copy),
        (0usize..20).prop_map(Act::Empty),
        ((0usize..20), "[a-z]{1,6}").prop_map(|(row, text)| Act::Note(row, text)),
    ]
}

proptest! {
    #[test]
    fn whatever_people_do_each_conversation_stands_once_and_their_cells_stay(acts in proptest::collection::vec(acts(), 1..20)) {
        let mut header: Vec<String> = COLUMNS.map(|column| column.header().to_owned()).to_vec();
        header.insert(3, "my notes".to_owned());
        header.push(String::new());
        let width = header.len();
        let mut table = Table(vec![header]);
        let mut noted = Shown::new();
        for act in acts {
            let mut wanted: Option<Vec<MirrorRow>> = None;
            let count = table.0.len();
            match act {
                Act::Store(ids) => {
                    let ids: std::collections::BTreeSet<u8> = ids.into_iter().collect();
                    wanted = Some(ids.iter().map(|id| row(&id.to_string(), "p", &format!("s{count}"))).collect());
                }
                Act::Sort(seed) => {
                    let layout = Layout::find(&table.0[0]).unwrap();
                    let turn = |cell: &String| cell.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
                    table.0[1..].sort_by_key(|row| turn(&row[layout.key()]));
                }
                Act::Insert(at) => table.0.insert(1 + at % count, vec![String::new(); width]),
                Act::Copy(at) if count > 1 => {
                    let copy = table.0[1 + at % (count - 1)].clone();
                    table.0.push(copy);
                }
                Act::Empty(at) if count > 1 => table.0[1 + at % (count - 1)].iter_mut().for_each(String::clear),
                Act::Note(at, text) if count > 1 => table.0[1 + at % (count - 1)][3] = text,
                _ => {}
            }
            let before = table.others();
            let Some(wanted) = wanted else { continue };
            let plan = written(plan("T", &table.seen(), &wants(&wanted), &noted, &[], ALL));
            table.apply(&plan);
            noted.retain(|key, _| wanted.iter().any(|row| row.conversation.key == *key));
            noted.extend(plan.shows.iter().copied());
            prop_assert_eq!(table.others(), before);
            let standing = rows_by_key(&table.seen().keys);
            prop_assert_eq!(standing.len(), wanted.len());
            let layout = Layout::find(&table.0[0]).unwrap();
            for row in &wanted {
                let rows = &standing[&row.conversation.key];
                prop_assert_eq!(rows.len(), 1);
                for (column, value) in COLUMNS.into_iter().zip(values(row)) {
                    let shown = &table.0[rows[0] - 1][layout.of(column)];
                    prop_assert_eq!(shown, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                }
            }
        }
    }
}
