//! Random schedules of faults: each follows from its seed, is printed, and can be played again.
//!
//! `scripts/faults --seeds N [--from SEED]` plays many; the tests play the first few.

#![allow(clippy::print_stdout)] // what is played is what a person asked to see

use std::time::Duration;

use rustix::process::Signal;

use crate::mongod::Mongod;
use crate::rabbitmq::RabbitNode;
use crate::rig::Rig;
use crate::script::Script;
use crate::support::proxy::{Fate, Proxy, Toxics, Way};
use crate::support::{eventually, pause};

/// How many schedules the tests play, unless told otherwise.
const SEEDS: u64 = 6;

/// A schedule that takes longer has its consumers' warnings shown: they say what was waited for.
const SLOW: Duration = Duration::from_secs(25);

/// Where on the network.
#[derive(Debug, Clone, Copy)]
enum Line {
    Bus,
    Store,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// kill -9 of a consumer, and a new one in its place.
    Kill(usize),
    /// A soft stop of a consumer in the middle of its work, and a new one.
    Stop(usize),
    /// A consumer stands still.
    Freeze(usize, Duration),
    /// The relay ends where it stands, and another begins.
    Relay,
    /// Connections are closed.
    Cut(Line),
    /// Connections are reset.
    Reset(Line),
    /// Nothing gets through, then everything.
    Still(Line, Duration),
    /// What is sent vanishes, and the connections stay deaf for ever.
    Deaf(Line),
    /// Nobody answers.
    Down(Line, Duration),
    /// Late and in small pieces.
    Slow(Line, Duration),
    /// The broker restarts.
    Broker,
    /// kill -9 of the broker.
    BrokerDies,
    /// The primary steps down and has to be elected again.
    StepDown,
    /// kill -9 of the database.
    StoreDies,
}

impl Fault {
    fn draw(dice: &mut fastrand::Rng) -> Self {
        let millis = |dice: &mut fastrand::Rng, to: u64| Duration::from_millis(dice.u64(50..to));
        let line = if dice.bool() { Line::Bus } else { Line::Store };
        match dice.u32(0..40) {
            0..8 => Self::Kill(dice.usize(0..2)),
            8..11 => Self::Stop(dice.usize(0..2)),
            11..14 => Self::Freeze(dice.usize(0..2), millis(dice, 1500)),
            14..18 => Self::Relay,
            18..22 => Self::Cut(line),
            22..26 => Self::Reset(line),
            26..29 => Self::Still(line, millis(dice, 1500)),
            29..30 => Self::Deaf(line),
            30..33 => Self::Down(line, millis(dice, 1500)),
            33..36 => Self::Slow(line, millis(dice, 1500)),
            36..37 => Self::Broker,
            37..38 => Self::BrokerDies,
            38..39 => Self::StepDown,
            _ => Self::StoreDies,
        }
    }
}

/// A pause before each fault.
fn schedule(seed: u64) -> Vec<(Duration, Fault)> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let count = dice.usize(3..8);
    (0..count).map(|_| (Duration::from_millis(dice.u64(0..400)), Fault::draw(&mut dice))).collect()
}

async fn strike(rig: &mut Rig, rabbit: &RabbitNode, mongod: &mut Mongod, fault: Fault) {
    match fault {
        Fault::Kill(which) => {
            let consumer = &mut rig.consumers[which];
            consumer.signal(Signal::KILL);
            consumer.ended().await;
            consumer.again();
        }
        Fault::Stop(which) => {
            let consumer = &mut rig.consumers[which];
            consumer.signal(Signal::TERM);
            // It may still have been starting, or have lost a server on the way out; what counts is the store.
            consumer.ended().await;
            consumer.again();
        }
        Fault::Freeze(which, lasting) => {
            rig.consumers[which].signal(Signal::STOP);
            pause(lasting).await;
            rig.consumers[which].signal(Signal::CONT);
        }
        Fault::Relay => rig.producer.restart_relay().await,
        Fault::Cut(line) => proxy(rig, line).cut().await,
        Fault::Reset(line) => proxy(rig, line).reset().await,
        Fault::Still(line, lasting) => during(proxy(rig, line), Toxics::fate(Fate::Frozen), lasting).await,
        Fault::Deaf(line) => during(proxy(rig, line), Toxics::fate(Fate::HalfOpen), Duration::from_millis(300)).await,
        Fault::Down(line, lasting) => during(proxy(rig, line), Toxics::fate(Fate::Down), lasting).await,
        Fault::Slow(line, lasting) => {
            let (latency, jitter) = (Duration::from_millis(20), Duration::from_millis(60));
            let way = Way { latency, jitter, slice: Some(700), ..Way::default() };
            during(proxy(rig, line), Toxics::both(way), lasting).await;
        }
        Fault::Broker => {
            rabbit.stop().await;
            rabbit.start_again().await;
        }
        Fault::BrokerDies => {
            rabbit.kill();
            rabbit.start_again().await;
        }
        Fault::StepDown => mongod.step_down(1).await,
        Fault::StoreDies => {
            mongod.kill();
            mongod.start_again().await;
        }
    }
}

fn proxy(rig: &Rig, line: Line) -> &Proxy {
    match line {
        Line::Bus => &rig.net.bus,
        Line::Store => &rig.net.store,
    }
}

async fn during(proxy: &Proxy, toxics: Toxics, lasting: Duration) {
    proxy.set(toxics).await;
    pause(lasting).await;
    proxy.heal().await;
}

async fn play(rabbit: &RabbitNode, mongod: &mut Mongod, seed: u64) {
    let faults = schedule(seed);
    println!("seed {seed}: {faults:?}");
    let begun = std::time::Instant::now();
    let script = Script { seed, conversations: 5, messages: 120 };
    let mut rig = Rig::start(rabbit, mongod, script, 2).await;
    let (spool, captures) = (rig.producer.spool.clone(), script.captures(12));
    // The queues are there and have been used: a broker (3.10) that is killed while it declares a quorum queue
    // may leave one that it can't serve any more, which only deleting it by hand mends.
    spool.commit(script.captures(12).remove(0)).await.unwrap();
    let account = script.account();
    eventually("the first conversation is analysed", async || {
        let counts = rig.store.counts(Some(&account)).await.ok()?;
        (counts.analysed_conversations > 0).then_some(())
    })
    .await;
    // The collector goes on reading, whatever happens behind it.
    let talking = tokio::spawn(async move {
        for capture in captures {
            spool.commit(capture).await.unwrap();
            pause(Duration::from_millis(25)).await;
        }
    });
    for (before, fault) in faults {
        pause(before).await;
        strike(&mut rig, rabbit, mongod, fault).await;
    }
    talking.await.unwrap();
    let logs = rig.assert_whole().await;
    if begun.elapsed() > SLOW {
        for line in logs.iter().flat_map(|log| log.lines()).filter(|line| !line.contains(" INFO ")) {
            println!("seed {seed}: {line}");
        }
    }
    println!("seed {seed}: lost 0, unexpected 0, duplicated 0; {:.1} s", begun.elapsed().as_secs_f64());
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_schedules_of_faults_lose_and_double_nothing() {
    let rabbit = RabbitNode::start().await;
    let mut mongod = Mongod::replica_set().await;
    let (from, seeds) = (number("CHATFERRY_FAULTS_FROM", 1), number("CHATFERRY_FAULTS_SEEDS", SEEDS));
    for seed in from..from + seeds {
        play(&rabbit, &mut mongod, seed).await;
    }
}
