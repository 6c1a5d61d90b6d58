//! Binds the addresses of the service.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::sockopt::set_ipv6_v6only;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tracing::warn;

use crate::telemetry::Tag;

/// Connections that the kernel keeps before they are accepted; it cuts this to `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Free ports that are tried before one is found that is free on every address.
const ATTEMPTS: usize = 32;

/// Bound sockets, all with the same port.
#[derive(Debug)]
pub struct Listeners(pub(super) Vec<TcpListener>);

impl Listeners {
    /// The addresses that were bound.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }
}

/// Why an address could not be bound.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody else has it.
    #[error("{0} is in use by another program; end that, or choose another port with PORT (in the file: port)")]
    InUse(SocketAddr),
    /// Ports below 1024 are for root.
    #[error("{0} may not be bound by this user; choose a port from 1024 upwards with PORT (in the file: port)")]
    Forbidden(SocketAddr),
    /// No interface has it.
    #[error("{0} is not an address of this host; correct CASEMATE_LISTEN (in the file: listen)")]
    NotHere(SocketAddr),
    /// Something else.
    #[error("{address} cannot be bound")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// None of the addresses could be bound, or there were none.
    #[error("there is no address to listen on; correct CASEMATE_LISTEN (in the file: listen)")]
    Nothing,
}

/// Binds `port` on every address; port 0 takes a number that is free on all of them. `::1` is left out, with a line in
/// the log, on a host without IPv6, as long as there is another address.
///
/// # Errors
/// [`ListenError`], naming the address and the setting.
pub async fn listen(addresses: &[IpAddr], port: u16) -> Result<Listeners, ListenError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match bind_all(addresses, port) {
            // Free on the first address, taken on another: draw again.
            Err(ListenError::InUse(_)) if port == 0 && attempt < ATTEMPTS => {}
            other => return other,
        }
    }
}

fn bind_all(addresses: &[IpAddr], mut port: u16) -> Result<Listeners, ListenError> {
    let mut bound = Vec::new();
    let mut left_out = None;
    for ip in addresses {
        let address = SocketAddr::new(*ip, port);
        match bind(address) {
            Ok(listener) => {
                port = listener.local_addr().map_or(port, |address| address.port());
                bound.push(listener);
            }
            Err(source) if no_ipv6(*ip, &source) => left_out = Some(address),
            Err(source) => return Err(explain(address, source)),
        }
    }
    match left_out {
        Some(address) if bound.is_empty() => Err(ListenError::NotHere(address)),
        None if bound.is_empty() => Err(ListenError::Nothing),
        Some(address) => {
            warn!(tag = %Tag::Http, "this host has no IPv6: {} is left out", address.ip());
            Ok(Listeners(bound))
        }
        None => Ok(Listeners(bound)),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        // So that `::` and `0.0.0.0` can be listed side by side.
        set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A kernel without IPv6 has no such sockets; one that has it switched off has no such address.
fn no_ipv6(ip: IpAddr, error: &io::Error) -> bool {
    ip.is_ipv6()
        && ip.is_loopback()
        && (error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT))
}

fn explain(address: SocketAddr, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        io::ErrorKind::PermissionDenied => ListenError::Forbidden(address),
        io::ErrorKind::AddrNotAvailable => ListenError::NotHere(address),
        _ => ListenError::Bind { address, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_free_port_is_the_same_on_every_address() {
        let listeners = listen(&ips(&["127.0.0.1", "127.0.0.2"]), 0).await.unwrap();
        let ports: Vec<_> = listeners.addresses().iter().map(SocketAddr::port).collect();
        assert!(ports.len() == 2 && ports[0] == ports[1] && ports[0] != 0, "{ports:?}");
    }

    #[tokio::test]
    async fn both_loopbacks_answer_where_the_host_has_ipv6() {
        let listeners = listen(&ips(&["127.0.0.1", "::1"]), 0).await.unwrap();
        let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
        assert_eq!(listeners.addresses().len(), if has_ipv6 { 2 } else { 1 });
    }

    #[tokio::test]
    async fn errors_name_address_and_setting() {
        let first = listen(&ips(&["127.0.0.1"]), 0).await.unwrap();
        let address = first.addresses()[0];
        let taken = listen(&ips(&["127.0.0.1"]), address.port()).await.unwrap_err().to_string();
        assert!(taken.contains(&address.to_string()) && taken.contains("PORT"), "{taken}");
        let foreign = listen(&ips(&["192.0.2.1"]), 0).await.unwrap_err().to_string();
        assert!(foreign.contains("192.0.2.1") && foreign.contains("CASEMATE_LISTEN"), "{foreign}");
        assert!(matches!(listen(&[], 0).await, Err(ListenError::Nothing)));
    }

    #[test]
    fn only_a_missing_ipv6_loopback_is_left_out() {
        let [v4, v6, other] = ["127.0.0.1", "::1", "2001:db8::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        for (ip, code, expected) in [
            (v6, libc::EADDRNOTAVAIL, true),
            (v6, libc::EAFNOSUPPORT, true),
            (v6, libc::EADDRINUSE, false),
            (v4, libc::EADDRNOTAVAIL, false),
            (other, libc::EADDRNOTAVAIL, false),
        ] {
            assert_eq!(no_ipv6(ip, &io::Error::from_raw_os_error(code)), expected, "{ip} {code}");
        }
    }
}
