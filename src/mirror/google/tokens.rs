//! Tokens for the service account, and what it means when there is none.
//!
//! The library keeps a token until it runs out, also one without a value: an error of the token endpoint whose JSON
//! has no `error` text counts as a token there, and every call after it would be a 401 for ever. So a token without a
//! value is asked for once more, past what is kept; and so is one that the API refuses ([`Tokens::renew`]).

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use google_sheets4::api::Scope;
use google_sheets4::common::GetToken;
use google_sheets4::hyper_rustls::HttpsConnector;
use google_sheets4::hyper_util::client::legacy::connect::HttpConnector;
use secrecy::ExposeSecret;
use yup_oauth2::authenticator::Authenticator;
use yup_oauth2::client::DefaultHyperClientBuilder;
use yup_oauth2::error::{AuthErrorCode, Error as OauthError};
use yup_oauth2::{ServiceAccountAuthenticator, ServiceAccountKey};

use super::error::{KeyTrouble, SheetError, Step};
use crate::config::ServiceAccount;

/// How long the token endpoint may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The least that the work needs. Without it the client would ask for the whole Drive.
const SCOPES: [&str; 1] = ["https://www.googleapis.com/auth/spreadsheets"];

/// Gives out tokens.
#[derive(Clone)]
pub(super) struct Tokens {
    authenticator: Authenticator<HttpsConnector<HttpConnector>>,
    account: ServiceAccount,
}

/// Why there is no token, carried through the client, which takes any error.
#[derive(Debug, thiserror::Error)]
#[error("no token")]
pub(super) struct NoToken(pub SheetError);

impl Tokens {
    /// For this account. Nothing is sent yet.
    ///
    /// # Errors
    /// [`SheetError::Key`] if the key can't be read, or nothing vouches for Google.
    pub async fn open(account: &ServiceAccount) -> Result<Self, SheetError> {
        let key = ServiceAccountKey {
            key_type: Some("service_account".to_owned()),
            project_id: None,
            private_key_id: account.key_id.clone(),
            private_key: account.private_key.expose_secret().to_owned(),
            client_email: account.email.clone(),
            client_id: None,
            auth_uri: None,
            token_uri: account.token_uri.clone(),
            auth_provider_x509_cert_url: None,
            client_x509_cert_url: None,
        };
        let client = DefaultHyperClientBuilder::default().with_timeout(PATIENCE);
        let built = ServiceAccountAuthenticator::with_client(key, client).build().await;
        let authenticator = built.map_err(|_| trouble(account, KeyTrouble::Unreadable))?;
        Ok(Self { authenticator, account: account.clone() })
    }

    /// Forgets the token that is kept and asks for another one.
    pub async fn renew(&self) -> Result<String, SheetError> {
        let asked = tokio::time::timeout(PATIENCE, self.authenticator.force_refreshed_token(&SCOPES)).await;
        let token = asked.map_err(|_| away("timeout"))?.map_err(|error| self.judge(&error))?;
        token.token().map(str::to_owned).ok_or_else(|| away("no token in the answer"))
    }

    async fn token(&self) -> Result<String, SheetError> {
        let asked = tokio::time::timeout(PATIENCE, self.authenticator.token(&SCOPES)).await;
        let token = asked.map_err(|_| away("timeout"))?.map_err(|error| self.judge(&error))?;
        match token.token() {
            Some(token) => Ok(token.to_owned()),
            None => self.renew().await,
        }
    }

    fn judge(&self, error: &OauthError) -> SheetError {
        let OauthError::AuthError(refusal) = error else {
            return match error {
                OauthError::JSONError(_) => away("an answer that is no JSON"),
                OauthError::MissingAccessToken => away("no token in the answer"),
                OauthError::HttpError(_) | OauthError::HttpClientError(_) => away("no connection"),
                _ => trouble(&self.account, KeyTrouble::Unreadable),
            };
        };
        // Only compared, never repeated.
        let told = refusal.error_description.as_deref().unwrap_or_default().to_ascii_lowercase();
        match &refusal.error {
            AuthErrorCode::InvalidGrant if speaks_of_time(&told) => SheetError::Clock { seconds: None },
            AuthErrorCode::InvalidGrant if told.contains("signature") => trouble(&self.account, KeyTrouble::Signature),
            AuthErrorCode::Other(code)
                if matches!(
                    code.as_str(),
                    "internal_failure" | "server_error" | "temporarily_unavailable" | "backend_error"
                ) =>
            {
                away("an error of the token endpoint")
            }
            AuthErrorCode::Other(code) if code == "rate_limit_exceeded" => SheetError::RateLimited { after: None },
            _ => trouble(&self.account, KeyTrouble::Account),
        }
    }
}

/// Google's words about `iat` and `exp`: "Token must be a short-lived token (60 minutes) and in a reasonable timeframe.
/// Check your iat and exp values".
fn speaks_of_time(told: &str) -> bool {
    ["timeframe", "short-lived", "iat", "token used too early", "expired"].iter().any(|word| told.contains(word))
}

const fn away(what: &'static str) -> SheetError {
    SheetError::Unavailable { step: Step::Token, what, after: None }
}

/// The account's trouble as an error.
pub(super) fn trouble(account: &ServiceAccount, trouble: KeyTrouble) -> SheetError {
    SheetError::Key { email: account.email.clone(), path: account.path.display().to_string(), trouble }
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, Box<dyn StdError + Send + Sync>>> + Send + 'a>>;

impl GetToken for Tokens {
    /// Whatever scopes the client lists: there is one that we use, and a token for more would be one for more.
    fn get_token<'a>(&'a self, scopes: &'a [&str]) -> Asked<'a> {
        debug_assert_eq!(scopes, [Scope::Spreadsheet.as_ref()]);
        Box::pin(async move {
            let token =
                self.token().await.map_err(|error| Box::new(NoToken(error)) as Box<dyn StdError + Send + Sync>)?;
            Ok(Some(token))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_the_least_that_the_work_needs() {
        assert_eq!(SCOPES, [Scope::Spreadsheet.as_ref()]);
    }

    #[test]
    fn google_words_about_time_are_known() {
        let words = "invalid jwt: token must be a short-lived token (60 minutes) and in a reasonable timeframe. check your iat and exp values in the jwt claim.";
        assert!(speaks_of_time(words));
        assert!(!speaks_of_time("invalid jwt signature."));
        assert!(!speaks_of_time("invalid grant: account not found"));
    }
}
