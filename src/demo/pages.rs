//! The HTML pages and the static files of the sample site, all embedded: it works from any folder and loads nothing
//! from elsewhere.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serde::Deserialize;

use super::options::LoginMode;
use super::session::{CODE, PASSWORD, Sessions, USERNAME};
use super::state::State;

const LOGIN: &str = include_str!("assets/page/login.html");
const LOGIN_FORM: &str = include_str!("assets/page/login-form.html");
const CHALLENGE: &str = include_str!("assets/page/challenge.html");
const CODE_FORM: &str = include_str!("assets/page/code-form.html");
const QUESTION: &str = include_str!("assets/page/question.html");
const CAPTCHA: &str = include_str!("assets/page/captcha.html");
const NEW_PASSWORD: &str = include_str!("assets/page/new-password.html");
const APP: &str = include_str!("assets/page/app.html");

/// Served under `/static/`.
const FILES: [(&str, &str, &str); 10] = [
    ("base.css", "text/css; charset=utf-8", include_str!("assets/page/base.css")),
    ("app.css", "text/css; charset=utf-8", include_str!("assets/page/app.css")),
    ("logo.svg", "image/svg+xml", include_str!("assets/page/logo.svg")),
    ("main.js", "text/javascript; charset=utf-8", include_str!("assets/page/main.js")),
    ("layouts.js", "text/javascript; charset=utf-8", include_str!("assets/page/layouts.js")),
    ("dom.js", "text/javascript; charset=utf-8", include_str!("assets/page/dom.js")),
    ("server.js", "text/javascript; charset=utf-8", include_str!("assets/page/server.js")),
    ("list.js", "text/javascript; charset=utf-8", include_str!("assets/page/list.js")),
    ("scroller.js", "text/javascript; charset=utf-8", include_str!("assets/page/scroller.js")),
    ("thread.js", "text/javascript; charset=utf-8", include_str!("assets/page/thread.js")),
];

/// The application, or the way to the login.
pub(super) async fn app(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    match state.sessions.of(&headers, Timestamp::now()) {
        Some(_) => Html(APP.replace("{{login_form}}", &login_form(None))).into_response(),
        None => Redirect::to("/login").into_response(),
    }
}

/// The login page, or the way to the application.
pub(super) async fn login_page(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    match state.sessions.of(&headers, Timestamp::now()) {
        Some(_) => Redirect::to("/").into_response(),
        None => login(StatusCode::OK, None),
    }
}

/// What the login form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Credentials {
    username: String,
    password: String,
}

/// Judges the credentials.
pub(super) async fn log_in(Shared(state): Shared<Arc<State>>, Form(given): Form<Credentials>) -> Response {
    if given.username.trim() != USERNAME || given.password != PASSWORD {
        return login(StatusCode::UNAUTHORIZED, Some(("bad-credentials", "User name or password is wrong.")));
    }
    match state.login() {
        LoginMode::Normal => {
            let cookie = state.sessions.issue(Timestamp::now());
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        LoginMode::Challenge | LoginMode::OneTimeCode | LoginMode::Captcha | LoginMode::PasswordChange => {
            Redirect::to("/challenge").into_response()
        }
        LoginMode::Locked => {
            let text = "This account is locked after too many attempts. Please contact support.";
            login(StatusCode::FORBIDDEN, Some(("locked", text)))
        }
    }
}

/// Ends the session in this browser.
pub(super) async fn log_out() -> Response {
    ([(header::SET_COOKIE, Sessions::end())], Redirect::to("/login")).into_response()
}

/// Asks for what the site wants beside the password.
pub(super) async fn challenge(Shared(state): Shared<Arc<State>>) -> Html<String> {
    Html(challenge_page(state.login(), ""))
}

/// What the form of a challenge sends.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    code: String,
}

/// The right code opens the site; nothing else ever does.
pub(super) async fn answer_challenge(Shared(state): Shared<Arc<State>>, Form(given): Form<Answer>) -> Response {
    let login = state.login();
    if login == LoginMode::OneTimeCode && given.code.trim() == CODE {
        let cookie = state.sessions.issue(Timestamp::now());
        return ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response();
    }
    let error = r#"<p class="challenge-error" role="alert">That is not right.</p>"#;
    Html(challenge_page(login, error)).into_response()
}

fn challenge_page(login: LoginMode, error: &str) -> String {
    let card = match login {
        LoginMode::OneTimeCode => CODE_FORM,
        LoginMode::Captcha => CAPTCHA,
        LoginMode::PasswordChange => NEW_PASSWORD,
        LoginMode::Normal | LoginMode::Challenge | LoginMode::Locked => QUESTION,
    };
    CHALLENGE.replace("{{card}}", card).replace("{{error}}", error)
}

/// A file of the page.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, body)) => ([(header::CONTENT_TYPE, *kind)], *body).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// An attachment: there is nothing in it, but it can be fetched.
pub(super) async fn attachment(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    match state.sessions.of(&headers, Timestamp::now()) {
        Some(_) => {
            let kind = [(header::CONTENT_TYPE, "text/plain"), (header::CONTENT_DISPOSITION, "attachment")];
            (kind, "A sample file.\n").into_response()
        }
        None => Redirect::to("/login").into_response(),
    }
}

fn login(status: StatusCode, error: Option<(&str, &str)>) -> Response {
    (status, Html(LOGIN.replace("{{login_form}}", &login_form(error)))).into_response()
}

fn login_form(error: Option<(&str, &str)>) -> String {
    let error =
        error.map(|(reason, text)| format!(r#"<p class="login-error" data-reason="{reason}" role="alert">{text}</p>"#));
    LOGIN_FORM.replace("{{error}}", &error.unwrap_or_default())
}
