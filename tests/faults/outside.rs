//! kill -9 of the program from outside, at a line of its log that a seed chooses: also between the
//! points that have a name.

use chatferry::demo::Site;
use tokio::sync::OnceCell;

use crate::healing::{assert_heals, tiny_site};
use crate::support::Place;
use crate::support::processes::{Browsers, Watched, send, turn};

/// How many lines an undisturbed run writes; measured once.
static LINES: OnceCell<usize> = OnceCell::const_new();

async fn lines_of_a_whole_run() -> usize {
    let measured = LINES.get_or_init(|| async {
        let site = Site::start(tiny_site()).await.unwrap();
        let place = Place::for_site(&site).with("LOG_LEVEL", "trace");
        let run = place.collect_once().await;
        site.stop().await;
        run.stderr.lines().count()
    });
    *measured.await
}

macro_rules! killed_with_seed {
    ($($name:ident = $seed:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            killed_and_heals($seed).await;
        })*
    };
}

killed_with_seed! {
    seed_1 = 1;
    seed_2 = 2;
    seed_3 = 3;
    seed_4 = 4;
    seed_5 = 5;
    seed_6 = 6;
    seed_7 = 7;
    seed_8 = 8;
    seed_9 = 9;
    seed_10 = 10;
}

/// Killed twice in a row, then left alone: the first life and the recovery are both cut.
async fn killed_and_heals(seed: u64) {
    let _turn = turn().await;
    let whole = lines_of_a_whole_run().await;
    let mut dice = fastrand::Rng::with_seed(seed);
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site).with("LOG_LEVEL", "trace");
    let browsers = Browsers::of(&place);
    // The second life has less to do and writes less. Waiting may cost a line more or less, so the last
    // fifth is left out.
    for lines in [dice.usize(1..whole * 4 / 5), dice.usize(1..whole / 3)] {
        let mut program = Watched::start(&place, &["collect", "--once"]);
        let mut seen = 0;
        let reached = program.line(|_| {
            seen += 1;
            seen == lines
        });
        assert!(reached.await.is_some(), "seed {seed}: line {lines} of about {whole} was not reached");
        send(program.pid(), rustix::process::Signal::KILL);
        program.end().await.assert_killed();
    }
    place.unset("LOG_LEVEL");
    assert_heals(&site, &place, &browsers, 2).await;
    site.stop().await;
}
