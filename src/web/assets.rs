//! The page's own files, built into the program: no request ever leaves the machine for them.
//!
//! Each is sent with the hash of its content as ETag and asked for again each time, so that a page
//! never runs with the script of another version.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asset {
    /// Where it is found.
    pub path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

/// All of them.
pub(super) const ASSETS: [Asset; 3] = [
    Asset {
        path: "/assets/app.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("assets/app.js"),
    },
    Asset {
        path: "/assets/style.css",
        content_type: "text/css; charset=utf-8",
        content: include_str!("assets/style.css"),
    },
    Asset { path: "/assets/icon.svg", content_type: "image/svg+xml", content: include_str!("assets/icon.svg") },
];

static REVISION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    for asset in ASSETS {
        hasher.update(asset.content.as_bytes());
    }
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
});

/// One name for the content of all files and the program's version.
pub(super) fn revision() -> &'static str {
    &REVISION
}

impl Asset {
    fn etag(self) -> String {
        format!("\"{}\"", &blake3::hash(self.content.as_bytes()).to_hex()[..16])
    }

    /// The file, or 304 for who has it.
    pub fn response(self, request: &HeaderMap) -> Response<Body> {
        let etag = self.etag();
        let is_known = request
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|known| known.trim().trim_start_matches("W/") == etag);
        let mut response =
            if is_known { Response::new(Body::empty()) } else { Response::new(Body::from(self.content)) };
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            response.headers_mut().insert(ETAG, etag);
        }
        response
    }
}
