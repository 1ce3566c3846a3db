//! Addresses of servers: which are usable, and how one is shown without what it keeps secret.

use super::secret::MASK;
use url::Url;

/// True for `amqp[s]://[user:password@]host[:port][/vhost][?…]`.
pub(super) fn is_amqp(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "amqp" | "amqps") && url.has_host() && !text.contains('#'))
}

/// True for `mongodb[+srv]://[user:password@]host[:port][,host…]/database[?…]`.
pub(super) fn is_mongo(text: &str) -> bool {
    let rest = text.strip_prefix("mongodb://").or_else(|| text.strip_prefix("mongodb+srv://"));
    rest.map(without_userinfo).and_then(|rest| rest.split_once('/')).is_some_and(|(hosts, path)| {
        let database = path.split('?').next().unwrap_or_default();
        !hosts.is_empty() && hosts.split(',').all(|host| !host.is_empty()) && !database.is_empty()
    })
}

/// The hosts that a password would reach in the clear: all of `amqp://`, of `mongodb://` without `tls=true`
/// and of `mongodb+srv://` with `tls=false` that are not this machine; empty if there are none.
pub(super) fn in_the_clear(text: &str) -> Vec<String> {
    let Some((scheme, rest)) = text.split_once("://") else { return Vec::new() };
    let options = rest.split_once('?').map_or("", |(_, options)| options);
    let has = |one: &str, other: &str| {
        options.split('&').any(|option| option.eq_ignore_ascii_case(one) || option.eq_ignore_ascii_case(other))
    };
    let is_safe = match scheme {
        "amqp" => false,
        "mongodb" => has("tls=true", "ssl=true"),
        "mongodb+srv" => !has("tls=false", "ssl=false"),
        _ => true,
    };
    if is_safe {
        return Vec::new();
    }
    let hosts = without_userinfo(rest).split(['/', '?']).next().unwrap_or_default();
    let is_here = |host: &str| {
        let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    hosts.split(',').filter(|host| !host.is_empty() && !is_here(host)).map(str::to_owned).collect()
}

/// The address up to its path: user, password and options (some hold passwords too) are left out.
pub(super) fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return MASK.to_owned() };
    let place = without_userinfo(rest);
    let user = if place.len() < rest.len() { format!("{MASK}@") } else { String::new() };
    let options = if place.contains('?') { format!("?{MASK}") } else { String::new() };
    format!("{scheme}://{user}{}{options}", place.split('?').next().unwrap_or_default())
}

/// A password may hold `@` and, written carelessly, `/`: everything up to the last `@` before the options
/// is taken for it.
fn without_userinfo(rest: &str) -> &str {
    let before_options = rest.split('?').next().unwrap_or_default();
    before_options.rfind('@').map_or(rest, |at| &rest[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::case::Case;

    #[test]
    fn what_can_be_an_address() {
        for good in ["amqp://h", "amqps://u:p@h:5671/%2f?heartbeat=10", "amqp://127.0.0.1:5672/v"] {
            assert!(is_amqp(good), "{good}");
        }
        for bad in ["", "h", "http://h", "amqp://", "amqp:h", "mongodb://h/d"] {
            assert!(!is_amqp(bad), "{bad}");
        }
        for good in ["mongodb://h/d", "mongodb+srv://u:p@h/d?tls=true", "mongodb://a:1,b:2/d?replicaSet=rs0"] {
            assert!(is_mongo(good), "{good}");
        }
        for bad in
            ["", "mongodb://h", "mongodb://h/", "mongodb://h/?x=1", "mongodb:///d", "mongodb://a,/d", "amqp://h/d"]
        {
            assert!(!is_mongo(bad), "{bad}");
        }
    }

    #[test]
    fn no_part_of_a_credential_is_shown() {
        for (text, shown) in [
            ("amqps://user:pa@ss/wd@h:5671/v?heartbeat=10", "amqps://••••@h:5671/v?••••"),
            ("mongodb://a:1,b:2/d", "mongodb://a:1,b:2/d"),
            ("mongodb+srv://u:p@h/d", "mongodb+srv://••••@h/d"),
            ("user:password", "••••"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }

    #[test]
    fn a_password_over_the_network_is_noticed() {
        for (text, hosts) in [
            ("amqp://u:p@broker:5672/v", &["broker:5672"][..]),
            ("amqps://u:p@broker/v", &[]),
            ("amqp://u:p@127.0.0.1:5672/", &[]),
            ("amqp://u:p@[::1]:5672/", &[]),
            ("amqp://localhost", &[]),
            ("mongodb://u:p@a:1,127.0.0.1:2/d", &["a:1"]),
            ("mongodb://u:p@a:1/d?w=majority&tls=true", &[]),
            ("mongodb+srv://u:p@a/d", &[]),
            ("mongodb+srv://u:p@a/d?tls=false", &["a"]),
        ] {
            assert_eq!(in_the_clear(text), hosts, "{text}");
        }
    }

    #[test]
    fn monitors_may_ask_from_elsewhere_and_only_where_it_is_set() {
        assert_eq!(Case::new().load().unwrap().metrics_addr, None);
        let open = Case::new().env(&[("CHATFERRY_METRICS_ADDR", "0.0.0.0:8788")]).load().unwrap();
        assert_eq!(open.metrics_addr.unwrap().to_string(), "0.0.0.0:8788");
        assert_eq!(open.http_addr.to_string(), "127.0.0.1:8787", "the page stays where it is");
        for wrong in ["8788", "somewhere:8788", "0.0.0.0"] {
            let problems = Case::new().env(&[("CHATFERRY_METRICS_ADDR", wrong)]).problems();
            assert_eq!(problems, ["CHATFERRY_METRICS_ADDR @ environment"], "{wrong}");
        }
    }
}
