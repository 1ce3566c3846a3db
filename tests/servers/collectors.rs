//! Several collectors, one account: one of them collects it, and another takes over when that one is gone
//! (F37) or has only seemed to be (F41).

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use chatferry::demo::Site;
use rustix::process::Signal;

use crate::mongod;
use crate::rabbitmq::RabbitNode;
use crate::rig::{CONSUMING, Consumer, Net};
use crate::support::processes::Browsers;
use crate::support::{Exported, Place, eventually, leave_for_a_browser, store_equals_site, tiny_site};

/// Short, and long enough for a store that is slow to answer.
const TTL: Duration = Duration::from_secs(4);

fn collecting(net: &Net, site: &Site) -> Place {
    net.place()
        .with("DEMO_USERNAME", Site::username())
        .with("DEMO_PASSWORD", Site::password())
        .with("DEMO_BASE_URL", site.base_url())
        .with("CHATFERRY_LOGIN_BUDGET", "50/30m")
        .with("CHATFERRY_PASS_INTERVAL", "1s")
        .with("CHATFERRY_LEASE_TTL", "4s")
}

/// Logins that the site has seen.
fn logins(site: &Site) -> usize {
    site.request_log().iter().filter(|request| request.method == "POST" && request.path == "/login").count()
}

fn holds(consumer: &Consumer) -> bool {
    consumer.log().lines().any(|line| line.contains("lease changed") && line.contains("lease.change=taken"))
}

/// A process that collects, and the promise that its browser goes with it, however it goes.
struct Collector {
    consumer: Consumer,
    _browsers: Browsers,
}

impl Deref for Collector {
    type Target = Consumer;
    fn deref(&self) -> &Consumer {
        &self.consumer
    }
}

impl DerefMut for Collector {
    fn deref_mut(&mut self) -> &mut Consumer {
        &mut self.consumer
    }
}

struct Scene {
    site: Site,
    net: Net,
    consumer: Consumer,
}

impl Scene {
    async fn begin() -> Self {
        let site = Site::start(tiny_site()).await.unwrap();
        let net = Net::between(RabbitNode::shared().await, mongod::shared().await, 1);
        let consumer = Consumer::start(net.place(), CONSUMING);
        Self { site, net, consumer }
    }

    fn collector(&self) -> Collector {
        let place = collecting(&self.net, &self.site);
        let browsers = Browsers::of(&place);
        Collector { consumer: Consumer::start(place, "collect"), _browsers: browsers }
    }

    /// Waits until the store holds what the site says.
    async fn stored(&self) {
        let place = collecting(&self.net, &self.site);
        eventually("the store holds what the site says", async || {
            let run = place.run(&["data", "export"]).await;
            // Nothing is there yet, or the servers are being tried again.
            let stored: Vec<Exported> = run.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>().ok()?;
            store_equals_site(&self.site, &stored).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.consumer.stop().await;
        self.site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_collects_and_the_other_takes_over_when_it_is_killed() {
    let _leave = leave_for_a_browser().await;
    let scene = Scene::begin().await;
    let mut first = scene.collector();
    eventually("the first one collects", async || holds(&first).then_some(())).await;
    let second = scene.collector();
    scene.stored().await;
    eventually("the second one stands by", async || second.log().contains("account held elsewhere").then_some(()))
        .await;
    assert!(!holds(&second));
    assert_eq!(logins(&scene.site), 1, "both logged in");

    // A single pass does not wait: it says who has the account, and comes back later.
    let refused = collecting(&scene.net, &scene.site).run(&["collect", "--once"]).await;
    assert_eq!(refused.code(), Some(75), "{}", refused.stderr);
    assert!(refused.stderr.contains("account-held"), "{}", refused.stderr);

    first.signal(Signal::KILL);
    first.ended().await;
    scene.site.say(&scene.site.truth()[0].conversation_id, None, "after the kill").unwrap();
    eventually("the second one collects", async || holds(&second).then_some(())).await;
    scene.stored().await;
    assert_eq!(logins(&scene.site), 2, "one login each");
    second.consumer.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_slept_through_its_lease_is_refused() {
    let _leave = leave_for_a_browser().await;
    let scene = Scene::begin().await;
    let first = scene.collector();
    eventually("the first one collects", async || holds(&first).then_some(())).await;
    scene.stored().await;
    first.signal(Signal::STOP);
    let second = scene.collector();
    eventually("the second one takes over", async || holds(&second).then_some(())).await;
    scene.site.say(&scene.site.truth()[0].conversation_id, None, "while the first one sleeps").unwrap();
    scene.stored().await;
    crate::support::pause(TTL).await;
    first.signal(Signal::CONT);
    eventually("the first one learns of it", async || first.log().contains("lease.change=lost").then_some(())).await;
    scene.site.say(&scene.site.truth()[0].conversation_id, None, "and after it woke").unwrap();
    scene.stored().await;
    // What the account's row says is the second one's word.
    let accounts = collecting(&scene.net, &scene.site).run(&["accounts", "list", "--json"]).await.expect_success();
    let accounts: serde_json::Value = serde_json::from_str(&accounts.stdout).unwrap();
    assert_ne!(accounts[0]["status"]["state"], "stopped", "{accounts}");
    second.consumer.stop().await;
    first.consumer.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_went_elsewhere_and_came_back_is_read_on_from_the_store() {
    let _leave = leave_for_a_browser().await;
    let scene = Scene::begin().await;
    let conversation = scene.site.truth()[0].conversation_id.clone();
    let last = scene.site.truth().into_iter().rfind(|message| message.conversation_id == conversation).unwrap();
    let mut first = scene.collector();
    scene.stored().await;
    first.signal(Signal::KILL);
    first.ended().await;
    scene.site.edit(&last.native_id, "edited for the second one").unwrap();
    scene.site.say(&conversation, None, "for the second one").unwrap();
    let mut second = scene.collector();
    scene.stored().await;
    second.signal(Signal::KILL);
    second.ended().await;
    // To the first one this looks as it always did.
    scene.site.edit(&last.native_id, &last.text).unwrap();
    scene.site.say(&conversation, None, "for the first one again").unwrap();
    first.again();
    // As the site has it, in its order: what each of them knew of places and edits does not matter.
    scene.stored().await;
    first.consumer.stop().await;
    scene.end().await;
}
