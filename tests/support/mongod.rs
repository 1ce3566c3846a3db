//! A private MongoDB for tests: on a free loopback port, in a folder of its own, gone when its test is.
//!
//! The program is `$MONGOD`, else the one in PATH, else the one that `scripts/test` has fetched. Beside
//! each server stands a guardian, a shell that reads from a pipe whose other end only the test process
//! holds: when that process ends, however it ends, the pipe closes and the guardian kills the server
//! and removes its folder. (A signal upon the death of the parent would not do: the parent is then the
//! thread that started it, and every test has its own.)
//!
//! Ended by process id only; a MongoDB that runs on this machine is never touched.

#![allow(dead_code)] // each test binary uses its own part of it
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

/// Longest wait for a server to be ready, or to be primary again.
const READY: Duration = Duration::from_secs(60);

/// Waits for a line or for the end of its parent; then kills, and removes the folder unless told to keep it.
const GUARDIAN: &str = r#"
folder=$1; shift
"$@" >>"$folder/log" 2>&1 </dev/null &
echo $!
read -r word
kill -9 $! 2>/dev/null
wait
[ "$word" = keep ] || rm -rf "$folder"
"#;

/// What kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ReplicaSet,
    Standalone,
    /// Standalone, and it asks for a password.
    Guarded,
}

/// One server of a test's own. Killed, with everything that it stored, when dropped.
#[derive(Debug)]
pub struct Mongod {
    kind: Kind,
    port: u16,
    folder: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    guardian: Child,
    pipe: Option<ChildStdin>,
    pid: Pid,
}

impl Mongod {
    /// A replica set of one member, primary when this returns. Its elections take a second at most.
    pub async fn replica_set() -> Self {
        Self::start(Kind::ReplicaSet).await
    }

    /// A single server without replication.
    pub async fn standalone() -> Self {
        Self::start(Kind::Standalone).await
    }

    /// A single server with a user `anna`, password `s3cret`, who may read and write and manage the
    /// database `chats`, and a user `eve`, password `s3cret`, who may do nothing.
    pub async fn guarded() -> Self {
        let server = Self::start(Kind::Guarded).await;
        // Without any user, whoever comes from this machine may create the first.
        let admin = server.client().await.database("admin");
        let user = |name: &str, roles: Vec<Document>| doc! { "createUser": name, "pwd": "s3cret", "roles": roles };
        let root = ClientOptions::parse(format!("mongodb://root:s3cret@127.0.0.1:{}/admin", server.port));
        admin.run_command(user("root", vec![doc! { "role": "root", "db": "admin" }])).await.unwrap();
        let admin = Client::with_options(root.await.unwrap()).unwrap().database("admin");
        let roles = ["readWrite", "dbAdmin"].map(|role| doc! { "role": role, "db": "chats" });
        admin.run_command(user("anna", roles.to_vec())).await.unwrap();
        admin.run_command(user("eve", Vec::new())).await.unwrap();
        server
    }

    async fn start(kind: Kind) -> Self {
        let folder = tempfile::Builder::new().prefix("chatferry-mongod-").tempdir().unwrap().keep();
        let mut server = Self { kind, port: free_port(), folder, running: None };
        server.start_again().await;
        server
    }

    /// The URI of a database, of the form that a user would write.
    pub fn uri(&self, database: &str) -> String {
        let options = if self.kind == Kind::ReplicaSet { "?replicaSet=rs0" } else { "" };
        format!("mongodb://127.0.0.1:{}/{database}{options}", self.port)
    }

    /// Its port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A client of this very server, primary or not.
    pub async fn client(&self) -> Client {
        client_of(self.port).await
    }

    /// Starts it, on the same port and with what it stored before; ready when this returns.
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs");
        self.running = Some(spawn(self.kind, &self.folder, self.port));
        wait_ready(self.kind, self.port, &self.folder).await;
    }

    /// Ends it with SIGKILL, as a power cut would. What it stored stays.
    pub fn kill(&mut self) {
        let mut running = self.running.take().expect("it runs");
        let _ = kill_process(running.pid, Signal::KILL);
        running.keep();
    }

    /// Ends it in order. What it stored stays.
    pub async fn stop(&mut self) {
        let mut running = self.running.take().expect("it runs");
        let _ = kill_process(running.pid, Signal::TERM);
        // Its own child as far as the guardian is concerned: a zombie until that has waited.
        let stat = format!("/proc/{}/stat", running.pid.as_raw_nonzero());
        let runs = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let end = Instant::now() + READY;
        while runs() {
            assert!(Instant::now() < end, "it does not end");
            sleep(Duration::from_millis(20)).await;
        }
        running.keep();
    }

    /// Stops it without ending it: connections stay open and nothing answers. [`Mongod::thaw`] ends this.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.running.as_ref().expect("it runs").pid, signal).unwrap();
    }

    /// Lets the next so many of these commands fail or wait, as the server's own test command
    /// `failCommand` describes it: `{closeConnection: true}`, `{errorCode: 91}`,
    /// `{blockConnection: true, blockTimeMS: 500}`; with `appName` only those of one client.
    pub async fn fail(&self, times: i32, commands: &[&str], how: Document) {
        let mut data = how;
        data.insert("failCommands", commands.to_vec());
        let order = doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
        self.client().await.database("admin").run_command(order).await.unwrap();
    }

    /// Makes it lay down its office for some seconds: every connection is closed and nothing is written
    /// until they are over.
    pub async fn step_down(&self, seconds: i32) {
        let admin = self.client().await.database("admin");
        // The answer may be lost with the connection.
        let _ = admin.run_command(doc! { "replSetStepDown": seconds, "force": true }).await;
    }

    /// Waits until it is primary again.
    pub async fn until_primary(&self) {
        wait_ready(self.kind, self.port, &self.folder).await;
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        match self.running.take() {
            Some(mut running) => running.end(),
            None => drop(fs::remove_dir_all(&self.folder)),
        }
    }
}

impl Running {
    /// Ends the server and keeps its folder.
    fn keep(&mut self) {
        if let Some(pipe) = &mut self.pipe {
            let _ = pipe.write_all(b"keep\n");
        }
        self.end();
    }

    /// Ends the server; its folder goes unless it was to be kept.
    fn end(&mut self) {
        drop(self.pipe.take());
        let _ = self.guardian.wait();
    }
}

/// The replica set that all tests of this binary share, each with a database of its own. It ends with
/// the process.
pub async fn shared() -> &'static Mongod {
    static SHARED: OnceCell<Mongod> = OnceCell::const_new();
    SHARED.get_or_init(Mongod::replica_set).await
}

/// A name that no other test's database has.
pub fn fresh_database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn spawn(kind: Kind, folder: &Path, port: u16) -> Running {
    let data = folder.join("data");
    fs::create_dir_all(&data).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", GUARDIAN, "sh"]).arg(folder).arg(program()).arg("--dbpath").arg(data);
    command.args(["--bind_ip", "127.0.0.1", "--port", &port.to_string(), "--nounixsocket", "--quiet"]);
    command.args(["--setParameter", "enableTestCommands=1"]);
    command.args(["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"]);
    match kind {
        Kind::ReplicaSet => command.args(["--replSet", "rs0", "--oplogSize", "256"]),
        Kind::Standalone => &mut command,
        Kind::Guarded => command.arg("--auth"),
    };
    // A group of its own: what ends the group of the tests (Ctrl-C, `timeout`) must leave the guardian
    // alive, or nobody would remove the folder.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut guardian = command.spawn().expect("there is no sh");
    let pipe = guardian.stdin.take();
    let mut line = String::new();
    BufReader::new(guardian.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pid = Pid::from_raw(line.trim().parse().expect("the guardian tells a number")).unwrap();
    Running { guardian, pipe, pid }
}

/// The program, or a sentence that says where to get it.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("MONGOD") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cache/mongod/mongod");
    let mut places = std::env::split_paths(&path).map(|folder| folder.join("mongod")).chain([fetched]);
    places.find(|place| place.is_file()).expect("there is no mongod: scripts/test fetches one (or name it in MONGOD)")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn client_of(port: u16) -> Client {
    let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=1000");
    Client::with_options(ClientOptions::parse(uri).await.unwrap()).unwrap()
}

/// Waits until it takes writes; initiates the replica set if that has not been done.
async fn wait_ready(kind: Kind, port: u16, folder: &Path) {
    let end = Instant::now() + READY;
    let admin = client_of(port).await.database("admin");
    let set = doc! {
        "_id": "rs0", "members": [{ "_id": 0, "host": format!("127.0.0.1:{port}") }],
        "settings": { "electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 500 },
    };
    loop {
        if let Ok(hello) = admin.run_command(doc! { "hello": 1 }).await {
            if hello.get_bool("isWritablePrimary").unwrap_or(false) {
                return;
            }
            if kind == Kind::ReplicaSet && hello.get_str("setName").is_err() {
                let _ = admin.run_command(doc! { "replSetInitiate": &set }).await;
            }
        }
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < end, "mongod is not ready:\n{}", log());
        sleep(Duration::from_millis(25)).await;
    }
}
