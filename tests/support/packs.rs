//! Packs of the operator's own: the sample site's with changes, and small ones for pages of a test.

/// The pack that is built in.
pub const DEMO: &str = include_str!("../../selectors/demo.toml");

/// The sample site's pack with these settings in the place of its own: section, key, value as in TOML.
pub fn demo_pack(changes: &[(&str, &str, &str)]) -> String {
    let mut pack: toml_edit::DocumentMut = DEMO.parse().unwrap();
    for (section, key, value) in changes {
        let section = section.split('.').fold(pack.as_item_mut(), |item, part| &mut item[part]);
        assert!(section.is_table(), "no such section");
        section[key] = toml_edit::Item::Value(value.parse().unwrap());
    }
    pack.to_string()
}

/// A pack for a page that shows one conversation, `c1`, and needs no login. `messages` is the text of the
/// section `[messages]` and those below it.
pub fn page_pack(messages: &str) -> String {
    format!("{PAGE}\n{messages}")
}

const PAGE: &str = r##"
version = 1

[site]
name = "A page"
base_url = "http://127.0.0.1:1"
time_zone = "Asia/Tokyo"
verified = true

[login]
steps = [
  { fill = { with = "username", into = "#user" } },
  { fill = { with = "password", into = "#password" } },
]

[login.outcomes]
logged_in = "#list"

[pages]
login = "#login"
list.positive = "#list"
thread.positive = "#thread"
timeout = "10s"

[conversations]
row = "#list li"
id = { attr = "data-id" }
title = "b"
open.address = "/#{id}"
opened.at = { css = "#thread", attr = "data-id" }

[history]
container = "#thread"
toward = "up"
end = ".start"

[pace]
between_conversations = "0ms"
between_steps = "0ms"
"##;
