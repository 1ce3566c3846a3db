//! What packs can say, each on a small page that needs it.

use std::time::Duration;

use chatferry::demo::Site;
use chatferry::fault::Code;
use chatferry::ports::page::{Scroller, ThreadReading, ThreadRow};
use chatferry::selectors::Query;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::support::packs::page_pack;
use crate::support::web_page::{WebPage, Window};
use crate::support::{Exported, Place};

/// Reads a page that shows these messages, with this `[messages]` section.
async fn reading(pack: &str, messages: &str) -> ThreadReading {
    let site = WebPage::conversation(messages).await;
    let window = Window::open(&page_pack(pack), &site.base_url).await;
    let reading = window.page.thread().await.unwrap();
    window.close().await;
    assert_eq!(reading.opened.as_deref(), Some("c1"));
    reading
}

fn texts(reading: &ThreadReading) -> Vec<&str> {
    reading.rows.iter().map(|row| row.text.as_ref().map_or("", |text| text.expose())).collect()
}

/// Runs the whole program on a page of the test's own.
async fn collected(pack: &str, messages: &str) -> Vec<Exported> {
    let site = WebPage::conversation(messages).await;
    let place = Place::new()
        .with("DEMO_USERNAME", Site::username())
        .with("DEMO_PASSWORD", Site::password())
        .with("DEMO_BASE_URL", &site.base_url)
        .with_pack(&page_pack(pack));
    place.collect_once().await;
    let stored = place.exported().await;
    assert_eq!(place.collect_once().await.count("new_messages"), 0);
    assert_eq!(place.exported().await, stored);
    stored
}

#[tokio::test]
async fn days_stand_between_messages_that_show_only_minutes() {
    let pack = r#"
[messages]
row = ".m"
author = { css = "b", carry = true }
text = "p"
direction.own_authors = ["{username}"]

[messages.sent_at]
at = "time"
formats = ["%H:%M"]

[messages.separator]
row = ".day"
date = ".day"
formats = ["%A, %d %B %Y"]
today = ["Today"]
yesterday = ["Yesterday"]
"#;
    let page = r#"
<div class="day">Saturday, 10 October 2026</div>
<div class="m"><b>Mia</b><p>first</p><time>23:59</time></div>
<div class="day">Sunday, 11 October 2026</div>
<div class="m"><p>second</p><time>00:01</time></div>
<div class="m"><b>alex</b><p>third</p><time>00:02</time></div>
<div class="m"><p>fourth</p><time>00:02</time></div>
<div class="m"><p>fourth</p><time>00:02</time></div>
<div class="day">Yesterday</div><div class="m"><b>Mia</b><p>fifth</p><time>08:30</time></div>
<div class="day">Today</div><div class="m"><p id="zone"></p><time>00:00</time></div>
<script>document.getElementById("zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone + " " + new Date(0).getHours();</script>"#;
    let before = Timestamp::now();
    let stored = collected(pack, page).await;
    let after = Timestamp::now();
    let rows: Vec<_> = stored
        .iter()
        .map(|m| (m.author.as_str(), m.direction.as_str(), m.text.as_str(), m.sent_at.as_deref().unwrap()))
        .collect();
    // Tokyo is nine hours ahead.
    assert_eq!(
        rows[..5],
        [
            ("Mia", "in", "first", "2026-10-10T14:59:00Z"),
            ("Mia", "in", "second", "2026-10-10T15:01:00Z"),
            ("alex", "out", "third", "2026-10-10T15:02:00Z"),
            ("alex", "out", "fourth", "2026-10-10T15:02:00Z"),
            ("alex", "out", "fourth", "2026-10-10T15:02:00Z"),
        ]
    );
    assert_eq!((rows[5].2, rows[6].2), ("fifth", "Asia/Tokyo 9"));
    let today = |now: Timestamp| now.to_zoned(TimeZone::get("Asia/Tokyo").unwrap()).start_of_day().unwrap();
    let on = |now| {
        (
            today(now).checked_sub(1.day()).unwrap().checked_add(510.minutes()).unwrap().timestamp(),
            today(now).timestamp(),
        )
    };
    let seen = (rows[5].3.parse::<Timestamp>().unwrap(), rows[6].3.parse::<Timestamp>().unwrap());
    assert!(seen == on(before) || seen == on(after), "{seen:?}");
}

#[tokio::test]
async fn breaks_paragraphs_and_pictures_are_part_of_the_text() {
    let pack = "[messages]\nrow = \".m\"\ntext = \".t\"\nskip = \".call\"\ndirection.own = \":scope.own\"";
    let page = r#"
<div class="m"><div class="t">one<br>two<br><br>four</div></div>
<div class="m own"><div class="t"><p>para one</p><p>para <b>two</b></p></div></div>
<div class="m"><span class="call"></span><div class="t">Missed call</div></div>
<div class="m"><div class="t">well <img alt="😂" src="data:,"> done<img alt="👍🏽" src="data:,"></div></div>
<div class="m"><div class="t">plain  &amp; &lt;b&gt;simple&lt;/b&gt;</div></div>"#;
    let reading = reading(pack, page).await;
    assert_eq!(texts(&reading), ["one\ntwo\n\nfour", "para one\npara two", "well 😂 done👍🏽", "plain  & <b>simple</b>"]);
    assert_eq!(reading.rows.iter().map(|row| row.own).collect::<Vec<_>>(), [false, true, false, false]);
}

#[tokio::test]
async fn values_come_from_attributes_and_parts_of_texts() {
    let pack = r#"
[messages]
row = { css = ".m", attr = "data-body" }
native_id = { attr = "id", regex = "^msg-([0-9]+)$" }
author = { css = ".meta", regex = "^(.+?) wrote" }
text = { attr = "data-body" }
direction.own_authors = ["me"]
attachments = ["a.file", { css = "img", attr = "src" }]
sent_at = { at = { css = ".meta", regex = "[0-9]{10}" }, formats = ["unix"] }
"#;
    let page = r#"
<div class="m" id="msg-71" data-body="shown in full"><span class="meta">Mia Lu wrote at 1795121233</span>shown…</div>
<div class="m" id="no">an advertisement</div>
<div class="m" id="msg-72" data-body=" &quot;kept&quot; "><span class="meta">me wrote at 1795121240</span><img src="/a.png"><img src="/b.png"></div>"#;
    let rows = reading(pack, page).await.rows;
    let shown = |row: &ThreadRow| {
        let author = row.author.as_ref().map(|author| author.expose().to_owned());
        (row.native_id.clone(), author, row.sent_at.clone(), row.attachments.len())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        rows.iter().map(shown).collect::<Vec<_>>(),
        [(some("71"), some("Mia Lu"), some("1795121233"), 0), (some("72"), some("me"), some("1795121240"), 2)]
    );
    assert_eq!(rows[0].text.as_ref().unwrap().expose(), "shown in full");
}

#[tokio::test]
async fn elements_are_found_by_xpath_and_by_their_words() {
    let pack = r#"
[messages]
row = [{ xpath = "//no-such-thing" }, { xpath = "//div[@id='thread']/section[.//em]" }]
text = { xpath = ".//em/following-sibling::span[1]" }
author = "em"
direction.own = { text = "You" }
"#;
    let page = r"
<section><em>Mia</em><span>hello</span><span>no text</span></section>
<section><em> You </em><span>hi</span></section>
<section>no message</section>
<section><em>You too</em><span>hm</span></section>";
    let reading = reading(pack, page).await;
    assert_eq!(texts(&reading), ["hello", "hi", "hm"]);
    assert_eq!(reading.rows.iter().map(|row| row.own).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(reading.matches["messages.row"].by_alternative, [0, 3]);
}

#[tokio::test]
async fn own_messages_are_told_by_their_side() {
    let pack = "[messages]\nrow = \".m\"\ntext = \"span\"\ndirection.own_side = \"right\"";
    let page = r#"<style>.m { display: flex } .r { justify-content: flex-end } span { max-width: 70% }</style>
<div class="m"><span>left</span></div><div class="m r"><span>right</span></div>
<div class="m r"><span>a text so long that it takes up most of the width that there is for a message here</span></div>
<div class="m"><span>a text so long that it takes up most of the width that there is for a message here</span></div>"#;
    let own: Vec<bool> = reading(pack, page).await.rows.iter().map(|row| row.own).collect();
    assert_eq!(own, [false, true, true, false]);
}

#[tokio::test]
async fn messages_in_open_shadow_roots_are_found() {
    let pack = "[messages]\nrow = \".m\"\ntext = \".t\"\nauthor = \"b\"\ndirection.own = \".own\"";
    let page = r#"<chat-view><template shadowrootmode="open">
  <div class="m"><b>Mia</b><chat-text><template shadowrootmode="open"><i class="t">deep</i></template></chat-text></div>
  <div class="m"><b>Mia</b><chat-text><template shadowrootmode="open"><i class="t">deeper</i></template></chat-text></div>
</template></chat-view>"#;
    let reading = reading(pack, page).await;
    assert_eq!(texts(&reading), ["deep", "deeper"]);
    assert!(reading.rows.iter().all(|row| row.author.as_ref().is_some_and(|author| author.expose() == "Mia")));
}

#[tokio::test]
async fn a_button_for_more_is_clicked_until_it_is_gone() {
    let pack = page_pack("[messages]\nrow = \".m\"\ntext = \"p\"\ndirection.own = \".own\"")
        .replace("end = \".start\"", "more = \"#older\"\nclick_more = true");
    let page = r#"<button id="older">Older</button><div class="m"><p>4</p></div>
<script>
let next = 3;
document.getElementById("older").onclick = ({ currentTarget: button }) => setTimeout(() => {
  button.insertAdjacentHTML("afterend", `<div class="m"><p>${next}</p></div>`);
  if (--next === 0) button.remove();
}, 30);
</script>"#;
    let site = WebPage::conversation(page).await;
    let place = Place::new()
        .with("DEMO_USERNAME", Site::username())
        .with("DEMO_PASSWORD", Site::password())
        .with("DEMO_BASE_URL", &site.base_url)
        .with_pack(&pack);
    let run = place.collect_once().await;
    assert_eq!(run.count("gaps"), 0, "{}", run.stderr);
    let texts: Vec<String> = place.exported().await.into_iter().map(|message| message.text).collect();
    assert_eq!(texts, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_selector_that_is_none_is_named() {
    let site = WebPage::conversation("<div class=\"m\"><p>a</p></div>").await;
    let pack = page_pack("[messages]\nrow = \".m:nonsense-pseudo\"\ntext = \"p\"\ndirection.own = \".own\"");
    let window = Window::open(&pack, &site.base_url).await;
    let fault = window.page.thread().await.unwrap_err();
    assert!(fault.chain().contains(".m:nonsense-pseudo"), "{}", fault.chain());
    assert_eq!(fault.code(), Code::LayoutBroken);
    assert!(window.page.step(Scroller::History).await.unwrap_err().chain().contains(".m:nonsense-pseudo"));
    let rows = window.page.probe().await.unwrap();
    let row = rows.iter().find(|row| row.key == "messages.row").unwrap();
    assert_eq!(row.errors.get(&0).map(String::as_str), Some("not a valid selector"));
    assert!(window.page.wait_for(&Query::css("#list"), Duration::from_secs(5)).await.is_ok(), "the page is still well");
    window.close().await;
}
