//! Logging in: the pack's typed steps, then one of its declared outcomes. Nothing is guessed and
//! nothing is tried twice.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::error::CollectError;
use super::spool::Spool;
use crate::config::LoginBudget;
use crate::domain::AccountId;
use crate::lifecycle::{CrashPoint, browser_kill_point, crash_point};
use crate::ports::page::{Glance, SitePage, Until};
use crate::selectors::Pack;
use crate::selectors::pack::{Credential, LoginStep};

/// What is needed to log in.
pub struct Credentials<'a> {
    /// The user name or e-mail address.
    pub username: &'a SecretString,
    /// The password.
    pub password: &'a SecretString,
}

/// Spends one login of the budget.
///
/// # Errors
/// [`CollectError::LoginBudget`] if none is left.
pub async fn spend(
    spool: &Spool,
    account: &AccountId,
    budget: LoginBudget,
    now: Timestamp,
) -> Result<(), CollectError> {
    if spool.spend_login(account, budget.attempts, budget.within, now).await? {
        return Ok(());
    }
    let minutes = budget.within.as_secs() / 60;
    Err(CollectError::LoginBudget { site: account.site().to_string(), attempts: budget.attempts, minutes })
}

/// Goes through the steps and waits for an outcome.
///
/// # Errors
/// [`CollectError`] names the outcome: bad credentials, challenge, locked, or none in time.
pub async fn log_in(
    page: &dyn SitePage,
    pack: &Pack,
    site: &str,
    credentials: Credentials<'_>,
) -> Result<(), CollectError> {
    for step in &pack.login.steps {
        match step {
            LoginStep::Open(address) => page.open(address).await?,
            LoginStep::Fill(fill) => {
                let value = match fill.with {
                    Credential::Username => credentials.username,
                    Credential::Password => credentials.password,
                };
                page.wait_for(&fill.into, pack.pages.timeout).await?;
                page.fill(&fill.into, value.expose_secret()).await?;
            }
            LoginStep::Click(query) => {
                page.wait_for(query, pack.pages.timeout).await?;
                page.click(query).await?;
            }
            LoginStep::WaitFor(query) => page.wait_for(query, pack.pages.timeout).await?,
        }
    }
    crash_point(CrashPoint::LoginSubmitted);
    if browser_kill_point(CrashPoint::LoginSubmitted) {
        page.kill();
    }
    let glance = page.wait(Until::Outcome, pack.login.timeout).await?;
    outcome(&glance, site, pack.login.timeout)
}

/// Hands in the code that a person gave, once, and waits for what comes of it.
///
/// # Errors
/// As [`log_in`]; [`CollectError::CodeRefused`] if the site wants a code still.
pub async fn answer(page: &dyn SitePage, pack: &Pack, site: &str, code: &SecretString) -> Result<(), CollectError> {
    let Some(form) = &pack.login.answer else { return Err(CollectError::OneTimeCode { site: site.to_owned() }) };
    page.fill(&form.fill, code.expose_secret()).await?;
    page.click(&form.click).await?;
    let glance = page.wait(Until::Answered, pack.login.timeout).await?;
    match outcome(&glance, site, pack.login.timeout) {
        Err(CollectError::OneTimeCode { site }) => Err(CollectError::CodeRefused { site }),
        other => other,
    }
}

/// What an outcome means. A refusal counts more than a proof of being in: some sites draw the shell
/// around both.
///
/// # Errors
/// Every outcome but being logged in.
pub fn outcome(glance: &Glance, site: &str, waited: Duration) -> Result<(), CollectError> {
    let site = site.to_owned();
    if glance.locked {
        Err(CollectError::Locked { site })
    } else if glance.password_change {
        Err(CollectError::PasswordChange { site })
    } else if glance.captcha {
        Err(CollectError::Captcha { site })
    } else if glance.one_time_code {
        Err(CollectError::OneTimeCode { site })
    } else if glance.challenge {
        Err(CollectError::Challenge { site })
    } else if glance.bad_credentials {
        Err(CollectError::BadCredentials { site })
    } else if glance.logged_in && !glance.login {
        Ok(())
    } else if glance.loading && !glance.login {
        // The form is gone and the page has not come: the site's trouble, not the login's.
        Err(CollectError::NotRendered { what: "the page after the login", waited })
    } else {
        Err(CollectError::LoginUnclear { site, seconds: waited.as_secs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Code, Fault};

    #[test]
    fn each_outcome_has_its_own_name() {
        let code = |change: fn(&mut Glance)| {
            let mut glance = Glance::default();
            change(&mut glance);
            outcome(&glance, "demo", Duration::from_secs(20)).map_err(|error| error.code())
        };
        assert_eq!(code(|g| g.logged_in = true), Ok(()));
        assert_eq!(
            code(|g| {
                g.logged_in = true;
                g.login = true;
            }),
            Err(Code::LoginUnclear)
        );
        assert_eq!(code(|g| g.bad_credentials = true), Err(Code::BadCredentials));
        assert_eq!(
            code(|g| {
                g.logged_in = true;
                g.challenge = true;
            }),
            Err(Code::Challenge)
        );
        assert_eq!(
            code(|g| {
                g.bad_credentials = true;
                g.locked = true;
            }),
            Err(Code::Locked)
        );
        // What is named more closely counts more.
        type Mark = fn(&mut Glance) -> &mut bool;
        let marks: [(Code, Mark); 4] = [
            (Code::OneTimeCode, |g| &mut g.one_time_code),
            (Code::Captcha, |g| &mut g.captcha),
            (Code::PasswordChange, |g| &mut g.password_change),
            (Code::Locked, |g| &mut g.locked),
        ];
        let mut glance = Glance { challenge: true, logged_in: true, ..Glance::default() };
        for (expected, mark) in marks {
            *mark(&mut glance) = true;
            let told = outcome(&glance, "demo", Duration::ZERO).map_err(|error| error.code());
            assert_eq!(told, Err(expected));
        }
        assert_eq!(code(|_| ()), Err(Code::LoginUnclear));
        assert_eq!(code(|g| g.loading = true), Err(Code::PageNotRendered));
    }
}
