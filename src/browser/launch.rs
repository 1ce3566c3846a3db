//! Starting a browser for an account: process, connection, sandbox, containment, page.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chromiumoxide::browser::Browser as DevTools;
use chromiumoxide::cdp::browser_protocol::browser::{PermissionDescriptor, PermissionSetting, SetPermissionParams};
use chromiumoxide::cdp::browser_protocol::emulation::{SetLocaleOverrideParams, SetTimezoneOverrideParams};
use chromiumoxide::cdp::browser_protocol::fetch::{
    ContinueRequestParams, EnableParams as FetchEnable, EventRequestPaused, FailRequestParams,
};
use chromiumoxide::cdp::browser_protocol::inspector::{EnableParams as InspectorEnable, EventTargetCrashed};
use chromiumoxide::cdp::browser_protocol::network::ErrorReason;
use chromiumoxide::cdp::browser_protocol::target::SetAutoAttachParams;
use chromiumoxide::handler::HandlerConfig;
use chromiumoxide::{Handler, Page};
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::containment::AllowedHosts;
use super::error::{BrowserError, REQUEST_TIMEOUT};
use super::page::ChromiumPage;
use super::process::{ChromiumProcess, find_executable};
use super::profile;
use super::tab::{Life, Tab};
use crate::fault::AnyFault;
use crate::ports::page::{Browser, SessionRequest, SitePage};
use crate::telemetry::occurrences::{BrowserEnded, BrowserStarted, SandboxOff};
use crate::telemetry::{Counters, Occurrence};

/// How Chromium is started.
#[derive(Debug, Clone, Default)]
pub struct ChromiumSettings {
    /// The executable; `None`: the usual names on the path.
    pub executable: Option<PathBuf>,
    /// Show a window.
    pub headful: bool,
    /// Give the sandbox up. Only ever by the owner's explicit word.
    pub no_sandbox: bool,
    /// The data directory that the profiles belong to.
    pub data_dir: PathBuf,
}

/// Starts one Chromium per account.
#[derive(Debug, Clone)]
pub struct Chromium {
    settings: ChromiumSettings,
    counters: Arc<Counters>,
}

impl Chromium {
    /// With these settings; nothing is started yet.
    pub const fn new(settings: ChromiumSettings, counters: Arc<Counters>) -> Self {
        Self { settings, counters }
    }

    /// Our own list of arguments instead of the DevTools crate's, which switches protections off.
    fn arguments(&self, locale: &str, hosts: &AllowedHosts) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "--remote-debugging-port=0",
            "--no-startup-window",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-default-apps",
            "--disable-sync",
            "--disable-quic",
            // WebRTC sends datagrams past the resolver; the first name is that of older versions.
            "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
            "--webrtc-ip-handling-policy=disable_non_proxied_udp",
            "--disable-gpu",
            "--disable-breakpad",
            "--disable-crash-reporter",
            "--password-store=basic",
            "--mute-audio",
            "--window-size=1280,900",
            "--disable-features=Translate,MediaRouter,OptimizationHints,DialMediaRouteProvider",
            // A page that is not in front must go on drawing what it loads.
            "--disable-background-timer-throttling",
            "--disable-renderer-backgrounding",
            "--disable-backgrounding-occluded-windows",
        ]
        .map(str::to_owned)
        .to_vec();
        if !self.settings.headful {
            arguments.push("--headless=new".to_owned());
        }
        if self.settings.no_sandbox {
            arguments.push("--no-sandbox".to_owned());
        }
        arguments.push(format!("--lang={locale}"));
        arguments.push(format!("--accept-lang={locale}"));
        arguments.push(format!("--host-resolver-rules={}", hosts.resolver_rules()));
        arguments
    }

    /// Starts a browser and opens a blank page in it. Without `request.base_url`'s site, that is with
    /// `offline`, nothing at all is reachable.
    async fn start(&self, request: &SessionRequest, offline: bool) -> Result<ChromiumPage, BrowserError> {
        let executable = find_executable(self.settings.executable.as_deref())?;
        let site = &request.pack.pack.site;
        let hosts =
            if offline { AllowedHosts::nothing() } else { AllowedHosts::new(&request.base_url, &site.allowed_hosts) };
        profile::prepare(&request.profile, &self.settings.data_dir)
            .map_err(|source| BrowserError::Profile { path: request.profile.clone(), source })?;
        let arguments = self.arguments(&site.locale, &hosts);
        if self.settings.no_sandbox {
            SandboxOff.emit(&self.counters);
        }
        let process = ChromiumProcess::start(&executable, &request.profile, &arguments).await?;
        let pid = process.pid();
        BrowserStarted { pid }.emit(&self.counters);
        match self.connect(&process, request, hosts).await {
            Ok(Connected { devtools, tab, tasks }) => {
                Ok(ChromiumPage::new(tab, devtools, process, tasks, request, self.counters.clone()))
            }
            Err(error) => {
                process.kill();
                process.end().await;
                BrowserEnded { pid, asked: false }.emit(&self.counters);
                Err(error)
            }
        }
    }

    async fn connect(
        &self,
        process: &ChromiumProcess,
        request: &SessionRequest,
        hosts: AllowedHosts,
    ) -> Result<Connected, BrowserError> {
        const STEP: &str = "opening the browser";
        let config = HandlerConfig {
            ignore_https_errors: false,
            viewport: None,
            // Every command of ours has a deadline of its own; the crate's must only not be the shorter one,
            // or a page could not be waited for as long as its pack says.
            request_timeout: COMMAND_TIMEOUT,
            ..HandlerConfig::default()
        };
        let refused = |error| BrowserError::from_cdp(STEP, error);
        let (devtools, handler) = DevTools::connect_with_config(&process.websocket, config).await.map_err(refused)?;
        let (alive, life) = watch::channel(Life::Alive);
        let mut tasks = vec![owned(drive(handler, alive.clone()))];
        let opening = timeout(REQUEST_TIMEOUT, devtools.new_page("about:blank"));
        let page = opening
            .await
            .map_err(|_| BrowserError::Timeout { step: STEP, after: REQUEST_TIMEOUT })?
            .map_err(refused)?;
        let crashes = page.event_listener::<EventTargetCrashed>().await.map_err(refused)?;
        tasks.push(owned(watch_crashes(crashes, alive)));
        let requests = page.event_listener::<EventRequestPaused>().await.map_err(refused)?;
        tasks.push(owned(guard_requests(page.clone(), requests, hosts)));

        let site = &request.pack.pack.site;
        let tab = Tab::new(page, life, super::page::install_script(&request.pack.pack));
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
        if !self.settings.no_sandbox {
            process.check_sandbox()?;
        }
        // Sites ask for notifications with an overlay over the chat; a denied permission asks nothing.
        let notifications = PermissionDescriptor::new("notifications");
        let denied = devtools.execute(SetPermissionParams::new(notifications, PermissionSetting::Denied));
        timeout(REQUEST_TIMEOUT, denied)
            .await
            .map_err(|_| BrowserError::Timeout { step: STEP, after: REQUEST_TIMEOUT })?
            .map_err(refused)?;
        Ok(Connected { devtools, tab, tasks })
    }
}

struct Connected {
    devtools: DevTools,
    tab: Tab,
    tasks: Vec<AbortOnDropHandle<()>>,
}

/// A task that lives exactly as long as the page that owns it.
fn owned(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// Drives the DevTools connection; its end is the end of the browser. Messages that the crate can't
/// read are passed over: they are events of a newer Chromium.
async fn drive(mut handler: Handler, alive: watch::Sender<Life>) {
    while let Some(message) = handler.next().await {
        if message.is_err_and(|error| is_fatal(&error)) {
            break;
        }
    }
    alive.send_replace(Life::BrowserGone);
}

const fn is_fatal(error: &chromiumoxide::error::CdpError) -> bool {
    use chromiumoxide::error::CdpError;
    matches!(error, CdpError::Ws(_) | CdpError::Io(_) | CdpError::NoResponse)
}

async fn watch_crashes(mut crashes: impl StreamExt + Unpin, alive: watch::Sender<Life>) {
    if crashes.next().await.is_some() {
        alive.send_if_modified(|life| {
            let was_alive = *life == Life::Alive;
            if was_alive {
                *life = Life::Crashed;
            }
            was_alive
        });
    }
}

/// Lets requests to the pack's hosts pass and fails all others.
async fn guard_requests(
    page: Page,
    requests: impl futures::Stream<Item = Arc<EventRequestPaused>> + Unpin,
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

/// Longer than any deadline of ours.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// How long the whole start may take before it is given up.
const OPEN_TIMEOUT: Duration = Duration::from_secs(120);

#[async_trait]
impl Browser for Chromium {
    async fn open(&self, request: SessionRequest) -> Result<Box<dyn SitePage>, AnyFault> {
        Ok(Box::new(self.open_page(request).await?))
    }
}

impl Chromium {
    /// As [`Browser::open`], for benchmarks, which measure the agent against a script of their own.
    ///
    /// # Errors
    /// As [`Browser::open`].
    #[doc(hidden)]
    pub async fn open_page(&self, request: SessionRequest) -> Result<ChromiumPage, AnyFault> {
        match timeout(OPEN_TIMEOUT, self.start(&request, false)).await {
            Ok(page) => Ok(page?),
            Err(_) => Err(BrowserError::Timeout { step: "opening the browser", after: OPEN_TIMEOUT }.into()),
        }
    }

    /// A browser that can reach nothing, for saved pages.
    ///
    /// # Errors
    /// As [`Browser::open`].
    pub async fn open_offline(&self, request: SessionRequest) -> Result<Box<dyn SitePage>, AnyFault> {
        Ok(Box::new(self.start(&request, true).await?))
    }
}
