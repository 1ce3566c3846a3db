//! A TCP proxy that misbehaves as told: it stands between the program and a broker, a database or an AI
//! service, and its faults are set while connections are open.
//!
//! What it does to a stream is what a network can do to one: late, slow, in small pieces, silent, cut,
//! reset. It never changes a byte, drops one from the middle, or swaps two.
//!
//! The faults of one direction are in [`Way`], those of whole connections in [`Fate`]; [`Proxy::cut`]
//! and [`Proxy::reset`] end the present connections once and welcome new ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stream;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to bytes on their way in one direction. The default passes them at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Way {
    /// Each byte arrives at least this much later.
    pub latency: Duration,
    /// And up to this much later still, drawn from the proxy's seed. The order stays.
    pub jitter: Duration,
    /// At most so many bytes a second.
    pub rate: Option<u64>,
    /// At most so many bytes in one write.
    pub slice: Option<usize>,
    /// After so many more bytes of a connection, counted from the moment this is set, the connection is
    /// closed in both directions.
    pub limit: Option<u64>,
}

/// What happens to whole connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fate {
    /// They live.
    #[default]
    Pass,
    /// The server is gone: present ones are closed, new ones refused.
    Down,
    /// Present and new ones are closed in good order (FIN).
    Cut,
    /// Present and new ones are reset (RST).
    Reset,
    /// The other side has vanished without a word: whatever arrives is swallowed and nothing is closed. A
    /// connection that has been in this state stays silent, also after [`Proxy::heal`].
    HalfOpen,
    /// The server stands still: nothing is read or written. After [`Proxy::heal`] everything goes on.
    Frozen,
}

/// All faults at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Toxics {
    /// From the client to the server.
    pub up: Way,
    /// From the server to the client.
    pub down: Way,
    /// Of whole connections.
    pub fate: Fate,
}

impl Toxics {
    /// Whole connections have this fate; bytes pass as they are.
    pub fn fate(fate: Fate) -> Self {
        Self { fate, ..Self::default() }
    }

    /// The same in both directions.
    pub fn both(way: Way) -> Self {
        Self { up: way, down: way, ..Self::default() }
    }
}

/// How a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// FIN.
    Closed,
    /// RST.
    Reset,
}

/// What connections are told. Those of an older generation than `generation` end as `ending` says.
#[derive(Debug, Clone, Copy)]
struct Order {
    version: u64,
    toxics: Toxics,
    generation: u64,
    ending: Ending,
}

/// What went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Connections accepted.
    pub accepted: u64,
    /// Bytes handed to the server.
    pub up: u64,
    /// Bytes handed to the client.
    pub down: u64,
    /// Writes in both directions.
    pub writes: u64,
    /// Bytes that vanished in [`Fate::HalfOpen`].
    pub swallowed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    accepted: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    writes: AtomicU64,
    swallowed: AtomicU64,
}

/// The proxy. Dropping it ends the listener and every connection.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    orders: watch::Sender<Order>,
    taken: watch::Receiver<u64>,
    counts: Arc<Counts>,
    /// Bound, never listening: the port stays ours while it refuses.
    _port: TcpSocket,
}

impl Proxy {
    /// Listens on a free loopback port and passes everything on to `upstream`. Jitter has the seed 0.
    pub fn to(upstream: SocketAddr) -> Self {
        Self::seeded(upstream, 0)
    }

    /// As [`Proxy::to`], with the seed of all jitter: connection n of a seed has the same delays each time.
    pub fn seeded(upstream: SocketAddr, seed: u64) -> Self {
        let port = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let addr = port.local_addr().unwrap();
        let listener = listen(addr);
        let order = Order { version: 0, toxics: Toxics::default(), generation: 0, ending: Ending::Closed };
        let (orders, watched) = watch::channel(order);
        let (tell, taken) = watch::channel(0);
        let counts = Arc::new(Counts::default());
        let door = Door { addr, upstream, seed, orders: watched, taken: tell, counts: counts.clone() };
        // It ends when there is nobody left to give it orders.
        tokio::spawn(door.keep(listener));
        Self { addr, orders, taken, counts, _port: port }
    }

    /// Where to connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets all faults anew, also for the connections that are open. Afterwards the door is as told: a
    /// client that connects now meets the new faults.
    pub async fn set(&self, toxics: Toxics) {
        let ending = match toxics.fate {
            Fate::Pass | Fate::HalfOpen | Fate::Frozen => None,
            Fate::Down | Fate::Cut => Some(Ending::Closed),
            Fate::Reset => Some(Ending::Reset),
        };
        self.order(|order| order.toxics = toxics, ending).await;
    }

    /// No faults any more.
    pub async fn heal(&self) {
        self.set(Toxics::default()).await;
    }

    /// Closes the present connections in good order (FIN), once.
    pub async fn cut(&self) {
        self.order(|_| (), Some(Ending::Closed)).await;
    }

    /// Resets the present connections (RST), once.
    pub async fn reset(&self) {
        self.order(|_| (), Some(Ending::Reset)).await;
    }

    async fn order(&self, change: impl FnOnce(&mut Order), ending: Option<Ending>) {
        let mut wanted = 0;
        self.orders.send_modify(|order| {
            change(order);
            order.version += 1;
            wanted = order.version;
            if let Some(ending) = ending {
                order.generation += 1;
                order.ending = ending;
            }
        });
        self.taken.clone().wait_for(|version| *version >= wanted).await.expect("the proxy has ended");
    }

    /// How many connections are open: accepted and not yet ended by either side or by a fault.
    pub fn connections(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// What went through since the start.
    pub fn traffic(&self) -> Traffic {
        let Counts { accepted, up, down, writes, swallowed, .. } = &*self.counts;
        let [accepted, up, down, writes, swallowed] =
            [accepted, up, down, writes, swallowed].map(|count| count.load(Ordering::SeqCst));
        Traffic { accepted, up, down, writes, swallowed }
    }
}

/// A socket on this address that others of ours may be bound beside.
fn bound(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(addr).unwrap();
    socket
}

fn listen(addr: SocketAddr) -> TcpListener {
    bound(addr).listen(128).unwrap()
}

/// The task that lets connections in.
struct Door {
    addr: SocketAddr,
    upstream: SocketAddr,
    seed: u64,
    orders: watch::Receiver<Order>,
    taken: watch::Sender<u64>,
    counts: Arc<Counts>,
}

impl Door {
    async fn keep(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        let mut connections = JoinSet::new();
        loop {
            let order = *self.orders.borrow_and_update();
            if order.toxics.fate == Fate::Down {
                listener = None;
            } else if listener.is_none() {
                listener = Some(listen(self.addr));
            }
            self.taken.send_replace(order.version);
            // Orders first, so that nobody is let in under old ones. Every arm may be dropped half-way: what
            // was not accepted or seen now is so next time.
            tokio::select! {
                biased;
                changed = self.orders.changed() => if changed.is_err() { return },
                client = accept(listener.as_ref()) => {
                    let number = self.counts.accepted.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(self.connection(client, order, number));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    fn connection(&self, client: TcpStream, order: Order, number: u64) -> impl Future<Output = ()> + use<> {
        let (upstream, orders, counts) = (self.upstream, self.orders.clone(), self.counts.clone());
        let seed = self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        stream::Stream { upstream, orders, counts, generation: order.generation, seed }.run(client)
    }
}

/// The next client; never, where nobody listens.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.expect("accept").0,
        None => std::future::pending().await,
    }
}
