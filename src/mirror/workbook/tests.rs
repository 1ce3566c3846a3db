//! The files as a viewer's program reads them back.

use std::collections::HashMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use calamine::{Data, Range, Reader, Xlsx};

use super::samples::{projection, row};
use super::*;
use crate::fault::{Class, Code};
use crate::mirror::rows::Column;
use crate::ports::MirrorRow;

async fn write(workbook: &Workbook, projection: &Projection) -> MirrorOutcome {
    workbook.write(projection, &HashMap::new()).await.unwrap()
}

async fn sheets(rows: Vec<MirrorRow>) -> (Range<Data>, Range<Data>) {
    let dir = tempfile::tempdir().unwrap();
    write(&Workbook::new(dir.path()), &projection(rows)).await;
    open(&fs::read(dir.path().join(XLSX)).unwrap())
}

fn open(bytes: &[u8]) -> (Range<Data>, Range<Data>) {
    let mut book = Xlsx::new(Cursor::new(bytes)).unwrap();
    assert_eq!(book.sheet_names(), ["Conversations", "_status"]);
    (book.worksheet_range("Conversations").unwrap(), book.worksheet_range("_status").unwrap())
}

fn cell(sheet: &Range<Data>, line: u32, header: &str) -> Data {
    let at = COLUMNS.iter().position(|column| column.header() == header).unwrap();
    sheet.get_value((line, at as u32)).unwrap().clone()
}

#[tokio::test]
async fn the_first_tab_holds_a_row_per_conversation_with_real_dates_and_numbers() {
    let (sheet, _) = sheets(vec![row("17", "Mia", "She asks about Friday."), row("18", "Ben", "Nothing new.")]).await;
    let headers: Vec<String> = sheet.rows().next().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(headers, COLUMNS.map(Column::header));
    assert_eq!(sheet.height(), 3);
    assert_eq!(cell(&sheet, 1, "person"), Data::String("Mia".to_owned()));
    assert_eq!(cell(&sheet, 2, "summary"), Data::String("Nothing new.".to_owned()));
    assert_eq!(cell(&sheet, 1, "messages"), Data::Float(12.0));
    assert_eq!(cell(&sheet, 1, "needs reply"), Data::String("yes".to_owned()));
    let Data::DateTime(at) = cell(&sheet, 1, "last message at") else { panic!("not a date") };
    assert_eq!(at.to_ymd_hms_milli(), (2026, 11, 2, 9, 30, 0, 0));
}

#[tokio::test]
async fn the_status_tab_says_how_fresh_the_rest_is_and_what_to_do() {
    let (_, sheet) = sheets(vec![row("17", "Mia", "x")]).await;
    let lines: HashMap<String, Vec<Data>> =
        sheet.rows().map(|line| (line[0].to_string(), line[1..].to_vec())).collect();
    let Data::DateTime(at) = &lines["last write"][0] else { panic!("not a date") };
    assert_eq!(at.to_ymd_hms_milli(), (2026, 11, 2, 10, 0, 0, 0));
    assert!(lines["last write"][1].to_string().contains("at least every 10 minutes"));
    assert_eq!(lines["open gaps"][0], Data::Float(1.0));
    assert_eq!(lines["dead letters"][0], Data::Float(0.0));
    assert_eq!(lines["daemon version"][0], Data::String("0.1.0".to_owned()));
    assert_eq!(lines["times"][0], Data::String("UTC".to_owned()));
    assert!(matches!(lines["last capture"][0], Data::DateTime(_)));
    assert_eq!(lines["meetme/default"][0].to_string(), "parked");
    assert_eq!(lines["meetme/default"][2].to_string(), "Log in by hand once, then resume the account.");
    assert_eq!(lines["meetme/default"][4].to_string(), "challenge");
    assert_eq!(lines["demo/default"][0].to_string(), "live");
}

/// A part of the workbook's archive, by name.
fn part(bytes: &[u8], name: &str) -> String {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    std::io::read_to_string(archive.by_name(name).unwrap()).unwrap()
}

#[tokio::test]
async fn the_header_is_frozen_filtered_and_high_priority_stands_out() {
    let dir = tempfile::tempdir().unwrap();
    write(&Workbook::new(dir.path()), &projection(vec![row("17", "Mia", "x"), row("18", "Ben", "y")])).await;
    let bytes = fs::read(dir.path().join(XLSX)).unwrap();
    let xml = part(&bytes, "xl/worksheets/sheet1.xml");
    assert!(xml.contains(r#"<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>"#), "{xml}");
    assert!(xml.contains(r#"<autoFilter ref="A1:N3"/>"#));
    assert!(xml.contains(r#"<conditionalFormatting sqref="J2:J3">"#));
    assert!(part(&bytes, "xl/styles.xml").contains("hh:mm:ss&quot; UTC&quot;"));
}

const HOSTILE: [&str; 9] = [
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "+49 170 1234567",
    "-1+1",
    "@SUM(A1:A9)",
    "http://evil.example/",
    "<script>alert(1)</script> &amp; <b>",
    "שלום, مرحبا",
    "👩‍👩‍👧 🇩🇪 é",
    "007",
];

#[tokio::test]
async fn what_people_wrote_stays_a_text_whatever_it_looks_like() {
    let dir = tempfile::tempdir().unwrap();
    let rows = HOSTILE.iter().enumerate().map(|(id, text)| row(&id.to_string(), text, text)).collect();
    write(&Workbook::new(dir.path()), &projection(rows)).await;
    let bytes = fs::read(dir.path().join(XLSX)).unwrap();
    let (sheet, _) = open(&bytes);
    for (line, text) in (1..).zip(HOSTILE) {
        assert_eq!(cell(&sheet, line, "person"), Data::String((*text).to_owned()));
        assert_eq!(cell(&sheet, line, "summary"), Data::String((*text).to_owned()));
    }
    let xml = part(&bytes, "xl/worksheets/sheet1.xml");
    assert!(!xml.contains("<f>") && !xml.contains("<hyperlink"), "{xml}");
}

#[tokio::test]
async fn a_text_that_looks_like_a_stored_escape_is_stored_so_that_it_shows_as_written() {
    let dir = tempfile::tempdir().unwrap();
    write(&Workbook::new(dir.path()), &projection(vec![row("1", "_x0041_", "x")])).await;
    let bytes = fs::read(dir.path().join(XLSX)).unwrap();
    assert!(part(&bytes, "xl/sharedStrings.xml").contains("<t>_x005F_x0041_</t>"));
}

#[tokio::test]
async fn the_table_holds_the_same_rows_and_no_formula() {
    let dir = tempfile::tempdir().unwrap();
    let rows = HOSTILE.iter().enumerate().map(|(id, text)| row(&id.to_string(), text, "x")).collect();
    write(&Workbook::new(dir.path()), &projection(rows)).await;
    let bytes = fs::read(dir.path().join(CSV)).unwrap();
    assert!(bytes.starts_with(b"\xef\xbb\xbfkey,"));
    let mut reader = ::csv::Reader::from_reader(&bytes[3..]);
    let people: Vec<String> = reader.records().map(|record| record.unwrap()[3].to_owned()).collect();
    assert_eq!(people.len(), HOSTILE.len());
    assert_eq!(people[0], format!("'{}", HOSTILE[0]));
    assert_eq!(people[6], HOSTILE[6]);
    assert!(people.iter().all(|text| !text.starts_with(['=', '+', '-', '@'])));
}

#[tokio::test]
async fn a_text_beyond_the_limit_is_cut_and_the_file_still_opens() {
    let (sheet, _) =
        sheets(vec![row("1", "Mia", &"wörter 😀 ".repeat(5_000)), row("2", "Ben", &"a".repeat(20_000))]).await;
    let Data::String(summary) = cell(&sheet, 1, "summary") else { panic!("not a text") };
    assert!(summary.encode_utf16().count() <= 32_767 && summary.ends_with("… [shortened]"));
    assert_eq!(cell(&sheet, 2, "summary"), Data::String("a".repeat(20_000)));
}

#[tokio::test]
async fn ten_thousand_conversations_and_none_at_all_both_work() {
    let rows: Vec<MirrorRow> = (0..10_000).map(|id| row(&id.to_string(), "Mia", "She asks about Friday.")).collect();
    let dir = tempfile::tempdir().unwrap();
    let workbook = Workbook::new(dir.path());
    let outcome = write(&workbook, &projection(rows)).await;
    assert_eq!((outcome.rows, outcome.messages), (10_000, 120_000));
    assert_eq!(outcome.location, dir.path().join(XLSX).display().to_string());
    let (sheet, _) = open(&fs::read(dir.path().join(XLSX)).unwrap());
    assert_eq!(sheet.height(), 10_001);

    let outcome = write(&workbook, &projection(Vec::new())).await;
    assert_eq!((outcome.rows, outcome.messages), (0, 0));
    let (sheet, status) = open(&fs::read(dir.path().join(XLSX)).unwrap());
    assert_eq!(sheet.height(), 1);
    assert!(status.height() > 8);
}

/// The time of the write that `_status` tells.
fn last_write(dir: &Path) -> String {
    let (_, status) = open(&fs::read(dir.join(XLSX)).unwrap());
    let Some(Data::DateTime(at)) = status.get_value((0, 1)) else { panic!("not a date") };
    let (_, _, _, hour, minute, second, _) = at.to_ymd_hms_milli();
    format!("{hour:02}:{minute:02}:{second:02}")
}

#[tokio::test]
async fn an_unchanged_projection_is_rewritten_only_to_say_that_the_daemon_lives() {
    let dir = tempfile::tempdir().unwrap();
    let workbook = Workbook::new(dir.path());
    let mut shown = projection(vec![row("17", "Mia", "x")]);
    let at = |time: &str, shown: &mut Projection| {
        shown.status.written_at = format!("2026-11-02T{time}Z").parse().unwrap();
        shown.status.accounts[0].expires_at = shown.status.written_at;
        shown.status.accounts[0].last_pass_at = Some(shown.status.written_at);
    };
    for (time, told) in
        [("10:00:00", "10:00:00"), ("10:09:59", "10:00:00"), ("10:10:00", "10:10:00"), ("09:00:00", "09:00:00")]
    {
        at(time, &mut shown);
        write(&workbook, &shown).await;
        assert_eq!(last_write(dir.path()), told, "written at {time}");
    }
    at("09:00:01", &mut shown);
    shown.status.dead_letters = 1;
    write(&workbook, &shown).await;
    assert_eq!(last_write(dir.path()), "09:00:01", "a changed status is a change");
    at("09:00:02", &mut shown);
    shown.rows[0].conversation.messages = 13;
    write(&workbook, &shown).await;
    assert_eq!(last_write(dir.path()), "09:00:02", "a changed row is a change");
}

#[tokio::test]
async fn files_that_somebody_removed_or_changed_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let workbook = Workbook::new(dir.path());
    let shown = projection(vec![row("17", "Mia", "x")]);
    write(&workbook, &shown).await;
    let (xlsx, csv) = (fs::read(dir.path().join(XLSX)).unwrap(), fs::read(dir.path().join(CSV)).unwrap());
    fs::remove_file(dir.path().join(CSV)).unwrap();
    write(&workbook, &shown).await;
    assert_eq!(fs::read(dir.path().join(CSV)).unwrap(), csv);
    fs::write(dir.path().join(XLSX), "saved over").unwrap();
    write(&workbook, &shown).await;
    assert_eq!(fs::read(dir.path().join(XLSX)).unwrap(), xlsx, "the same projection gives the same bytes");
}

#[tokio::test]
async fn the_files_are_private_and_no_temporary_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".summaries.xlsx.part"), "from a kill").unwrap();
    write(&Workbook::new(dir.path()), &projection(vec![row("17", "Mia", "x")])).await;
    let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [CSV, XLSX]);
    for name in [CSV, XLSX] {
        assert_eq!(dir.path().join(name).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_missing_folder_is_for_a_human() {
    let dir = tempfile::tempdir().unwrap();
    let fault =
        Workbook::new(&dir.path().join("gone")).write(&projection(Vec::new()), &HashMap::new()).await.unwrap_err();
    assert_eq!((fault.code(), fault.class()), (Code::MirrorFailed, Class::Permanent));
    assert!(fault.action().starts_with("Create the folder"));
}

#[tokio::test]
async fn a_failed_write_is_tried_again_even_if_nothing_changed() {
    let dir = tempfile::tempdir().unwrap();
    let workbook = Workbook::new(dir.path());
    let shown = projection(vec![row("17", "Mia", "x")]);
    // A folder in the way of the second file.
    fs::create_dir(dir.path().join(CSV)).unwrap();
    fs::write(dir.path().join(CSV).join("x"), "").unwrap();
    let fault = workbook.write(&shown, &HashMap::new()).await.unwrap_err();
    assert!(fault.class().is_retryable());
    fs::remove_dir_all(dir.path().join(CSV)).unwrap();
    write(&workbook, &shown).await;
    assert!(dir.path().join(CSV).is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_never_sees_half_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let workbook = Workbook::new(dir.path());
    let of = |size: usize| projection((0..size).map(|id| row(&id.to_string(), "Mia", "x")).collect());
    write(&workbook, &of(1)).await;
    let (path, done) = (dir.path().to_owned(), Arc::new(AtomicBool::new(false)));
    let finished = Arc::clone(&done);
    let reader = tokio::task::spawn_blocking(move || {
        let mut sizes = std::collections::BTreeSet::new();
        while !finished.load(Ordering::Relaxed) {
            let (sheet, status) = open(&fs::read(path.join(XLSX)).unwrap());
            // The two tabs agree with each other, so the file is of one write.
            assert_eq!(Some(&Data::Float((sheet.height() - 1) as f64)), status.get_value((2, 1)));
            let table = fs::read(path.join(CSV)).unwrap();
            assert!(table.ends_with(b"\r\n"));
            assert!([2, 201].contains(&table.iter().filter(|byte| **byte == b'\n').count()));
            sizes.insert(sheet.height());
        }
        sizes
    });
    for turn in 0..20 {
        write(&workbook, &of(if turn % 2 == 0 { 200 } else { 1 })).await;
    }
    done.store(true, Ordering::Relaxed);
    let sizes = reader.await.unwrap();
    assert!(sizes.iter().all(|height| [2, 201].contains(height)), "{sizes:?}");
}

#[tokio::test]
async fn what_somebody_changed_in_the_table_is_named_by_key_row_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let workbook = Workbook::new(dir.path());
    let rows: Vec<MirrorRow> = (1..=4).map(|id| row(&id.to_string(), "Mia", "She asks, \"=1\"\nor so.")).collect();
    let keys: Vec<_> = rows.iter().map(|row| row.conversation.key).collect();
    let shown = projection(rows[..3].to_vec());
    assert_eq!(workbook.compare(&shown).len(), 2, "neither file is there");
    write(&workbook, &shown).await;
    assert_eq!(workbook.compare(&shown), []);
    let path = dir.path().join(CSV);
    let text = fs::read_to_string(&path).unwrap();
    let second = format!("{}", keys[1]);
    let (before, after) = text.split_once(&second).unwrap();
    let edited = format!("{before}{}{after}", keys[3]).replacen(",12,", ",13,", 1);
    fs::write(&path, edited).unwrap();
    assert_eq!(
        workbook.compare(&shown),
        [
            Difference::Differs { key: keys[0], row: 2, columns: vec!["messages"] },
            Difference::Orphan { key: keys[3], row: 3 },
            Difference::Missing { key: keys[1] },
        ]
    );
}
