//! An account's share of a browser: a context off the record, with cookies, storage and permissions that no
//! other account sees, and exactly one page in it.
//!
//! A context is given back for certain: by [`Context::close`], and where its owner is dropped before, by a
//! task that does the same. If it can't be given back, because a page in it hangs, its browser is given up.

use std::sync::Arc;
use std::time::Duration;

use chromiumoxide::Page;
use chromiumoxide::cdp::browser_protocol::browser::{
    BrowserContextId, PermissionDescriptor, PermissionSetting, SetDownloadBehaviorBehavior, SetDownloadBehaviorParams,
    SetPermissionParams,
};
use chromiumoxide::cdp::browser_protocol::emulation::{SetLocaleOverrideParams, SetTimezoneOverrideParams};
use chromiumoxide::cdp::browser_protocol::fetch::{
    ContinueRequestParams, EnableParams as FetchEnable, EventRequestPaused, FailRequestParams,
};
use chromiumoxide::cdp::browser_protocol::inspector::{EnableParams as InspectorEnable, EventTargetCrashed};
use chromiumoxide::cdp::browser_protocol::network::ErrorReason;
use chromiumoxide::cdp::browser_protocol::page::{
    AddScriptToEvaluateOnNewDocumentParams, EventJavascriptDialogOpening, HandleJavaScriptDialogParams,
    ScriptIdentifier,
};
use chromiumoxide::cdp::browser_protocol::target::{
    CloseTargetParams, CreateBrowserContextParams, CreateTargetParams, DisposeBrowserContextParams, EventTargetCreated,
    EventTargetDestroyed, SetAutoAttachParams, TargetId, TargetInfo,
};
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::containment::AllowedHosts;
use super::error::{BrowserError, REQUEST_TIMEOUT};
use super::pool::Seat;
use super::running::Running;
use super::session::Stored;
use super::tab::{Life, Tab};
use super::{page, proc, process};
use crate::ports::page::SessionRequest;

/// How long a page may keep its context from being given back.
const DISPOSE_TIMEOUT: Duration = Duration::from_secs(5);
const STEP: &str = "opening the page";

/// The tasks that serve a page; they end with it.
pub type Tasks = Vec<AbortOnDropHandle<()>>;

/// A context in a browser, and the seat that keeps the browser running.
#[derive(Debug)]
pub struct Context {
    id: BrowserContextId,
    /// `None` once it is being given back.
    seat: Option<Seat>,
    running: Arc<Running>,
}

impl Context {
    /// Makes an empty one. It ends with the connection too, so that none outlives us.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub async fn create(seat: Seat) -> Result<Self, BrowserError> {
        let create = CreateBrowserContextParams::builder().dispose_on_detach(true).build();
        let created = seat.running.execute("making a context", create, REQUEST_TIMEOUT).await?;
        Ok(Self { id: created.browser_context_id, running: seat.running.clone(), seat: Some(seat) })
    }

    /// Which context.
    pub const fn id(&self) -> &BrowserContextId {
        &self.id
    }

    /// The browser that it is in.
    pub const fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// Opens the one page, blank and guarded, with the session restored.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub async fn open_page(
        &self,
        request: &SessionRequest,
        hosts: AllowedHosts,
        is_sandboxed: bool,
        stored: Option<&Stored>,
    ) -> Result<(Tab, Tasks, Option<ScriptIdentifier>), BrowserError> {
        let running = &self.running;
        self.restrict().await?;
        if let Some(cookies) = stored.and_then(|stored| stored.cookies(&self.id)) {
            match running.execute(STEP, cookies, REQUEST_TIMEOUT).await {
                // What this Chromium does not take costs a login; it must not cost the account.
                Err(BrowserError::Protocol { .. }) => {
                    tracing::warn!(target: "chatferry::browser", { browser.pid = running.pid() }, "kept cookies were refused");
                }
                answer => {
                    answer?;
                }
            }
        }
        let devtools = running.devtools();
        let created = running.answer(STEP, devtools.event_listener::<EventTargetCreated>(), REQUEST_TIMEOUT).await?;
        let destroyed =
            running.answer(STEP, devtools.event_listener::<EventTargetDestroyed>(), REQUEST_TIMEOUT).await?;
        let create = CreateTargetParams::builder().url("about:blank").browser_context_id(self.id.clone()).build();
        let create = create.map_err(|reason| BrowserError::Protocol { step: STEP, reason })?;
        let page = running.answer(STEP, devtools.new_page(create), REQUEST_TIMEOUT).await?;

        let (alive, life) = watch::channel(Life::Alive);
        let crashes = running.answer(STEP, page.event_listener::<EventTargetCrashed>(), REQUEST_TIMEOUT).await?;
        let requests = running.answer(STEP, page.event_listener::<EventRequestPaused>(), REQUEST_TIMEOUT).await?;
        let dialogs =
            running.answer(STEP, page.event_listener::<EventJavascriptDialogOpening>(), REQUEST_TIMEOUT).await?;
        let own = page.target_id().clone();
        let tasks = [
            owned(watch_life(running.gone(), crashes, destroyed, own.clone(), alive.clone())),
            owned(close_windows(running.clone(), created, self.id.clone(), own)),
            owned(guard_requests(page.clone(), requests, hosts)),
            owned(dismiss_dialogs(page.clone(), dialogs)),
        ];

        let site = &request.pack.pack.site;
        let tab = Tab::new(page, alive, life, page::install_script(&request.pack.pack));
        let zone = SetTimezoneOverrideParams::new(&site.time_zone);
        let locale = SetLocaleOverrideParams::builder().locale(site.locale.replace('-', "_")).build();
        tab.execute(STEP, InspectorEnable::default(), REQUEST_TIMEOUT).await?;
        // The crate would hold every worker of the page until it is told to go on, and tells service workers
        // never: a page that waits for its own would wait for ever.
        let attach = SetAutoAttachParams::builder().auto_attach(false).wait_for_debugger_on_start(false).flatten(true);
        let attach = attach.build().map_err(|reason| BrowserError::Protocol { step: STEP, reason })?;
        tab.execute(STEP, attach, REQUEST_TIMEOUT).await?;
        tab.execute(STEP, FetchEnable::default(), REQUEST_TIMEOUT).await?;
        tab.execute(STEP, zone, REQUEST_TIMEOUT).await?;
        tab.execute(STEP, locale, REQUEST_TIMEOUT).await?;
        // Only now is a renderer sure to be there: it has answered.
        if is_sandboxed {
            process::check_sandbox(&proc::group_members(running.group()))?;
        }
        // In the page's own world, where its storage is; gone again after the first document.
        let restoring = match stored.and_then(Stored::script) {
            None => None,
            Some(script) => {
                let add = AddScriptToEvaluateOnNewDocumentParams::new(script);
                Some(tab.execute(STEP, add, REQUEST_TIMEOUT).await?.identifier)
            }
        };
        Ok((tab, tasks.into(), restoring))
    }

    /// Sites ask for notifications with an overlay over the chat; a denied permission asks nothing. And
    /// nothing of a site is ever written to this machine's disk.
    async fn restrict(&self) -> Result<(), BrowserError> {
        let mut denied =
            SetPermissionParams::new(PermissionDescriptor::new("notifications"), PermissionSetting::Denied);
        denied.browser_context_id = Some(self.id.clone());
        self.running.execute(STEP, denied, REQUEST_TIMEOUT).await?;
        let mut downloads = SetDownloadBehaviorParams::new(SetDownloadBehaviorBehavior::Deny);
        downloads.browser_context_id = Some(self.id.clone());
        self.running.execute(STEP, downloads, REQUEST_TIMEOUT).await?;
        Ok(())
    }

    /// Gives it back, with its page; if it was the last in its browser, waits until that is gone.
    pub async fn close(mut self) {
        if let Some(seat) = self.seat.take() {
            // A task of its own: whoever stops waiting must not leave the page open.
            let _ = tokio::spawn(give_back(self.id.clone(), seat)).await;
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // Without a runtime the program is at its end, and so is the browser.
        if let Some(seat) = self.seat.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(give_back(self.id.clone(), seat));
        }
    }
}

async fn give_back(id: BrowserContextId, seat: Seat) {
    let running = seat.running.clone();
    let given = running.execute("giving a context back", DisposeBrowserContextParams::new(id), DISPOSE_TIMEOUT).await;
    if matches!(given, Err(BrowserError::Timeout { .. })) {
        running.give_up();
    }
    drop(seat);
    running.ended_if_ending().await;
}

/// A task that lives exactly as long as the page that owns it.
fn owned(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// Tells a page what became of it: its renderer crashed, it was closed, or the whole browser is gone.
async fn watch_life(
    mut gone: watch::Receiver<bool>,
    mut crashes: impl Stream + Unpin,
    mut destroyed: impl Stream<Item = Arc<EventTargetDestroyed>> + Unpin,
    own: TargetId,
    alive: watch::Sender<Life>,
) {
    let is_destroyed = async {
        while let Some(event) = destroyed.next().await {
            if event.target_id == own {
                return;
            }
        }
        // The events end with the browser, which says so itself.
        std::future::pending().await
    };
    let crashed = async {
        if crashes.next().await.is_none() {
            std::future::pending::<()>().await;
        }
    };
    // Cancel-safe: whichever comes first decides, and a browser that is gone outdoes the others.
    tokio::select! {
        biased;
        _ = gone.wait_for(|gone| *gone) => {}
        () = crashed => {}
        () = is_destroyed => {}
    }
    if !*gone.borrow() {
        alive.send_if_modified(|life| std::mem::replace(life, Life::Crashed) == Life::Alive);
        let _ = gone.wait_for(|gone| *gone).await;
    }
    alive.send_replace(Life::BrowserGone);
}

/// Closes every further window of the context as it opens: it would stand outside the guard.
async fn close_windows(
    running: Arc<Running>,
    mut created: impl Stream<Item = Arc<EventTargetCreated>> + Unpin,
    context: BrowserContextId,
    own: TargetId,
) {
    let is_further = |info: &TargetInfo| {
        info.browser_context_id.as_ref() == Some(&context) && info.r#type == "page" && info.target_id != own
    };
    while let Some(event) = created.next().await {
        if is_further(&event.target_info) {
            tracing::debug!(target: "chatferry::browser", { browser.pid = running.pid() }, "a further window was closed");
            let close = CloseTargetParams::new(event.target_info.target_id.clone());
            // One that has closed itself meanwhile is no error.
            let _ = running.execute("closing a window", close, REQUEST_TIMEOUT).await;
        }
    }
}

/// A dialog holds the page until somebody answers it; leaving is allowed, everything else declined.
async fn dismiss_dialogs(page: Page, mut dialogs: impl Stream<Item = Arc<EventJavascriptDialogOpening>> + Unpin) {
    while let Some(dialog) = dialogs.next().await {
        let is_leaving = dialog.r#type.as_ref() == "beforeunload";
        let _ = page.execute(HandleJavaScriptDialogParams::new(is_leaving)).await;
    }
}

/// Lets requests to the pack's hosts pass and fails all others.
async fn guard_requests(
    page: Page,
    requests: impl Stream<Item = Arc<EventRequestPaused>> + Unpin,
    hosts: AllowedHosts,
) {
    let judge = async |request: Arc<EventRequestPaused>| {
        let id = request.request_id.clone();
        // A request that is gone by now needs no answer.
        if hosts.allows(&request.request.url) {
            let _ = page.execute(ContinueRequestParams::new(id)).await;
        } else {
            let _ = page.execute(FailRequestParams::new(id, ErrorReason::BlockedByClient)).await;
        }
    };
    // Side by side: one answer that does not come must not hold up the others.
    requests.for_each_concurrent(None, judge).await;
}
