//! What the database room promises: nothing answered is lost, one caller's failure is its own, and a
//! damaged file is kept as it was found.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use crate::fault::{Class, Code, Fault, Scope};

const MIGRATIONS: &[Migration] =
    &[Migration { component: "test", version: 1, sql: "CREATE TABLE rows (n INTEGER PRIMARY KEY, body BLOB) STRICT" }];

fn open(path: &Path) -> Database {
    Database::open(path, MIGRATIONS).unwrap()
}

async fn insert(database: &Database, n: i64) -> Result<(), SqliteError> {
    insert_body(database, n, 10).await
}

async fn insert_body(database: &Database, n: i64, bytes: usize) -> Result<(), SqliteError> {
    let insert = "INSERT INTO rows (n, body) VALUES (?1, ?2)";
    database
        .write(move |c| c.prepare_cached(insert)?.execute((n, vec![7u8; bytes])).map(drop).map_err(SqliteError::from))
        .await
}

async fn rows(database: &Database) -> Vec<i64> {
    database
        .read(|c| {
            c.prepare_cached("SELECT n FROM rows ORDER BY n")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()
        })
        .await
        .unwrap()
}

/// Occupies the writer. Once this returns the job runs, alone in its group, so that whatever is
/// submitted before the sender is used makes up the next group.
async fn occupy(database: &Database) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (begun, running) = oneshot::channel();
    database.post(move |_| {
        let _ = begun.send(());
        let _ = held.recv();
        Ok::<_, SqliteError>(())
    });
    running.await.unwrap();
    release
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

#[tokio::test]
async fn what_was_written_is_read_after_close_and_reopen_and_belongs_to_the_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let database = open(&path);
    insert(&database, 1).await.unwrap();
    assert_eq!(rows(&database).await, [1]);
    for ending in ["", "-wal", "-shm"] {
        let mode = fs::metadata(beside(&path, ending)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{ending}");
    }
    let other = database.clone();
    database.close().await;
    assert!(!beside(&path, "-wal").exists(), "closing folds the WAL in");
    assert_eq!(insert(&other, 2).await, Err(SqliteError::Closed));
    assert_eq!(other.read(|_| Ok::<_, SqliteError>(())).await, Err(SqliteError::Closed));
    assert_eq!(rows(&open(&path)).await, [1]);
}

#[tokio::test]
async fn a_failing_job_leaves_its_neighbours_in_the_group_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder.path().join("test.db"));
    insert(&database, 5).await.unwrap();
    let release = occupy(&database).await;
    let group = async {
        let jobs = futures::future::join_all((0..20).map(|n| insert(&database, n)));
        let panicking = database.write(|c| -> Result<(), SqliteError> {
            c.execute("INSERT INTO rows (n) VALUES (100)", [])?;
            panic!("on purpose");
        });
        let letting_go = async { release.send(()).unwrap() };
        tokio::join!(jobs, panicking, letting_go)
    };
    let (outcomes, panicked, ()) = group.await;
    assert_eq!(panicked, Err(SqliteError::Panicked));
    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome.is_err(), n == 5, "{n}: {outcome:?}");
    }
    assert_eq!(rows(&database).await, (0..20).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_everybody_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder.path().join("test.db"));
    let tables = "CREATE TABLE child (n INTEGER REFERENCES rows (n))";
    database.write(move |c| c.execute_batch(tables)).await.unwrap();
    let release = occupy(&database).await;
    let group = async {
        let neighbour = insert(&database, 1);
        // Checked at the commit only, as a full disk is noticed there only.
        let orphan = "PRAGMA defer_foreign_keys=ON; INSERT INTO child VALUES (99)";
        let late = database.write(move |c| c.execute_batch(orphan));
        let letting_go = async { release.send(()).unwrap() };
        tokio::join!(neighbour, late, letting_go)
    };
    let (neighbour, late, ()) = group.await;
    assert!(matches!(&late, Err(SqliteError::Failed(_))), "{late:?}");
    assert_eq!(neighbour, late);
    assert!(rows(&database).await.is_empty());
    insert(&database, 2).await.unwrap();
    assert_eq!(rows(&database).await, [2]);
}

/// No test can cut the power: the setting that survives it is looked at instead.
#[tokio::test]
async fn a_commit_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder.path().join("test.db"));
    let settings = database
        .write(|c| {
            let synchronous: i64 = c.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
            let journal: String = c.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
            Ok::<_, SqliteError>((synchronous, journal))
        })
        .await;
    assert_eq!(settings, Ok((2, "wal".to_owned())));
}

#[tokio::test]
async fn half_of_a_failed_job_does_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder.path().join("test.db"));
    let outcome = database
        .write(|c| -> Result<(), SqliteError> {
            c.execute("INSERT INTO rows (n) VALUES (1)", [])?;
            Err(SqliteError::Unreadable("thing"))
        })
        .await;
    assert_eq!(outcome, Err(SqliteError::Unreadable("thing")));
    assert!(rows(&database).await.is_empty());
}

#[tokio::test]
async fn a_dropped_write_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder.path().join("test.db"));
    for n in 0..50 {
        let mut write = Box::pin(insert(&database, n));
        // One poll submits it.
        let _ = futures::poll!(&mut write);
        drop(write);
    }
    insert(&database, 50).await.unwrap();
    assert_eq!(rows(&database).await, (0..=50).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_full_disk_refuses_in_words_keeps_what_is_there_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let database = open(&path);
    database.limit_pages(40).await.unwrap();
    let mut acknowledged = Vec::new();
    let mut refusal = None;
    // In groups, so that a refusal in one job meets neighbours that were already run.
    for round in 0..40 {
        let numbers: Vec<i64> = (round * 8..round * 8 + 8).collect();
        let outcomes = futures::future::join_all(numbers.iter().map(|n| insert_body(&database, *n, 3000))).await;
        for (n, outcome) in numbers.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => acknowledged.push(n),
                Err(error) => refusal = Some(error),
            }
        }
    }
    let refusal = refusal.unwrap();
    assert_eq!(
        (refusal.class(), refusal.scope(), refusal.code()),
        (Class::RETRY, Scope::Process, Code::DiskFull),
        "{refusal:?}"
    );
    assert_eq!(rows(&database).await, acknowledged);
    database.limit_pages(4000).await.unwrap();
    insert(&database, 9999).await.unwrap();
    acknowledged.push(9999);
    database.close().await;
    assert_eq!(rows(&open(&path)).await, acknowledged);
}

/// The child writes and says which rows were acknowledged; the parent kills it with SIGKILL.
#[tokio::test]
async fn no_acknowledged_write_is_lost_by_kill_9() {
    const ROLE: &str = "CHATFERRY_TEST_SQLITE_CHILD";
    if let Some(path) = std::env::var_os(ROLE) {
        let (database, mut out) = (open(Path::new(&path)), std::io::stdout());
        for n in 0.. {
            insert(&database, n).await.unwrap();
            writeln!(out, "acknowledged {n}").unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::tests::no_acknowledged_write_is_lost_by_kill_9", "--nocapture"])
        .env(ROLE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let last_of = |line: String| line.split_once("acknowledged ").and_then(|(_, n)| n.parse::<i64>().ok());
    let mut last = lines.by_ref().filter_map(last_of).nth(200).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    last = lines.filter_map(last_of).last().unwrap_or(last);
    let kept = rows(&open(&path)).await;
    assert!(kept.len() as i64 > last, "acknowledged up to {last}, kept {}", kept.len());
    assert_eq!(kept, (0..kept.len() as i64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_unchanged_and_no_empty_one_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let database = open(&path);
    for n in 0..200 {
        insert_body(&database, n, 500).await.unwrap();
    }
    database.close().await;
    let database = open(&path);
    insert(&database, 1000).await.unwrap();
    // As kill -9 leaves it: a WAL beside the file. Then 200 bytes of a page are overwritten.
    let damaged = folder.path().join("damaged.db");
    for ending in ["", "-wal", "-shm"] {
        fs::copy(beside(&path, ending), beside(&damaged, ending)).unwrap();
    }
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[9 * 4096..9 * 4096 + 200].fill(0xA5);
    fs::write(&damaged, &bytes).unwrap();
    let wal = fs::read(beside(&damaged, "-wal")).unwrap();
    assert!(!wal.is_empty());

    let refusal = Database::open(&damaged, MIGRATIONS).unwrap_err();
    let SqliteError::Damaged { kept, .. } = &refusal else { panic!("{refusal:?}") };
    assert_eq!(
        (refusal.class(), refusal.scope(), refusal.code()),
        (Class::Critical, Scope::Process, Code::DataCorrupt)
    );
    assert_eq!(blake3::hash(&fs::read(kept).unwrap()), blake3::hash(&bytes));
    assert_eq!(fs::read(beside(kept, "-wal")).unwrap(), wal);
    assert!(beside(kept, "-shm").exists());
    assert!(kept.file_name().unwrap().to_str().unwrap().starts_with("damaged.db.corrupt-2"), "{kept:?}");
    assert!(!damaged.exists());

    // A restart loop meets the same words, not an empty database.
    let again = Database::open(&damaged, MIGRATIONS).unwrap_err();
    assert!(matches!(&again, SqliteError::Damaged { kept: same, .. } if same == kept), "{again:?}");
    assert!(!damaged.exists());
    assert!(again.action().contains("backup"), "{}", again.action());
    // With a backup in place it opens, the damaged file still beside it.
    database.close().await;
    fs::copy(&path, &damaged).unwrap();
    assert_eq!(rows(&open(&damaged)).await.len(), 201);
    assert!(kept.exists());
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    fs::write(&path, "These are my notes, not a database.".repeat(200)).unwrap();
    let refusal = Database::open(&path, MIGRATIONS).unwrap_err();
    let SqliteError::Damaged { kept, .. } = &refusal else { panic!("{refusal:?}") };
    assert!(fs::read_to_string(kept).unwrap().starts_with("These are my notes"));
}

#[test]
fn a_newer_schema_is_refused_and_an_older_one_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    drop(open(&path));
    let second = Migration { component: "test", version: 2, sql: "ALTER TABLE rows ADD COLUMN more TEXT" };
    let both = [second, MIGRATIONS[0]];
    drop(Database::open(&path, &both).unwrap());
    drop(Database::open(&path, &both).unwrap());
    let refusal = Database::open(&path, MIGRATIONS).unwrap_err();
    assert!(matches!(&refusal, SqliteError::NewerSchema { found: 2, known: 1, .. }), "{refusal:?}");
    assert_eq!((refusal.class(), refusal.scope()), (Class::Permanent, Scope::Process));
    assert!(refusal.to_string().contains("newer chatferry"), "{refusal}");
    assert!(path.exists());
}

#[test]
fn a_migration_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let broken = Migration { component: "test", version: 2, sql: "CREATE TABLE half (a); CREATE TABLE rows (b);" };
    assert!(matches!(Database::open(&path, &[MIGRATIONS[0], broken]), Err(SqliteError::Failed(_))));
    let whole = Migration { sql: "CREATE TABLE half (a)", ..broken };
    Database::open(&path, &[MIGRATIONS[0], whole]).unwrap();
}

#[test]
fn a_folder_that_can_not_be_written_is_named() {
    // /proc refuses new files even to root; a file is no folder.
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [PathBuf::from("/proc/chatferry.db"), file.path().join("test.db"), std::env::temp_dir()] {
        let refusal = Database::open(&path, MIGRATIONS).unwrap_err();
        assert!(matches!(refusal, SqliteError::Unusable { .. }), "{refusal:?}");
        assert_eq!((refusal.class(), refusal.scope()), (Class::Permanent, Scope::Process));
        assert_eq!(refusal.code(), Code::DataDirUnusable);
        assert!(refusal.to_string().contains(path.to_str().unwrap()), "{refusal}");
    }
}

#[tokio::test]
async fn an_error_never_quotes_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder.path().join("test.db"));
    let secret = "canary-text";
    let failures = [
        database.write(move |c| c.execute("INSERT INTO rows (n, body) VALUES (?1, NULL)", [secret]).map(drop)).await,
        database.write(move |c| c.query_row("SELECT json_extract('{}', ?1)", [secret], |_| Ok(()))).await,
        database.write(move |c| c.query_row("SELECT ?1", [secret], |row| row.get::<_, i64>(0)).map(drop)).await,
        database
            .write(move |c| {
                c.query_row("SELECT ?1", [secret], |row| {
                    let text: String = row.get(0)?;
                    Err::<(), _>(rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, text.into()))
                })
            })
            .await,
    ];
    for failure in failures {
        let failure = failure.unwrap_err();
        let said = format!("{failure} {failure:?} {}", crate::fault::AnyFault::from(failure.clone()).chain());
        assert!(!said.contains("canary"), "{said}");
    }
    assert!(matches!(
        database.read(|c| c.execute("DELETE FROM rows", []).map(drop)).await,
        Err(SqliteError::ReadOnly(_))
    ));
}
