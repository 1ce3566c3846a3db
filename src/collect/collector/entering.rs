//! Getting in: the browser is opened, and the login form filled in where it stands before the list.

use std::time::Duration;

use jiff::SignedDuration;

use super::Collector;
use crate::collect::error::CollectError;
use crate::collect::login::{self, Credentials};
use crate::domain::AccountState;
use crate::fault::AnyFault;
use crate::lifecycle::{CrashPoint, browser_kill_point, crash_point};
use crate::ports::page::{SessionRequest, SitePage, Until};
use crate::telemetry::occurrences::LoginAttempted;
use crate::telemetry::{Occurrence, Progress};

impl Collector {
    pub(in crate::collect) async fn open(&self) -> Result<Box<dyn SitePage>, AnyFault> {
        let account = &self.account;
        if !account.pack.pack.site.verified && !account.terms_acknowledged {
            return Err(CollectError::TermsNotAcknowledged { site: account.id.site().to_string() }.into());
        }
        self.progress.tell(Progress::Started { account: account.id.clone() });
        self.tell(AccountState::Starting, None, "The browser is being started.", SignedDuration::from_mins(5)).await;
        self.browser
            .open(SessionRequest {
                account: account.id.clone(),
                pack: account.pack.clone(),
                base_url: account.base_url.clone(),
                session: None,
                scratch: false,
            })
            .await
    }

    /// Logs in if the page shows the login form where the list should be.
    pub(in crate::collect) async fn ensure_login(&self, page: &dyn SitePage) -> Result<(), AnyFault> {
        let pack = &self.account.pack.pack;
        page.open(&pack.conversations.address).await?;
        let glance = page.wait(Until::List, pack.pages.timeout).await?;
        if glance.login {
            self.log_in(page).await?;
        } else if glance.challenge || glance.locked {
            login::outcome(&glance, self.account.id.site().as_str(), Duration::ZERO)?;
        }
        self.progress.tell(Progress::LoggedIn { account: self.account.id.clone() });
        Ok(())
    }

    pub(super) async fn log_in(&self, page: &dyn SitePage) -> Result<(), AnyFault> {
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
}
