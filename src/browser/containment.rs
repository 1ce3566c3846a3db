//! What the browser may reach: the hosts of the pack, and nothing else.
//!
//! Two layers, because each alone has holes: Chromium's resolver rules hold for every request of the
//! whole process (sockets, beacons, preconnects), and DevTools' `Fetch` sees each request of the page
//! with its port and scheme.

use url::Url;

/// The hosts that a browser may speak to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHosts {
    /// Scheme, host and port of the site itself.
    origin: (String, String, Option<u16>),
    /// Further host names; `*.example.org` allows those below.
    further: Vec<String>,
}

impl AllowedHosts {
    /// The host of `base_url` with its port, and the pack's further hosts.
    pub fn new(base_url: &Url, further: &[String]) -> Self {
        let host = base_url.host_str().unwrap_or_default().to_owned();
        Self {
            origin: (base_url.scheme().to_owned(), host, base_url.port_or_known_default()),
            further: further.to_vec(),
        }
    }

    /// Nothing at all: for saved pages.
    pub const fn nothing() -> Self {
        Self { origin: (String::new(), String::new(), None), further: Vec::new() }
    }

    /// Whether the page may request this address. `data:`, `blob:` and `about:` never leave the
    /// machine.
    pub fn allows(&self, address: &str) -> bool {
        let Ok(url) = Url::parse(address) else { return false };
        match url.scheme() {
            "data" | "blob" | "about" => return true,
            "http" | "https" | "ws" | "wss" => {}
            _ => return false,
        }
        let Some(host) = url.host_str() else { return false };
        let (scheme, own, port) = &self.origin;
        if host == own && url.port_or_known_default() == *port {
            // The site's own port, but never less protected than the site itself.
            return scheme == "http" || matches!(url.scheme(), "https" | "wss");
        }
        // Further hosts are named without a port: their standard one, encrypted.
        matches!(url.scheme(), "https" | "wss")
            && url.port().is_none()
            && self.further.iter().any(|allowed| match allowed.strip_prefix("*.") {
                Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
                None => host == allowed,
            })
    }

    /// The rules for Chromium's resolver: everything is unknown but these.
    ///
    /// The first rule that fits counts. Mapping a host's port to itself opens this port alone; an
    /// `EXCLUDE` opens all of them, but only it can hold a wildcard, and an IPv6 address.
    pub fn resolver_rules(&self) -> String {
        let (_, own, port) = &self.origin;
        let own = (!own.is_empty()).then(|| (own.as_str(), port.unwrap_or(443)));
        let mut opened = Vec::new();
        let mut excluded = Vec::new();
        for (host, port) in own.into_iter().chain(self.further.iter().map(|host| (host.as_str(), 443))) {
            if host.starts_with("*.") || host.starts_with('[') {
                excluded.push(format!("EXCLUDE {host}"));
            } else {
                opened.push(format!("MAP {host}:{port} {host}:{port}"));
            }
        }
        opened.push("MAP * ~NOTFOUND".to_owned());
        opened.extend(excluded);
        opened.join(" , ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(base: &str) -> AllowedHosts {
        AllowedHosts::new(&Url::parse(base).unwrap(), &["*.example.org".into(), "cdn.example.net".into()])
    }

    #[test]
    fn only_the_named_hosts_are_reachable() {
        let hosts = hosts("https://chat.example.com");
        for allowed in [
            "https://chat.example.com/x",
            "wss://chat.example.com/ws",
            "https://a.example.org/",
            "https://cdn.example.net/a.png",
            "data:image/png;base64,AA",
            "about:blank",
            "blob:https://chat.example.com/1",
        ] {
            assert!(hosts.allows(allowed), "{allowed}");
        }
        for refused in [
            "http://chat.example.com/",
            "https://chat.example.com:8443/",
            "https://example.org/",
            "https://evilexample.org/",
            "https://x.cdn.example.net/",
            "http://cdn.example.net/",
            "https://cdn.example.net:444/",
            "https://chat.example.com.evil.test/",
            "file:///etc/passwd",
            "ftp://chat.example.com/",
            "chrome://settings",
            "http://127.0.0.1/",
            "nonsense",
        ] {
            assert!(!hosts.allows(refused), "{refused}");
        }
    }

    #[test]
    fn a_site_on_this_machine_does_not_open_its_other_ports() {
        let hosts = hosts("http://127.0.0.1:8788");
        assert!(hosts.allows("http://127.0.0.1:8788/login"));
        assert!(hosts.allows("ws://127.0.0.1:8788/ws"));
        assert!(!hosts.allows("http://127.0.0.1:27017/"));
        assert!(!hosts.allows("http://localhost:8788/"));
    }

    #[test]
    fn a_saved_page_reaches_nothing() {
        assert!(!AllowedHosts::nothing().allows("https://chat.example.com/"));
        assert_eq!(AllowedHosts::nothing().resolver_rules(), "MAP * ~NOTFOUND");
        assert!(
            hosts("http://[::1]:8788")
                .resolver_rules()
                .ends_with("MAP * ~NOTFOUND , EXCLUDE [::1] , EXCLUDE *.example.org")
        );
        assert_eq!(
            hosts("https://chat.example.com").resolver_rules(),
            "MAP chat.example.com:443 chat.example.com:443 , MAP cdn.example.net:443 cdn.example.net:443 , \
             MAP * ~NOTFOUND , EXCLUDE *.example.org"
        );
    }
}
