//! Opening a page for an account: a seat in a browser, and a context of its own in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::containment::AllowedHosts;
use super::context::Context;
use super::error::BrowserError;
use super::limits::Limits;
use super::page::ChromiumPage;
use super::pool::{Environment, Pool};
use super::process::{ChromiumProcess, end_left_over, find_executable};
use super::profile::{self, Profile};
use super::running::Running;
use super::{proc, session};
use crate::fault::AnyFault;
use crate::ports::page::{Browser, SessionRequest, SitePage};
use crate::telemetry::occurrences::{SandboxOff, SessionUnreadable};
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
    /// When a browser has served enough.
    pub limits: Limits,
}

/// Opens pages in the browsers of a pool.
#[derive(Debug, Clone)]
pub struct Chromium {
    settings: ChromiumSettings,
    counters: Arc<Counters>,
    pool: Arc<Pool>,
    /// What an earlier process left was swept.
    swept: Arc<OnceCell<()>>,
}

impl Chromium {
    /// With these settings; nothing is started yet.
    pub fn new(settings: ChromiumSettings, counters: Arc<Counters>) -> Self {
        Self { settings, counters, pool: Arc::default(), swept: Arc::default() }
    }

    /// Our own list of arguments instead of the DevTools crate's, which switches protections off.
    fn arguments(&self, environment: &Environment) -> Vec<String> {
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
        arguments.push(format!("--lang={}", environment.locale));
        arguments.push(format!("--accept-lang={}", environment.locale));
        arguments.push(format!("--host-resolver-rules={}", environment.rules));
        arguments
    }

    /// Ends the browsers and removes the profiles that an earlier process, killed hard, left behind.
    async fn sweep(&self) {
        let folder = profile::profiles_of(&self.settings.data_dir);
        end_left_over(|| proc::on_profiles_in(&folder)).await;
        profile::sweep(&self.settings.data_dir);
    }

    /// Starts a browser for an environment.
    async fn start(&self, environment: &Environment) -> Result<Arc<Running>, BrowserError> {
        let executable = find_executable(self.settings.executable.as_deref())?;
        self.swept.get_or_init(|| self.sweep()).await;
        let path = profile::profiles_of(&self.settings.data_dir);
        let profile =
            Profile::create(&self.settings.data_dir).map_err(|source| BrowserError::Profile { path, source })?;
        let arguments = self.arguments(environment);
        if self.settings.no_sandbox {
            SandboxOff.emit(&self.counters);
        }
        let process = ChromiumProcess::start(&executable, profile.path(), &arguments).await?;
        Running::start(process, profile, self.settings.limits, self.counters.clone()).await
    }

    /// Opens a blank page. Without `request.base_url`'s site, that is with `offline`, nothing at all is
    /// reachable.
    async fn open_blank(&self, request: &SessionRequest, offline: bool) -> Result<ChromiumPage, BrowserError> {
        let site = &request.pack.pack.site;
        let hosts =
            if offline { AllowedHosts::nothing() } else { AllowedHosts::new(&request.base_url, &site.allowed_hosts) };
        let environment = Environment { rules: hosts.resolver_rules(), locale: site.locale.clone() };
        let start = async || self.start(&environment).await;
        let seat = self.pool.join(&environment, self.settings.limits.accounts, request.scratch, start).await?;
        let context = Context::create(seat).await?;
        let stored = request.session.as_ref().and_then(|state| match session::Stored::parse(state) {
            Ok(stored) => Some(stored),
            Err(error) => {
                SessionUnreadable { account: &request.account, fault: &error.into() }.emit(&self.counters);
                None
            }
        });
        match context.open_page(request, hosts, !self.settings.no_sandbox, stored.as_ref()).await {
            Ok((tab, tasks, restoring)) => {
                let stored = (stored.unwrap_or_default(), restoring);
                Ok(ChromiumPage::new(tab, context, tasks, request, stored, self.counters.clone()))
            }
            Err(error) => {
                context.close().await;
                Err(error)
            }
        }
    }
}

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
        match timeout(OPEN_TIMEOUT, self.open_blank(&request, false)).await {
            Ok(page) => Ok(page?),
            Err(_) => Err(BrowserError::Timeout { step: "opening the browser", after: OPEN_TIMEOUT }.into()),
        }
    }

    /// A browser that can reach nothing, for saved pages.
    ///
    /// # Errors
    /// As [`Browser::open`].
    pub async fn open_offline(&self, request: SessionRequest) -> Result<Box<dyn SitePage>, AnyFault> {
        Ok(Box::new(self.open_blank(&request, true).await?))
    }
}
