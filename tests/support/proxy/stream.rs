//! One connection through the proxy: two directions in one task, which obeys orders at every step.
//!
//! A direction reads ahead only so far that a reader who stands still is felt by the writer, as it
//! would be without a proxy between them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Counts, Ending, Fate, Order, Way};

/// How far a direction reads ahead of what it has written, in bytes.
const WINDOW: usize = 256 * 1024;
/// The largest piece read at once, in bytes.
const PIECE: usize = 16 * 1024;
/// How long after a FIN the other side's last bytes are waited for: to close over unread bytes would
/// send a RST after it.
const LINGER: Duration = Duration::from_secs(1);

/// What a connection needs to know.
pub(super) struct Stream {
    pub upstream: SocketAddr,
    pub orders: watch::Receiver<Order>,
    pub counts: Arc<Counts>,
    pub generation: u64,
    pub seed: u64,
}

/// Counts a connection as open as long as it lives.
struct Open<'a>(&'a Counts);

impl<'a> Open<'a> {
    fn new(counts: &'a Counts) -> Self {
        counts.open.fetch_add(1, Ordering::SeqCst);
        Self(counts)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What both directions of a connection share.
struct Shared<'a> {
    /// The other side has vanished; there is no way back.
    vanished: AtomicBool,
    counts: &'a Counts,
    generation: u64,
}

impl Shared<'_> {
    /// Whether these orders end the connection.
    fn ending(&self, order: &Order) -> Option<Ending> {
        match order.toxics.fate {
            Fate::Cut | Fate::Down => Some(Ending::Closed),
            Fate::Reset => Some(Ending::Reset),
            Fate::Pass | Fate::HalfOpen | Fate::Frozen => (order.generation > self.generation).then_some(order.ending),
        }
    }
}

impl Stream {
    pub async fn run(mut self, mut client: TcpStream) {
        let open = Open::new(&self.counts);
        let shared = Shared { vanished: AtomicBool::new(false), counts: &self.counts, generation: self.generation };
        let order = *self.orders.borrow_and_update();
        if let Some(ending) = shared.ending(&order) {
            drop(open);
            return end(ending, [client]).await;
        }
        if order.toxics.fate == Fate::HalfOpen {
            // Nobody behind the door: the connection is held, and what arrives is swallowed.
            let ending = swallow(&mut client, &mut self.orders, &shared).await;
            drop(open);
            return end(ending, [client]).await;
        }
        let Ok(mut server) = TcpStream::connect(self.upstream).await else {
            // The nearest thing to a refusal for a connection that was already accepted.
            drop(open);
            return end(Ending::Reset, [client]).await;
        };
        // Small writes are to leave as small segments.
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let mut dice = fastrand::Rng::with_seed(self.seed);
        let (client_reads, client_writes) = client.split();
        let (server_reads, server_writes) = server.split();
        let up = Direction {
            way: |order| order.toxics.up,
            passed: &self.counts.up,
            shared: &shared,
            orders: self.orders.clone(),
            dice: dice.fork(),
        };
        let down = Direction {
            way: |order| order.toxics.down,
            passed: &self.counts.down,
            shared: &shared,
            orders: self.orders.clone(),
            dice: dice.fork(),
        };
        let both =
            async { tokio::try_join!(up.pump(client_reads, server_writes), down.pump(server_reads, client_writes)) };
        let ending = both.await.err();
        drop(open);
        match ending {
            Some(ending) => end(ending, [client, server]).await,
            None => drop((client, server)),
        }
    }
}

/// Ends connections in this way.
async fn end<const N: usize>(ending: Ending, streams: [TcpStream; N]) {
    match ending {
        Ending::Reset => streams.iter().for_each(|stream| {
            // Fails only on a socket that the other side has reset already.
            let _ = stream.set_zero_linger();
        }),
        Ending::Closed => {
            let closing = streams.into_iter().map(|mut stream| async move {
                if stream.shutdown().await.is_ok() {
                    let rest = async { while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} };
                    let _ = timeout(LINGER, rest).await;
                }
            });
            futures::future::join_all(closing).await;
        }
    }
}

/// Reads and forgets until an order ends the connection.
async fn swallow(client: &mut TcpStream, orders: &mut watch::Receiver<Order>, shared: &Shared<'_>) -> Ending {
    let mut piece = [0; 4096];
    let mut listening = true;
    loop {
        if let Some(ending) = shared.ending(&orders.borrow_and_update()) {
            return ending;
        }
        // Both arms may be dropped half-way: a read that did not end has read nothing.
        tokio::select! {
            biased;
            changed = orders.changed() => if changed.is_err() { return Ending::Reset },
            read = client.read(&mut piece), if listening => match read {
                Ok(read) if read > 0 => { shared.counts.swallowed.fetch_add(read as u64, Ordering::SeqCst); }
                _ => listening = false,
            }
        }
    }
}

/// A piece on its way.
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
    written: usize,
}

struct Direction<'a> {
    way: fn(&Order) -> Way,
    passed: &'a AtomicU64,
    shared: &'a Shared<'a>,
    orders: watch::Receiver<Order>,
    dice: fastrand::Rng,
}

impl Direction<'_> {
    /// Passes everything on until the end of the stream, then the end too.
    async fn pump(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Ending> {
        let mut queue: VecDeque<Piece> = VecDeque::new();
        let (mut queued, mut ended) = (0, false);
        let mut buffer = vec![0; PIECE];
        let mut pause = Instant::now();
        let mut way = Way::default();
        let mut left: Option<u64> = None;
        loop {
            let order = *self.orders.borrow_and_update();
            if let Some(ending) = self.shared.ending(&order) {
                return Err(ending);
            }
            if (self.way)(&order) != way {
                way = (self.way)(&order);
                left = way.limit;
            }
            if order.toxics.fate == Fate::HalfOpen {
                self.shared.vanished.store(true, Ordering::SeqCst);
            }
            let vanished = self.shared.vanished.load(Ordering::SeqCst);
            if vanished {
                self.shared.counts.swallowed.fetch_add(queued as u64, Ordering::SeqCst);
                queue.clear();
                queued = 0;
            } else if left == Some(0) {
                return Err(Ending::Closed);
            } else if ended && queue.is_empty() {
                // Fails only where the reader is gone already.
                let _ = to.shutdown().await;
                return Ok(());
            }
            let frozen = order.toxics.fate == Fate::Frozen && !vanished;
            let due = queue.front().map(|piece| piece.due.max(pause));
            let now = due.is_some_and(|due| due <= Instant::now());
            let next = queue.front().map_or(&[][..], |piece| way.cut(&piece.bytes[piece.written..], left));
            // Orders first: bytes that come after `Proxy::set` has returned meet the new faults. Every arm may
            // be dropped half-way: a read or write that did not end has moved nothing.
            tokio::select! {
                biased;
                changed = self.orders.changed() => if changed.is_err() { return Err(Ending::Reset) },
                wrote = to.write(next), if now && !frozen => {
                    let Ok(wrote) = wrote else { return Err(Ending::Reset) };
                    let piece = queue.front_mut().unwrap();
                    piece.written += wrote;
                    if piece.written == piece.bytes.len() {
                        queue.pop_front();
                    }
                    queued -= wrote;
                    left = left.map(|left| left - wrote as u64);
                    pause = Instant::now() + way.pause(wrote);
                    self.passed.fetch_add(wrote as u64, Ordering::SeqCst);
                    self.shared.counts.writes.fetch_add(1, Ordering::SeqCst);
                }
                () = sleep_until(due.unwrap_or(pause)), if due.is_some() && !now && !frozen => {}
                read = from.read(&mut buffer), if !ended && !frozen && queued < WINDOW => match read {
                    Err(_) if !vanished => return Err(Ending::Reset),
                    Err(_) | Ok(0) => ended = true,
                    Ok(read) => {
                        let late = Instant::now() + way.delay(&mut self.dice);
                        let due = queue.back().map_or(late, |before| before.due.max(late));
                        queue.push_back(Piece { due, bytes: buffer[..read].to_vec(), written: 0 });
                        queued += read;
                    }
                },
            }
        }
    }
}

impl Way {
    /// How late the next piece is.
    pub fn delay(&self, dice: &mut fastrand::Rng) -> Duration {
        self.latency + self.jitter.mul_f64(dice.f64())
    }

    /// How long to wait after so many bytes.
    fn pause(&self, wrote: usize) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(wrote as f64 / rate as f64))
    }

    /// What of these bytes goes out in one write.
    fn cut<'a>(&self, bytes: &'a [u8], left: Option<u64>) -> &'a [u8] {
        // With a rate, a twentieth of a second's worth: smooth, and a change of the rate is soon felt.
        let smooth = self.rate.map_or(usize::MAX, |rate| usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1));
        let left = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let most = smooth.min(self.slice.unwrap_or(usize::MAX).max(1)).min(left);
        &bytes[..bytes.len().min(most)]
    }
}
