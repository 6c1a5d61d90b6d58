//! Values of settings, told from nonsense.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::value::Raw;

pub(super) const ANY_PATH: &str = "an absolute path";
pub(super) const TRUTH: &str = "true or false";
pub(super) const MILLISECONDS: &str = "milliseconds, 1 to 86400000";

pub(super) fn addresses(raw: &Raw) -> Option<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in raw.list()? {
        let address = text.parse().ok()?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    (!addresses.is_empty()).then_some(addresses)
}

pub(super) fn url(raw: &Raw) -> Option<String> {
    let text = raw.text()?;
    let rest = ["http://", "https://", "file://"].iter().find_map(|scheme| text.strip_prefix(scheme))?;
    (!rest.is_empty() && !rest.contains(char::is_whitespace)).then(|| text.to_owned())
}

/// What useradd(8) takes without being asked twice.
pub(super) fn account(raw: &Raw) -> Option<String> {
    let name = raw.text()?;
    let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    (first && rest && name.len() <= 32).then(|| name.to_owned())
}

/// An origin is a scheme, a host and perhaps a port, nothing after it (RFC 6454, 6.2).
pub(super) fn origins(raw: &Raw) -> Option<Vec<String>> {
    let items = raw.list()?;
    let origin = |item: &str| {
        item.split_once("://").is_some_and(|(scheme, host)| {
            let plain = |b: u8| b.is_ascii_graphic() && !b"/?#@\"\\,".contains(&b);
            !scheme.is_empty() && !host.is_empty() && scheme.bytes().chain(host.bytes()).all(plain)
        })
    };
    let fine = items == ["*"] || (!items.is_empty() && items.iter().all(|item| origin(item)));
    fine.then(|| items.into_iter().map(ToOwned::to_owned).collect())
}

/// Names as a `Host` header has them, without a port.
pub(super) fn hosts(raw: &Raw) -> Option<Vec<String>> {
    let items = raw.list()?;
    let name = |item: &str| {
        !item.is_empty() && item.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    let fine = items == ["*"] || (!items.is_empty() && items.iter().all(|item| name(item)));
    fine.then(|| items.into_iter().map(ToOwned::to_owned).collect())
}

pub(super) fn within(raw: &Raw, min: u64, max: u64) -> Option<u64> {
    raw.number().filter(|n| (min..=max).contains(n))
}

pub(super) fn whole(raw: &Raw, min: u64, max: u64) -> Option<usize> {
    within(raw, min, max)?.try_into().ok()
}

pub(super) fn millis(raw: &Raw) -> Option<Duration> {
    within(raw, 1, 86_400_000).map(Duration::from_millis)
}

pub(super) fn path(raw: &Raw) -> Option<PathBuf> {
    raw.text().map(PathBuf::from).filter(|path| path.is_absolute())
}
