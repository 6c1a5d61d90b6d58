//! Which names the service answers to. A page of a stranger can have its own name lead to the loopback interface once the
//! browser has loaded it (DNS rebinding); its requests then are of one origin with it, which no rule about origins stops. But
//! they say in `Host` whom they are for.

use std::net::IpAddr;

use hyper::Uri;
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::http::uri::Authority;

use super::problem::{LONGEST_ECHO, Problem};
use super::routes::Edge;

/// The names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// Whatever the request says.
    #[default]
    Any,
    /// Addresses, names without a dot, `localhost` the first of them, and these, in lower case.
    These(Vec<String>),
}

impl Hosts {
    /// As the setting `named` has it. Where it says nothing every name will do, but not for a service that only this machine
    /// reaches and that does not ask for a token on every route that takes or shows submissions (`tokens`): it has nothing else
    /// that keeps a page out.
    #[must_use]
    pub fn new(named: &[String], listen: &[IpAddr], tokens: bool) -> Self {
        let beyond = listen.iter().any(|ip| !ip.to_canonical().is_loopback());
        match named {
            [] if tokens || beyond => Self::Any,
            all if all.iter().any(|name| name == "*") => Self::Any,
            these => Self::These(these.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect()),
        }
    }

    /// Lets a request pass that is for a name of ours, or says none, as no browser does.
    ///
    /// # Errors
    /// [`Problem::UnknownHost`].
    pub(super) fn pass(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let Self::These(names) = self else { return Ok(()) };
        let target = uri.authority().map(|authority| authority.as_str().as_bytes());
        let said = target.into_iter().chain(headers.get_all(HOST).iter().map(HeaderValue::as_bytes));
        match said.filter(|host| !host.is_empty()).find(|host| !known(names, host)) {
            None => Ok(()),
            Some(other) => {
                Err(Problem::UnknownHost(String::from_utf8_lossy(other).chars().take(LONGEST_ECHO).collect()))
            }
        }
    }
}

impl Edge {
    /// The same, which answers to these names.
    #[must_use]
    pub fn called(self, hosts: Hosts) -> Self {
        Self { hosts, ..self }
    }
}

/// Whether `host`, perhaps with a port, is an address, a name without a dot or one of `names`. Names without a dot are of the
/// machine or of its network, a container's among them; nobody can register one.
fn known(names: &[String], host: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(host) else { return false };
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.parse::<IpAddr>().is_ok() || !host.contains('.') {
        return true;
    }
    // With a dot at its end a name is the same.
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost" || names.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(hosts: &Hosts, uri: &'static str, said: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in said {
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        hosts.pass(&Uri::from_static(uri), &headers).is_ok()
    }

    #[test]
    fn a_name_of_somebody_else_is_told() {
        let own = Hosts::new(&["Judge.example.".to_owned()], &["127.0.0.1".parse().unwrap()], false);
        for (host, passed) in [
            ("localhost", true),
            ("LocalHost:8080", true),
            ("localhost.", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("192.0.2.7", true),
            ("x", true),
            ("casemate-1:8080", true),
            ("com.", false),
            ("judge.example", true),
            ("JUDGE.example:8080", true),
            ("", true),
            ("evil.example", false),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("evil.example@localhost", true),
            ("localhost@evil.example", false),
            ("judge.example.evil", false),
            ("evil localhost", false),
            ("[::1", false),
        ] {
            assert_eq!(passes(&own, "/", &[host]), passed, "{host}");
        }
        assert!(passes(&own, "/", &[]));
        assert!(!passes(&own, "/", &["localhost", "evil.example"]));
        assert!(!passes(&own, "http://evil.example/submit", &["localhost"]));
        assert!(passes(&own, "http://localhost/submit", &["localhost"]));
    }

    #[test]
    fn it_is_asked_where_nothing_else_keeps_a_page_out() {
        let ips = |text: &str| text.split(' ').map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        for (named, listen, tokens, asked) in [
            (&[][..], "127.0.0.1", false, true),
            (&[], "127.0.0.1 ::1 ::ffff:127.0.0.1", false, true),
            (&[], "127.0.0.1", true, false),
            (&[], "127.0.0.1 192.0.2.1", false, false),
            (&[], "0.0.0.0", false, false),
            (&["*".to_owned()], "127.0.0.1", false, false),
            (&["a.example".to_owned()], "0.0.0.0", true, true),
        ] {
            assert_eq!(Hosts::new(named, &ips(listen), tokens) != Hosts::Any, asked, "{named:?} {listen} {tokens}");
        }
    }
}
