//! Getting in and out: the page is opened with the session that was kept, the login form filled in where it
//! stands before the list all the same, and the session kept for the next time.
//!
//! What is kept is believed only after it was tried: once after each login it is read back from the disk and
//! opened beside the account's page. No fault of keeping it ever stops the account.

use std::time::Duration;

use jiff::SignedDuration;

use super::Collector;
use crate::collect::error::CollectError;
use crate::collect::login::{self, Credentials};
use crate::domain::AccountState;
use crate::fault::{AnyFault, Code};
use crate::lifecycle::{CrashPoint, browser_kill_point, crash_point};
use crate::ports::SessionState;
use crate::ports::page::{SessionRequest, SitePage, Until};
use crate::telemetry::occurrences::{LoginAttempted, SessionNotSaved, SessionUnreadable};
use crate::telemetry::{Occurrence, Progress};

impl Collector {
    pub(in crate::collect) async fn open(&self) -> Result<Box<dyn SitePage>, AnyFault> {
        let account = &self.account;
        self.spool.refuse_full()?;
        self.progress.tell(Progress::Started { account: account.id.clone() });
        self.tell(AccountState::Starting, None, "The browser is being started.", SignedDuration::from_mins(5)).await;
        self.open_quietly().await
    }

    /// As [`Collector::open`], told to nobody.
    pub(super) async fn open_quietly(&self) -> Result<Box<dyn SitePage>, AnyFault> {
        let account = &self.account;
        if !account.pack.pack.site.verified && !account.terms_acknowledged {
            return Err(CollectError::TermsNotAcknowledged { site: account.id.site().to_string() }.into());
        }
        let session = match self.session.load().await {
            Ok(session) => session,
            Err(error) => {
                SessionUnreadable { account: &account.id, fault: &error.into() }.emit(&self.counters);
                None
            }
        };
        self.browser.open(self.request(session, false)).await
    }

    fn request(&self, session: Option<SessionState>, scratch: bool) -> SessionRequest {
        let account = &self.account;
        SessionRequest {
            account: account.id.clone(),
            pack: account.pack.clone(),
            base_url: account.base_url.clone(),
            session,
            scratch,
        }
    }

    /// Closes the page; what has changed of the session since the last pass is kept.
    pub(in crate::collect) async fn leave(&self, page: Box<dyn SitePage>) {
        self.keep_session(page.as_ref()).await;
        page.close().await;
    }

    /// Logs in if the page shows the login form where the list should be.
    pub(in crate::collect) async fn ensure_login(&self, page: &dyn SitePage) -> Result<(), AnyFault> {
        let pack = &self.account.pack.pack;
        page.open(&pack.conversations.address).await?;
        let glance = page.wait(Until::List, pack.pages.timeout).await?;
        if glance.login {
            self.log_in_anew(page).await?;
        } else if glance.wants_a_human() {
            login::outcome(&glance, self.account.id.site().as_str(), Duration::ZERO)?;
        }
        self.session.is_in();
        self.progress.tell(Progress::LoggedIn { account: self.account.id.clone() });
        Ok(())
    }

    /// Logs in where the site has ended the session, of which nothing is kept any longer.
    pub(super) async fn log_in_anew(&self, page: &dyn SitePage) -> Result<(), AnyFault> {
        self.forget_session().await;
        match self.log_in(page).await {
            // The form is gone and the page has not come: the login is worth keeping, if it is one.
            Err(fault) if fault.code() == Code::PageNotRendered => {
                self.session.is_in();
                self.keep_session(page).await;
                Err(fault)
            }
            outcome => {
                outcome?;
                self.keep_new_session(page).await;
                Ok(())
            }
        }
    }

    /// Keeps what a login has just given, and tries it.
    pub(super) async fn keep_new_session(&self, page: &dyn SitePage) {
        self.session.is_in();
        self.keep_session(page).await;
        self.prove_session().await;
    }

    /// The site has ended what is kept.
    pub(super) async fn forget_session(&self) {
        if let Err(error) = self.session.forget().await {
            // It stays on the disk and costs one look at the login form.
            SessionNotSaved { account: &self.account.id, reason: &error.to_string() }.emit(&self.counters);
        }
    }

    async fn log_in(&self, page: &dyn SitePage) -> Result<(), AnyFault> {
        let account = &self.account;
        self.tell(AccountState::LoggingIn, None, "The login form is being filled in.", SignedDuration::from_mins(5))
            .await;
        login::spend(&self.spool, &account.id, self.settings.login_budget, self.clock.now()).await?;
        LoginAttempted { account: &account.id }.emit(&self.counters);
        let credentials = Credentials { username: &account.username, password: &account.password };
        login::log_in(page, &account.pack.pack, account.id.site().as_str(), credentials).await?;
        crash_point(CrashPoint::LoginDone);
        if browser_kill_point(CrashPoint::LoginDone) {
            page.kill();
        }
        Ok(())
    }

    /// Keeps the session as it is now, if there is one and it has changed.
    pub(super) async fn keep_session(&self, page: &dyn SitePage) {
        if !self.session.is_worth_keeping() {
            return;
        }
        // A page that is gone has told all it could; what was kept before still is.
        let Ok(session) = page.session().await else { return };
        if let Err(error) = self.session.save(session).await {
            self.session.proved(false);
            SessionNotSaved { account: &self.account.id, reason: &AnyFault::from(error).chain() }.emit(&self.counters);
        }
    }

    /// Tries what the disk holds after a login: whether the site takes it for logged in.
    async fn prove_session(&self) {
        let account = &self.account.id;
        let reason = match self.session.load().await {
            Ok(Some(session)) => match self.is_taken(session).await {
                Ok(true) => {
                    self.session.proved(true);
                    self.forget_old_profile().await;
                    return;
                }
                Ok(false) => "the site showed the login form to it".to_owned(),
                // Nothing was shown by this; the next login tries again.
                Err(fault) => {
                    tracing::debug!(account.id = %account, error.code = %fault.code(), "the kept session could not be tried");
                    return;
                }
            },
            // What kept it from being written was told then.
            Ok(None) => return,
            Err(error) => AnyFault::from(error).chain(),
        };
        self.session.proved(false);
        SessionNotSaved { account, reason: &reason }.emit(&self.counters);
    }

    async fn is_taken(&self, session: SessionState) -> Result<bool, AnyFault> {
        let pack = &self.account.pack.pack;
        let page = self.browser.open(self.request(Some(session), true)).await?;
        let seen = match page.open(&pack.conversations.address).await {
            Ok(()) => page.wait(Until::List, pack.pages.timeout).await,
            Err(fault) => Err(fault),
        };
        page.close().await;
        let seen = seen?;
        match seen.login {
            true => Ok(false),
            false if seen.list || seen.list_empty || seen.logged_in => Ok(true),
            // A blank page shows neither the one nor the other.
            false => {
                let (what, waited) = ("the list with the kept session", pack.pages.timeout);
                Err(CollectError::NotRendered { what, waited }.into())
            }
        }
    }

    /// The browser profile in which versions before the vault kept the login.
    async fn forget_old_profile(&self) {
        // It is tried again after the next login.
        let _ = tokio::fs::remove_dir_all(&self.account.old_profile).await;
    }
}
