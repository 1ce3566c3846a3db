//! A private RabbitMQ node: Debian's server as processes of this test, on free loopback ports and in a
//! folder of its own, with its own epmd and cookie. Nothing of it is shared with a server of this machine.
//!
//! Everything is started under a *guardian*, a shell that waits for the end of a pipe and then kills what
//! it started. The pipe ends with this process, however that ends, so nothing outlives a killed test and a
//! static node needs no drop.
//!
//! [`RabbitNode::shared`] is one node for all tests of a binary, each in a virtual host of its own
//! ([`RabbitNode::vhost`]). A test that stops, kills, freezes or alarms a node starts its own.

#![allow(dead_code)] // each test binary uses its own part of it
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

/// Where Debian keeps the programs that don't change the user.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
/// Longest wait for a node to take a login: several may start at once on a small machine.
const START_DEADLINE: Duration = Duration::from_secs(90);
/// Longest wait for a graceful stop.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// So many virtual hosts are made with the shared node.
const SHARED_VHOSTS: u32 = 48;

/// A static node's folder is removed by nobody else; the server may be writing its last there.
const CLEAR: &str = "until rm -rf -- \"$PWD\"; do :; done";

static SHARED: OnceCell<RabbitNode> = OnceCell::const_new();
static NODES: AtomicU32 = AtomicU32::new(0);

/// What a node is to be beside the usual.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Virtual hosts that are there from the beginning, `t0` and so on.
    pub vhosts: u32,
    /// More lines of `rabbitmq.conf`.
    pub conf: String,
}

/// One node. Its ports stay the same for its whole life, over restarts too.
#[derive(Debug)]
pub struct RabbitNode {
    /// The port for `amqp://` on 127.0.0.1.
    pub port: u16,
    environment: Vec<(&'static str, String)>,
    vhosts: (AtomicU32, u32),
    server: Mutex<Option<Guarded>>,
    _epmd: Guarded,
    /// Its folder: data, log, configuration. Goes last, when nobody writes there any more.
    pub folder: TempDir,
}

impl RabbitNode {
    /// The node that all tests of this binary share; it ends with the binary.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(|| Self::start_with(Wishes { vhosts: SHARED_VHOSTS, conf: String::new() })).await
    }

    /// A node of one's own. It takes logins when this returns, and ends when it is dropped.
    pub async fn start() -> Self {
        Self::start_with(Wishes { vhosts: 2, conf: String::new() }).await
    }

    /// A node of one's own with wishes.
    pub async fn start_with(wishes: Wishes) -> Self {
        assert!(
            Path::new(PROGRAMS).join("rabbitmq-server").exists(),
            "RabbitMQ is missing: RUNLEVEL=1 apt-get install --no-install-recommends rabbitmq-server"
        );
        let folder = tempfile::Builder::new().prefix("chatferry-rabbit-").tempdir().unwrap();
        let [port, dist, epmd] = free_ports();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let number = NODES.fetch_add(1, Ordering::Relaxed);
        let conf = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nload_definitions = {}\ndisk_free_limit.absolute = 1MB\n\
             log.file.level = warning\nraft.wal_max_size_bytes = 16777216\n{}\n",
            path("definitions.json"),
            wishes.conf
        );
        fs::write(path("rabbitmq.conf"), conf).unwrap();
        fs::write(path("plugins"), "[].\n").unwrap();
        fs::write(path("definitions.json"), definitions(wishes.vhosts)).unwrap();
        let environment = vec![
            ("HOME", path("")),
            ("ERL_CRASH_DUMP_BYTES", "0".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("RABBITMQ_NODENAME", format!("chatferry-{}-{number}@localhost", std::process::id())),
            ("RABBITMQ_DIST_PORT", dist.to_string()),
            ("ERL_EPMD_PORT", epmd.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_CONF_ENV_FILE", path("none")),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
            ("RABBITMQ_MNESIA_BASE", path("data")),
            ("RABBITMQ_LOG_BASE", path("log")),
            // Two schedulers that don't spin: the machine is shared with the tests.
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}".to_owned(),
            ),
        ];
        // Ours is there first, so that the server starts none that nobody would end.
        let epmd = Guarded::start("epmd", CLEAR, &environment, folder.path());
        let node = Self {
            port,
            environment,
            vhosts: (AtomicU32::new(0), wishes.vhosts),
            server: Mutex::new(None),
            _epmd: epmd,
            folder,
        };
        node.start_again().await;
        node
    }

    /// The address of a virtual host, with credentials.
    pub fn url(&self, vhost: &str) -> String {
        format!("amqp://chatferry:s3cret-canary@127.0.0.1:{}/{vhost}", self.port)
    }

    /// The name of a virtual host that nobody else was given.
    pub fn vhost(&self) -> String {
        let number = self.vhosts.0.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{number}");
        if number >= self.vhosts.1 {
            self.ctl(&["add_vhost", &name]);
            self.ctl(&["set_permissions", "-p", &name, "chatferry", ".*", ".*", ".*"]);
        }
        name
    }

    /// Runs `rabbitmqctl`, a second or two; its output. Fails the test if it fails.
    #[track_caller]
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let program = Path::new(PROGRAMS).join("rabbitmqctl");
        let Output { status, stdout, stderr } =
            Command::new(program).args(arguments).envs(self.environment.iter().cloned()).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "rabbitmqctl {}: {stdout}{stderr}", arguments.join(" "));
        stdout.into_owned()
    }

    /// Starts the server, if it does not run, and waits until it takes a login.
    pub async fn start_again(&self) {
        self.server.lock().unwrap().get_or_insert_with(|| {
            let server = Path::new(PROGRAMS).join("rabbitmq-server").display().to_string();
            Guarded::start(&server, "", &self.environment, self.folder.path())
        });
        let url = self.url("t0");
        let end = Instant::now() + START_DEADLINE;
        loop {
            let connecting = lapin::Connection::connect(&url, lapin::ConnectionProperties::default());
            if let Ok(Ok(connection)) = timeout(Duration::from_secs(5), connecting).await {
                connection.close(200, "OK".into()).await.unwrap();
                return;
            }
            let runs = self.server.lock().unwrap().as_ref().is_some_and(Guarded::runs);
            assert!(runs && Instant::now() < end, "the node does not start:\n{}", self.log());
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops the server as an operator does: everything is written, connections are told.
    pub async fn stop(&self) {
        self.signal(Signal::TERM);
        let end = Instant::now() + STOP_DEADLINE;
        while self.server.lock().unwrap().as_ref().is_some_and(Guarded::runs) {
            assert!(Instant::now() < end, "the node does not stop:\n{}", self.log());
            sleep(Duration::from_millis(50)).await;
        }
        self.kill();
    }

    /// Kills the server with SIGKILL; it is gone when this returns.
    pub fn kill(&self) {
        drop(self.server.lock().unwrap().take());
    }

    /// Stops the server in its tracks: its sockets stay open and nobody answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Switches the memory alarm on or off: while it is on, publishers are blocked.
    pub fn alarm(&self, on: bool) {
        self.ctl(&["set_vm_memory_high_watermark", if on { "0.000001" } else { "0.6" }]);
    }

    /// The end of what the server has written into its log and to its output.
    pub fn log(&self) -> String {
        let files = fs::read_dir(self.folder.path().join("log")).into_iter().flatten().flatten().map(|e| e.path());
        let files = files.chain([self.folder.path().join("output")]);
        let texts = files.filter_map(|path| fs::read_to_string(path).ok());
        let ends = texts.map(|text| text.lines().rev().take(40).map(|line| format!("{line}\n")).collect::<Vec<_>>());
        ends.flat_map(|lines| lines.into_iter().rev()).collect()
    }

    fn signal(&self, signal: Signal) {
        if let Some(server) = &*self.server.lock().unwrap() {
            server.signal(signal);
        }
    }
}

/// Free ports of the loopback, below those that the system gives to outgoing connections: of those one may
/// be taken again before the server, which takes seconds to start, listens on it.
fn free_ports<const N: usize>() -> [u16; N] {
    let free =
        || (0..1000).map(|_| fastrand::u16(12_000..32_000)).find_map(|n| TcpListener::bind(("127.0.0.1", n)).ok());
    let listeners: [TcpListener; N] = std::array::from_fn(|_| free().expect("no free port"));
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// One more free port, for another listener.
pub fn free_port() -> u16 {
    free_ports::<1>()[0]
}

/// One user and some virtual hosts; made while the node starts, since `rabbitmqctl` takes a second for each.
fn definitions(vhosts: u32) -> String {
    let names: Vec<String> = (0..vhosts.max(1)).map(|n| format!("t{n}")).collect();
    let vhosts: Vec<_> = names.iter().map(|name| serde_json::json!({ "name": name })).collect();
    let everything = |vhost| {
        serde_json::json!({
            "user": "chatferry", "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"
        })
    };
    let permissions: Vec<_> = names.iter().map(everything).collect();
    let users = [serde_json::json!({ "name": "chatferry", "password": "s3cret-canary", "tags": "administrator" })];
    serde_json::json!({ "users": users, "vhosts": vhosts, "permissions": permissions }).to_string()
}

/// A program and its whole process group, killed when this is dropped or this process ends.
#[derive(Debug)]
struct Guarded {
    guardian: Child,
    pipe: Option<ChildStdin>,
    group: Pid,
}

impl Guarded {
    /// `after` is what the shell does when the program is gone.
    fn start(program: &str, after: &str, environment: &[(&str, String)], folder: &Path) -> Self {
        // With job control on, bash gives the program a process group of its own. `read` ends with the pipe.
        let script = "set -m
            \"$0\" </dev/null >>output 2>&1 &
            echo $!
            read -r
            kill -KILL -- -$!
            wait
            eval \"$1\"";
        let mut guardian = Command::new("bash")
            .args(["-c", script, program, after])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            // Whoever ends the tests by their group must not end the guardian before it has done its work.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(guardian.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let group = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let pipe = guardian.stdin.take();
        Self { guardian, pipe, group }
    }

    fn signal(&self, signal: Signal) {
        // It may have ended by itself meanwhile.
        let _ = kill_process_group(self.group, signal);
    }

    fn runs(&self) -> bool {
        test_kill_process_group(self.group).is_ok()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.guardian.wait();
    }
}
