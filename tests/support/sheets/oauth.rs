//! The token endpoint: a JWT is checked as Google does, signature included, and each refusal has Google's words.

use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Reply, Request};
use super::{EMAIL, State, TokenMood};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPE: &str = "https://www.googleapis.com/auth/spreadsheets";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
    sub: Option<String>,
    scope: String,
}

pub fn answer(state: &mut State, request: &Request) -> Reply {
    state.asked_tokens += 1;
    match state.tokens {
        TokenMood::Well => {}
        TokenMood::OddOnce => {
            state.tokens = TokenMood::Well;
            return Reply::json(200, &json!({ "error": { "code": 500, "message": "Internal error." } }));
        }
        TokenMood::UnknownAccount => return refused("invalid_grant", "Invalid grant: account not found"),
        TokenMood::Away => return Reply::page(503),
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if field("grant_type") != Some(GRANT) || form.len() != 2 {
        return refused("unsupported_grant_type", "Invalid grant_type");
    }
    let Some((signed, signature)) = field("assertion").and_then(|jwt| jwt.rsplit_once('.')) else {
        return refused("invalid_request", "Missing assertion");
    };
    let Some((head, claims)) = signed.split_once('.') else { return refused("invalid_grant", "Bad JWT") };
    let head: Value = serde_json::from_slice(&base64(head)).unwrap_or_default();
    if head["alg"] != "RS256" || head["typ"] != "JWT" {
        return refused("invalid_grant", "Invalid JWT header");
    }
    let public = RsaKeyPair::from_pkcs8(&der(state.key)).unwrap().public_key().as_ref().to_vec();
    let checked =
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(signed.as_bytes(), &base64(signature));
    if checked.is_err() {
        return refused("invalid_grant", "Invalid JWT Signature.");
    }
    let Ok(claims) = serde_json::from_slice::<Claims>(&base64(claims)) else {
        return refused("invalid_grant", "Invalid JWT claims");
    };
    let now = jiff::Timestamp::now().as_second() + state.clock;
    if claims.iss != EMAIL || claims.sub.is_some() {
        return refused("invalid_grant", "Invalid grant: account not found");
    }
    if claims.aud != format!("{}token", state.origin) {
        return refused("invalid_grant", "Invalid JWT: Failed audience check.");
    }
    if claims.exp - claims.iat > 3600 || claims.iat > now + 300 || claims.exp < now - 300 {
        let words = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
                     Check your iat and exp values in the JWT claim.";
        return refused("invalid_grant", words);
    }
    if claims.scope != SCOPE {
        return refused("invalid_scope", "More than is needed was asked for");
    }
    let token = format!("ya29.test-token-{}-{:016x}", state.asked_tokens, fastrand::u64(..));
    state.good = vec![token.clone()];
    Reply::json(200, &json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
}

fn refused(code: &str, words: &str) -> Reply {
    Reply::json(400, &json!({ "error": code, "error_description": words }))
}

fn der(pem: &str) -> Vec<u8> {
    base64(&pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>())
}

/// Both alphabets, with or without padding; what is neither is passed over.
fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.bytes().filter_map(digit).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let number = group.iter().fold(0_u32, |sum, digit| (sum << 6) | u32::from(*digit)) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&number.to_be_bytes()[1..group.len()]);
    }
    bytes
}
