//! What every answer passes through: who may ask, how, and with which headers it leaves.
//!
//! The page shows private conversations without a password, so a foreign web page in the owner's
//! browser must never read it: a name that a foreign page's DNS could point at this machine is refused
//! (421), other methods than GET and HEAD are refused (405), and no answer allows another origin.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use axum::middleware::Next;

/// The page may load its own two files and ask its own server, nothing else.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Checks the request, lets it pass, and dresses the answer. Without an address any host is taken: for what a foreign
/// page may read.
pub(super) async fn guard(State(listener): State<Option<SocketAddr>>, request: Request, next: Next) -> Response<Body> {
    let mut response = if listener.is_some_and(|listener| !is_addressed_to(listener.ip(), &request)) {
        plain(StatusCode::MISDIRECTED_REQUEST, "This server answers to localhost and its own address only.\n")
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are answered.\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        refused
    } else {
        next.run(request).await
    };
    for (name, value) in ALWAYS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A short answer in plain text.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Exactly one Host, and it is ours; a request line with a host of its own must agree.
fn is_addressed_to(listener: IpAddr, request: &Request) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(authority) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else { return false };
    is_ours(listener, &authority) && request.uri().authority().is_none_or(|named| is_ours(listener, named))
}

/// The loopback's names and addresses, and the listener's own. A listener on every address takes any
/// address but no name: DNS can point a foreign name at us, but never change what an address is. The
/// port is not compared: it may be forwarded.
fn is_ours(listener: IpAddr, authority: &Authority) -> bool {
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    if host.eq_ignore_ascii_case("localhost") || host.eq_ignore_ascii_case("localhost.") {
        return true;
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok_and(|ip| {
        let ip = ip.to_canonical();
        ip.is_loopback() || ip == listener.to_canonical() || listener.is_unspecified()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(listener: &str, host: &str) -> bool {
        host.parse::<Authority>().is_ok_and(|authority| is_ours(listener.parse().unwrap(), &authority))
    }

    #[test]
    fn only_names_that_no_foreign_dns_can_claim_are_ours() {
        for host in ["localhost", "LOCALHOST:8787", "127.0.0.1:8787", "127.9.9.9", "[::1]:80", "[::ffff:127.0.0.1]"] {
            assert!(ours("127.0.0.1", host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.5",
            "user@localhost",
            "0x7f000001",
            "2130706433",
            "[::2]",
            "",
        ] {
            assert!(!ours("127.0.0.1", host), "{host}");
        }
        assert!(ours("10.0.0.5", "10.0.0.5:8787"));
        assert!(!ours("10.0.0.5", "10.0.0.6"));
        assert!(ours("0.0.0.0", "192.168.1.9"));
        assert!(!ours("0.0.0.0", "evil.example"));
    }
}
