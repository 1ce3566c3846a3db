//! What this machine must offer: a folder, a port, a browser.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use chatferry::demo::Site;

use crate::refusal::{assert_nothing_collected, refused, snapshot};
use crate::support::Place;
use crate::support::processes::Browsers;

#[tokio::test]
async fn a_data_folder_that_can_not_be_made() {
    // Permissions do not bind root; the kind of a file does.
    let place = Place::new().with("DEMO_USERNAME", "a").with("DEMO_PASSWORD", "b");
    fs::write(place.data_dir(), "not a folder").unwrap();
    let before = snapshot(place.folder());
    let run = refused(&place, &["collect", "--once"], 78, "data-dir-unusable").await;
    assert!(run.stderr.contains(&place.data_dir().display().to_string()), "{}", run.stderr);
    assert_eq!(snapshot(place.folder()), before);

    fs::remove_file(place.data_dir()).unwrap();
    let file = place.folder().join("file");
    fs::write(&file, "").unwrap();
    symlink(file.join("below"), place.data_dir()).unwrap();
    refused(&place, &["run"], 78, "data-dir-unusable").await;
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let site = Site::start(crate::support::small_site()).await.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::for_site(&site).with("CHATFERRY_HTTP_ADDR", &address);
    let run = refused(&place, &["run"], 78, "http-address-unusable").await;
    assert!(run.stderr.contains(&address), "{}", run.stderr);
    assert!(site.request_log().is_empty(), "it went to the site all the same");
    assert_nothing_collected(&place).await;
}

#[tokio::test]
async fn a_chromium_that_is_not_there() {
    let site = Site::start(crate::support::small_site()).await.unwrap();
    let named = Place::for_site(&site).with("CHROMIUM_PATH", "/nowhere/chromium");
    let run = refused(&named, &["collect", "--once"], 78, "chromium-missing").await;
    assert!(run.stderr.contains("/nowhere/chromium"), "{}", run.stderr);
    let searched = Place::for_site(&site).with("PATH", named.folder().display().to_string());
    let run = refused(&searched, &["collect", "--once"], 78, "chromium-missing").await;
    assert!(run.stderr.contains("apt-get install chromium"), "{}", run.stderr);
    for place in [named, searched] {
        assert_nothing_collected(&place).await;
    }
}

#[tokio::test]
async fn a_chromium_that_is_something_else() {
    let site = Site::start(crate::support::small_site()).await.unwrap();
    let place = Place::for_site(&site).with("CHROMIUM_PATH", "/bin/false");
    refused(&place, &["collect", "--once"], 78, "chromium-failed").await;
    Browsers::of(&place).assert_gone().await;
    assert_nothing_collected(&place).await;
}
