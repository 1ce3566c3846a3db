//! `doctor` and the health checks of a daemon against the real servers: what is there is named, what is
//! wrong is told with what to do.

use std::net::SocketAddr;

use chatferry::collect::Spool;
use chatferry::demo::Site;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::mongod::{self, Mongod};
use crate::rabbitmq::RabbitNode;
use crate::rig::Net;
use crate::script::Script;
use crate::support::processes::{Watched, send};
use crate::support::{Place, eventually, leave_for_a_browser};

/// The password of the broker's user.
const SECRET: &str = "s3cret-canary";

async fn doctor(place: &Place) -> Vec<String> {
    let _leave = leave_for_a_browser().await;
    let run = place.run(&["doctor"]).await.expect_success();
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(SECRET), "{}{}", run.stdout, run.stderr);
    run.stdout.lines().map(str::to_owned).collect()
}

/// The line of a part.
fn of<'a>(lines: &'a [String], part: &str) -> &'a str {
    lines.iter().find(|line| line[9..].starts_with(part)).unwrap_or_else(|| panic!("no {part} in {lines:#?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_names_the_servers_and_leaves_nothing_on_them() {
    let (rabbit, mongod) = (RabbitNode::shared().await, mongod::shared().await);
    let net = Net::between(rabbit, mongod, 1);
    let place = net
        .place()
        .with("DEMO_USERNAME", Site::username())
        .with("DEMO_PASSWORD", Site::password())
        .with("MONGODB_URI", mongod.uri(&mongod::fresh_database()));
    let lines = doctor(&place).await;
    assert!(lines.iter().all(|line| line.starts_with("ok ")), "{lines:#?}");
    assert!(of(&lines, "bus").contains("RabbitMQ: published and consumed an event"), "{lines:#?}");
    let store = of(&lines, "store");
    assert!(store.contains("MongoDB 6.") || store.contains("MongoDB 7.") || store.contains("MongoDB 8."), "{store}");
    assert!(store.contains("replica set rs0: wrote and read back"), "{store}");
    let queues = rabbit.ctl(&["list_queues", "-p", net.vhost(), "name", "messages", "--quiet"]);
    for line in queues.lines().filter(|line| line.contains('\t') && !line.starts_with("name")) {
        let (name, messages) = line.split_once('\t').unwrap();
        assert!(name.starts_with("chatferry.") && messages == "0", "left on the broker: {queues}");
    }
    assert!(!place.data_dir().join("doctor").exists());
    assert!(!place.data_dir().join("chatferry.db").exists(), "something is embedded all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_warns_of_a_mongodb_without_a_replica_set() {
    let mongod = Mongod::standalone().await;
    let place = Place::new().with("MONGODB_URI", mongod.uri("chats"));
    let lines = doctor(&place).await;
    let at = lines.iter().position(|line| line.starts_with("warning  store ")).unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(lines[at].contains("works, but without a replica set"), "{lines:#?}");
    assert!(lines[at + 1].contains("what to do: Start mongod with --replSet"), "{lines:#?}");
}

async fn get(addr: SocketAddr, path: &str) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(addr).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).ok()?))
}

fn bus(document: &Value) -> &Value {
    document["parts"].as_array().unwrap().iter().find(|part| part["name"] == "bus").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_with_an_alarm_is_named_and_the_daemon_stays_ready() {
    let rabbit = RabbitNode::start().await;
    let net = Net::between(&rabbit, mongod::shared().await, 1);
    let place = net.place().with("LOG_FORMAT", "json");
    // A broker blocks only who publishes: something must wait in the spool.
    let script = Script { seed: 3001, conversations: 2, messages: 40 };
    std::fs::create_dir_all(place.data_dir()).unwrap();
    let spool = Spool::open(&place.data_dir(), false).unwrap();
    for capture in script.captures(40) {
        spool.commit(capture).await.unwrap();
    }
    spool.close().await;
    rabbit.alarm(true);
    let mut daemon = Watched::start(&place, &["run"]);
    let line = daemon.until_log(&["listening"]).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let addr: SocketAddr = line["http.address"].as_str().unwrap_or_else(|| panic!("{line}")).parse().unwrap();
    let state = async |wished: fn(&Value) -> bool| {
        eventually("the bus is as wished", async || {
            let (code, ready) = get(addr, "/readyz").await?;
            assert_eq!(code, 200, "what is read is committed to the spool: {ready}");
            wished(bus(&ready)).then_some(())?;
            let (code, health) = get(addr, "/health").await?;
            assert_eq!(code, 200, "{health}");
            wished(bus(&health)).then_some(health)
        })
        .await
    };
    let health = state(|bus| bus["code"] == "broker-blocked").await;
    assert_eq!((&health["status"], &bus(&health)["status"]), (&"degraded".into(), &"degraded".into()), "{health}");
    assert!(bus(&health)["action"].as_str().unwrap().contains("Free memory or disk space"), "{health}");
    rabbit.alarm(false);
    state(|bus| bus["status"] == "ok").await;
    eventually("what waited is stored", async || {
        let (_, status) = get(addr, "/api/v1/status").await?;
        (status["counts"]["stored_messages"] == script.conversations * script.messages).then_some(())
    })
    .await;
    send(daemon.pid(), rustix::process::Signal::TERM);
    let ended = daemon.end().await;
    assert!(ended.status.success(), "{}", ended.log.join("\n"));
}
