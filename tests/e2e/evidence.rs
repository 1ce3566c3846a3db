//! What a failure leaves behind: the page's shape and picture, and not one letter of what it says.

use chatferry::demo::Site;
use chatferry::ports::page::Until;
use std::time::Duration;

use crate::support::packs::{DEMO, page_pack};
use crate::support::tiny_site;
use crate::support::web_page::{WebPage, Window};

const CANARY: &str = "canary-Zebra-9271";

#[tokio::test]
async fn shape_without_content() {
    let page = format!(
        r##"<!doctype html><meta charset="utf-8"><title>{CANARY}</title><meta name="{CANARY}" content="{CANARY}">
<style>.x::after {{ content: "{CANARY}" }}</style><script>const secret = "{CANARY}";</script><!-- {CANARY} -->
<ul id="list"><li class="row row-17 is-new" data-id="{CANARY}" id="row-4711"><b title="{CANARY}">{CANARY}</b></li></ul>
<div id="thread" data-id="c1"><a href="/u/{CANARY}?token={CANARY}" aria-label="{CANARY}" onclick="'{CANARY}'">{CANARY}</a>
<input type="text" value="{CANARY}" placeholder="{CANARY}" name="{CANARY}" autocomplete="one-time-code"><textarea>{CANARY}</textarea>
<img src="/{CANARY}.png" alt="{CANARY}"><p class="Mia-Öz" style="background: url(/{CANARY}.png)">{CANARY}</p>
<chat-view><template shadowrootmode="open"><i class="deep">{CANARY}</i></template></chat-view>
{}</div>"##,
        (0..200).map(|n| format!("<p class=m data-n={n}>{CANARY} {n}</p>")).collect::<String>(),
    );
    let site = WebPage::serve(page).await;
    let window =
        Window::open(&page_pack("[messages]\nrow = \".m\"\ntext = \"p\"\ndirection.own = \".own\""), &site.base_url)
            .await;
    let skeleton = window.page.skeleton().await.unwrap();
    window.close().await;
    for word in [CANARY, "Zebra", "4711", "token", "Mia", "9271"] {
        assert!(!skeleton.contains(word), "{word} is in\n{skeleton}");
    }
    for part in [
        "<li class=\"row row-00 is-new\" data-id=\"…\" id=\"…\">",
        "<input type=\"text\" value=\"…\" placeholder=\"…\" name=\"…\" autocomplete=\"one-time-code\">",
        "<a href=\"…\" aria-label=\"…\">",
        "<template shadowrootmode=\"open\">",
        "<i class=\"deep\">",
        "more -->",
    ] {
        assert!(skeleton.contains(part), "no {part} in\n{skeleton}");
    }
}

#[tokio::test]
async fn a_masked_picture_shows_how_long_a_text_is_and_nothing_else() {
    let page = |text: &str, colour: &str| {
        format!(
            r##"<!doctype html><meta charset="utf-8"><title>A page</title><style>
            body {{ font: 20px monospace }} .quoted::before {{ content: "{text}" }} .pictured {{ background-image: linear-gradient({colour}, {colour}) }}</style>
            <ul id="list"><li data-id="c1"><b>{text}</b></li></ul><div id="thread" data-id="c1"><p class="m">{text} 🦓</p>
            <p class="quoted pictured">{text}</p><input value="{text}"><input placeholder="{text}"><textarea>{text}</textarea>
            <select><option>{text}</option></select><svg width="90" height="30"><rect width="90" height="30" fill="{colour}"/><text y="20">{text}</text></svg>
            <chat-view><template shadowrootmode="open"><style>i {{ -webkit-text-security: none }}</style><i>{text}</i></template></chat-view>
            <ol><li>{text}</li></ol></div>"##
        )
    };
    let pack = page_pack("[messages]\nrow = \".m\"\ntext = \"p\"\ndirection.own = \".own\"");
    let mut masked = Vec::new();
    let mut plain = Vec::new();
    for (text, colour) in [("canary-one", "red"), ("zebra-nine", "blue")] {
        let site = WebPage::serve(page(text, colour)).await;
        let window = Window::open(&pack, &site.base_url).await;
        plain.push(window.page.screenshot(false).await.unwrap());
        masked.push(window.page.screenshot(true).await.unwrap());
        assert_eq!(window.page.screenshot(false).await.unwrap(), plain[plain.len() - 1], "the page is as it was");
        window.close().await;
    }
    assert!(plain[0] != plain[1] && plain[0] != masked[0]);
    assert!(masked[0] == masked[1], "two texts of one length look the same");
}

#[tokio::test]
async fn a_real_page_can_be_shown_to_strangers() {
    let site = Site::start(tiny_site()).await.unwrap();
    let window = Window::open(DEMO, &site.base_url()).await;
    window.page.wait(Until::List, Duration::from_secs(60)).await.unwrap();
    let skeleton = window.page.skeleton().await.unwrap();
    assert!(skeleton.contains("id=\"login-password\""), "{skeleton}");
    let picture = window.page.screenshot(true).await.unwrap();
    assert_eq!(&picture[1..4], b"PNG");
    if let Ok(folder) = std::env::var("CHATFERRY_TEST_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join("masked.png"), picture).unwrap();
    }
    window.close().await;
    site.stop().await;
}
