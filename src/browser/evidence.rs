//! What a page looked like when it could not be read: its shape without any content, and its picture.
//!
//! What strangers may see is made unreadable in the page itself, before a picture is taken; if any text
//! could still be read there is no picture.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide::cdp::browser_protocol::page::{CaptureScreenshotFormat, CaptureScreenshotParams};
use serde::Deserialize;
use serde_json::json;

use super::error::{BrowserError, REQUEST_TIMEOUT};
use super::tab::Tab;

/// A picture of a large page on a busy machine.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(20);

/// How many texts can be read although the page is covered.
#[derive(Deserialize)]
struct Covered {
    bare: u64,
}

/// The elements of the page with the attributes that give it its shape; no text, no addresses, no values.
pub(super) async fn skeleton(tab: &Tab) -> Result<String, BrowserError> {
    tab.call("taking down the page's shape", "skeleton", &json!({}), PICTURE_TIMEOUT).await
}

/// The visible part of the page as a PNG.
pub(super) async fn screenshot(tab: &Tab, masked: bool) -> Result<Vec<u8>, BrowserError> {
    const STEP: &str = "taking a picture of the page";
    if masked {
        let Covered { bare } = tab.call(STEP, "setCover", &json!({ "on": true }), PICTURE_TIMEOUT).await?;
        if bare > 0 {
            let _ = uncover(tab).await;
            let reason = format!("{bare} texts of the page would stay readable");
            return Err(BrowserError::Protocol { step: STEP, reason });
        }
    }
    let wanted = CaptureScreenshotParams::builder().format(CaptureScreenshotFormat::Png).build();
    let taken = tab.execute(STEP, wanted, PICTURE_TIMEOUT).await;
    if masked {
        uncover(tab).await?;
    }
    let unreadable = |_| BrowserError::Protocol { step: STEP, reason: "a picture that can't be read".to_owned() };
    STANDARD.decode::<&str>(taken?.data.as_ref()).map_err(unreadable)
}

async fn uncover(tab: &Tab) -> Result<Covered, BrowserError> {
    tab.call("showing the page again", "setCover", &json!({ "on": false }), REQUEST_TIMEOUT).await
}
