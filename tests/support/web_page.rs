//! A page of the test's own on a free loopback port, and a browser that looks at it through the port.

use std::sync::Arc;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use chatferry::browser::{Chromium, ChromiumSettings};
use chatferry::domain::AccountId;
use chatferry::ports::page::{Browser, SessionRequest, SitePage};
use chatferry::selectors::parse_pack;
use chatferry::telemetry::Counters;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::SemaphorePermit;
use tokio_util::task::AbortOnDropHandle;

/// A server of one page; ends when it is dropped.
pub struct WebPage {
    /// Its address, without a slash at the end.
    pub base_url: String,
    _served: AbortOnDropHandle<()>,
}

impl WebPage {
    /// Serves a whole HTML document.
    pub async fn serve(html: impl Into<String>) -> Self {
        let html: String = html.into();
        Self::serve_router(Router::new().route("/", get(|| async { Html(html) }))).await
    }

    /// Serves these routes.
    pub async fn serve_router(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base_url, _served: AbortOnDropHandle::new(served) }
    }

    /// Serves a list with the one conversation `c1` of Mia, whose messages are these. Below them stand the
    /// scripts: what is wrong with the page's own messages does not reach the list.
    pub async fn conversation(messages: &str) -> Self {
        Self::serve(format!(
            r#"<!doctype html><meta charset="utf-8"><title>A page</title>
            <ul id="list"><li data-id="c1"><b>Mia</b></li></ul>
            <div id="thread" data-id="c1" style="width: 600px; height: 300px; overflow: auto">
            <p class="start">The beginning</p>{messages}</div>"#
        ))
        .await
    }
}

/// A browser of the test's own.
pub struct Window {
    /// The page.
    pub page: Box<dyn SitePage>,
    folder: TempDir,
    leave: SemaphorePermit<'static>,
}

impl Window {
    /// Opens the first page of a site as its pack says.
    pub async fn open(pack: &str, base_url: &str) -> Self {
        let window = Self::blank(pack, base_url).await;
        window.page.open("/").await.unwrap();
        window
    }

    /// Opens a browser on a blank page.
    pub async fn blank(pack: &str, base_url: &str) -> Self {
        let leave = super::leave_for_a_browser().await;
        let folder = tempfile::tempdir().unwrap();
        let settings = ChromiumSettings { data_dir: folder.path().to_owned(), ..ChromiumSettings::default() };
        let account: AccountId = "demo/default".parse().unwrap();
        let request = SessionRequest {
            session: None,
            scratch: false,
            pack: Arc::new(parse_pack(account.site().clone(), "demo.toml", pack).unwrap()),
            account,
            base_url: base_url.parse().unwrap(),
        };
        let page = Chromium::new(settings, Arc::new(Counters::default())).open(request).await.unwrap();
        Self { page, folder, leave }
    }

    /// Ends the browser.
    pub async fn close(self) {
        self.page.close().await;
        drop((self.folder, self.leave));
    }
}
