//! The whole way with the real servers: from the page to the workbook, through kill -9 of the program, and
//! the demo with the same table as without them.

use chatferry::demo::Site;
use serde_json::Value;

use crate::mongod;
use crate::rabbitmq::RabbitNode;
use crate::rig::Net;
use crate::support::processes::{Browsers, Watched};
use crate::support::{Place, assert_collected_whole, assert_store_equals_site, leave_for_a_browser, tiny_site};

async fn net() -> Net {
    Net::between(RabbitNode::shared().await, mongod::shared().await, 1)
}

fn place(net: &Net, site: &Site) -> Place {
    net.place()
        .with("DEMO_USERNAME", Site::username())
        .with("DEMO_PASSWORD", Site::password())
        .with("DEMO_BASE_URL", site.base_url())
        .with("CHATFERRY_LOGIN_BUDGET", "50/30m")
        .with("LOG_FORMAT", "json")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_is_collected_whole_and_a_second_run_adds_nothing() {
    let site = Site::start(tiny_site()).await.unwrap();
    let net = net().await;
    let place = place(&net, &site);
    assert_collected_whole(&site, &place).await;
    assert!(!place.data_dir().join("chatferry.db").exists(), "something is embedded all the same");
    site.stop().await;
}

/// F2, F3 and F4, F8 and F7, and what lies between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_killed_at_any_point_heals() {
    for point in ["spool.committed", "relay.published:2", "relay.marked", "archive.stored", "analyze.answered"] {
        let _leave = leave_for_a_browser().await;
        let site = Site::start(tiny_site()).await.unwrap();
        let net = net().await;
        let mut place = place(&net, &site).with("CHATFERRY_CRASH_AT", point);
        let browsers = Browsers::of(&place);
        Watched::start(&place, &["collect", "--once"]).end().await.assert_killed();
        place.unset("CHATFERRY_CRASH_AT");
        drop(_leave);
        let run = place.collect_once().await;
        assert_eq!(run.count("gaps"), 0, "{point}: {}", run.stderr);
        assert_store_equals_site(&site, &place.exported().await);
        browsers.assert_gone().await;
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_gives_the_same_table_as_without_servers() {
    let _leave = leave_for_a_browser().await;
    let net = net().await;
    let arguments = ["demo", "--conversations", "20", "--messages", "2000", "--json"];
    let last = |place: &Place, stdout: &str| -> Value {
        let line = stdout.lines().last().unwrap_or_else(|| panic!("nothing in {:?}", place.folder()));
        serde_json::from_str(line).unwrap()
    };
    let embedded = Place::new();
    let without = embedded.run(&arguments).await.expect_success();
    let servers = net.place();
    // Twice: the second run finds the first one's and adds nothing.
    for new in [2000, 0] {
        let with = servers.run(&arguments).await.expect_success();
        let (with, without) = (last(&servers, &with.stdout), last(&embedded, &without.stdout));
        assert_eq!(with["counts"], without["counts"]);
        assert_eq!((&with["equal"], &with["new_messages"]), (&Value::Bool(true), &Value::from(new)));
    }
}
