//! The fault proxy proved against an echo server: every fault does what it says to connections that are
//! open already, and nothing else. Other tests trust it.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::support::eventually;
use super::support::proxy::{Fate, Proxy, Toxics, Way};

/// Long enough that only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(10);

/// A server that sends back what it gets, and the proxy before it.
struct Echo {
    proxy: Proxy,
    serving: JoinHandle<()>,
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn echo() -> Echo {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::to(listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            connections.spawn(async move {
                let (mut reads, mut writes) = stream.split();
                tokio::io::copy(&mut reads, &mut writes).await
            });
        }
    });
    Echo { proxy, serving }
}

impl Echo {
    /// A connection that has carried a byte both ways, so that it is open on both sides of the proxy.
    async fn connection(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.proxy.addr()).await.unwrap();
        assert_eq!(round_trip(&mut stream, b"x").await.unwrap(), b"x");
        stream
    }
}

/// Sends this and waits for as much.
async fn round_trip(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let (mut reads, mut writes) = stream.split();
    let mut back = vec![0; bytes.len()];
    let both = async { tokio::try_join!(writes.write_all(bytes), reads.read_exact(&mut back)) };
    timeout(DEADLINE, both).await.expect("no answer in time")?;
    Ok(back)
}

/// What the next read gives.
async fn next(stream: &mut TcpStream) -> Result<usize, ErrorKind> {
    timeout(DEADLINE, stream.read(&mut [0; 64])).await.expect("no end in time").map_err(|error| error.kind())
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

async fn all_closed(proxy: &Proxy) {
    eventually("every connection is closed", async || (proxy.connections() == 0).then_some(())).await;
}

#[tokio::test]
async fn without_a_fault_every_byte_passes_and_is_counted() {
    let echo = echo().await;
    let mut stream = echo.connection().await;
    let sent = payload(1_000_000);
    assert!(round_trip(&mut stream, &sent).await.unwrap() == sent);
    assert_eq!(echo.proxy.connections(), 1);
    // The last write is counted after it was made.
    eventually("all is counted", async || {
        let traffic = echo.proxy.traffic();
        ((traffic.accepted, traffic.up, traffic.down) == (1, 1_000_001, 1_000_001)).then_some(())
    })
    .await;
    // The end of a stream passes too, and only in its own direction.
    stream.write_all(b"last").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, b"last");
    all_closed(&echo.proxy).await;
}

#[tokio::test]
async fn latency_of_both_directions_adds_up() {
    let echo = echo().await;
    let mut stream = echo.connection().await;
    let late = |ms| Way { latency: Duration::from_millis(ms), ..Way::default() };
    echo.proxy.set(Toxics { up: late(120), down: late(80), fate: Fate::Pass }).await;
    let start = Instant::now();
    round_trip(&mut stream, b"ping").await.unwrap();
    // At least: a busy machine is slower, never faster.
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    echo.proxy.heal().await;
    round_trip(&mut stream, b"pong").await.unwrap();
}

#[test]
fn a_seed_gives_the_same_jitter_each_time_and_never_less_than_the_latency() {
    let way = Way { latency: Duration::from_millis(10), jitter: Duration::from_millis(5), ..Way::default() };
    let delays = |seed| {
        let mut dice = fastrand::Rng::with_seed(seed);
        (0..50).map(|_| way.delay(&mut dice)).collect::<Vec<_>>()
    };
    assert_eq!(delays(7), delays(7));
    assert_ne!(delays(7), delays(8));
    let bounds = way.latency..=way.latency + way.jitter;
    assert!(delays(7).iter().all(|delay| bounds.contains(delay)));
}

#[tokio::test]
async fn down_closes_what_is_open_and_refuses_what_is_new_until_it_is_healed() {
    let echo = echo().await;
    let mut stream = echo.connection().await;
    echo.proxy.set(Toxics::fate(Fate::Down)).await;
    assert_eq!(next(&mut stream).await, Ok(0));
    let refused = TcpStream::connect(echo.proxy.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    echo.proxy.heal().await;
    echo.connection().await;
}

#[tokio::test]
async fn a_cut_is_a_fin_and_a_reset_is_a_rst_and_both_are_over_at_once() {
    let echo = echo().await;
    for _ in 0..5 {
        let mut stream = echo.connection().await;
        echo.proxy.cut().await;
        assert_eq!(next(&mut stream).await, Ok(0));
        let mut stream = echo.connection().await;
        echo.proxy.reset().await;
        assert_eq!(next(&mut stream).await, Err(ErrorKind::ConnectionReset));
    }
    all_closed(&echo.proxy).await;
}

#[tokio::test]
async fn as_a_state_cut_and_reset_meet_new_connections_too() {
    let echo = echo().await;
    for (fate, expected) in [(Fate::Cut, Ok(0)), (Fate::Reset, Err(ErrorKind::ConnectionReset))] {
        echo.proxy.set(Toxics::fate(fate)).await;
        for _ in 0..2 {
            let mut stream = TcpStream::connect(echo.proxy.addr()).await.unwrap();
            assert_eq!(next(&mut stream).await, expected, "{fate:?}");
        }
    }
    echo.proxy.heal().await;
    echo.connection().await;
}

#[tokio::test]
async fn half_open_swallows_everything_closes_nothing_and_is_for_ever() {
    let echo = echo().await;
    let mut stream = echo.connection().await;
    echo.proxy.set(Toxics::fate(Fate::HalfOpen)).await;
    let mut newcomer = TcpStream::connect(echo.proxy.addr()).await.unwrap();
    stream.write_all(b"12345").await.unwrap();
    newcomer.write_all(b"678").await.unwrap();
    let swallowed = |bytes| {
        let traffic = echo.proxy.traffic();
        (traffic.swallowed == bytes).then_some(traffic)
    };
    let traffic = eventually("eight bytes vanish", async || swallowed(8)).await;
    assert_eq!((traffic.up, traffic.down), (1, 1), "only the byte from before");
    echo.proxy.heal().await;
    stream.write_all(b"90").await.unwrap();
    eventually("a healed proxy does not raise the dead", async || swallowed(10)).await;
    for silent in [&stream, &newcomer] {
        assert_eq!(silent.try_read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    assert_eq!(echo.proxy.connections(), 2);
    echo.connection().await;
}

#[tokio::test]
async fn what_was_frozen_goes_on_where_it_stood() {
    let frozen = echo().await;
    let mut stream = frozen.connection().await;
    frozen.proxy.set(Toxics::fate(Fate::Frozen)).await;
    stream.write_all(b"later").await.unwrap();
    // Fifty round trips through another proxy in the same runtime: time enough for this one to err.
    let other = echo().await;
    let mut busy = other.connection().await;
    for _ in 0..50 {
        round_trip(&mut busy, b"tick").await.unwrap();
    }
    assert_eq!(frozen.proxy.traffic().up, 1);
    assert_eq!(frozen.proxy.connections(), 1);
    frozen.proxy.heal().await;
    let mut back = [0; 5];
    timeout(DEADLINE, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"later");
}

#[tokio::test]
async fn a_slow_way_takes_its_time() {
    let echo = echo().await;
    let mut stream = echo.connection().await;
    echo.proxy.set(Toxics { up: Way { rate: Some(2_000), ..Way::default() }, ..Toxics::default() }).await;
    let (start, sent) = (Instant::now(), payload(600));
    assert_eq!(round_trip(&mut stream, &sent).await.unwrap(), sent);
    // Pieces of 100 bytes; nothing waits behind the last.
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_slicer_writes_small_pieces() {
    let echo = echo().await;
    let mut stream = echo.connection().await;
    let before = echo.proxy.traffic().writes;
    echo.proxy.set(Toxics { up: Way { slice: Some(3), ..Way::default() }, ..Toxics::default() }).await;
    let sent = payload(3_000);
    assert_eq!(round_trip(&mut stream, &sent).await.unwrap(), sent);
    assert!(echo.proxy.traffic().writes - before >= 1_000, "{:?}", echo.proxy.traffic());
}

#[tokio::test]
async fn a_limit_passes_so_many_more_bytes_and_closes() {
    let echo = echo().await;
    for _ in 0..3 {
        let mut stream = echo.connection().await;
        echo.proxy.set(Toxics { down: Way { limit: Some(10), ..Way::default() }, ..Toxics::default() }).await;
        stream.write_all(&payload(64)).await.unwrap();
        let mut got = Vec::new();
        timeout(DEADLINE, stream.read_to_end(&mut got)).await.expect("it is not closed").unwrap();
        assert_eq!(got, payload(10));
        echo.proxy.heal().await;
    }
}

#[tokio::test]
async fn the_end_of_either_side_reaches_the_other_and_a_server_that_is_away_resets() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::to(listener.local_addr().unwrap());
    // One side resets: the other must not take it for an end in good order.
    for client_resets in [true, false] {
        let client = TcpStream::connect(proxy.addr()).await.unwrap();
        let (server, _) = timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
        let (resetting, mut other) = if client_resets { (client, server) } else { (server, client) };
        resetting.set_zero_linger().unwrap();
        drop(resetting);
        assert_eq!(next(&mut other).await, Err(ErrorKind::ConnectionReset), "{client_resets}");
    }
    all_closed(&proxy).await;
    // The server is away.
    drop(listener);
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(next(&mut stream).await, Err(ErrorKind::ConnectionReset));
    // The proxy is dropped.
    let addr = proxy.addr();
    drop(proxy);
    eventually("the door is closed", async || TcpStream::connect(addr).await.is_err().then_some(())).await;
}
