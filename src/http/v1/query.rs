//! Parameters of the routes below `/v1/`: those that a route knows, each once and well formed.

use std::time::Duration;

use serde_json::Number;

use crate::http::problem::Problem;
use crate::http::query;

/// Characters of a parameter that a problem repeats.
const ECHO: usize = 40;

/// How long the client wants to wait, by `wait`, in seconds with or without decimals. At once where it does not say.
///
/// # Errors
/// [`Problem::Invalid`] for another parameter, and those of [`seconds`].
pub fn wait(query: &str, most: Duration) -> Result<Duration, Problem> {
    let pairs = pairs(query, &["wait"])?;
    pairs.first().map_or(Ok(Duration::ZERO), |(name, value)| seconds(name, value, most))
}

/// A time of at most `most`, in seconds with or without decimals.
///
/// # Errors
/// [`Problem::Beyond`] for more or less than that, [`Problem::Invalid`] for what is no number.
pub fn seconds(name: &str, value: &str, most: Duration) -> Result<Duration, Problem> {
    let limit = most.as_secs_f64();
    let Some(seconds) = number(value) else {
        return Err(unreadable(name, value, format!("give seconds from 0 to {limit}, such as 2.5")));
    };
    // Compared before it is rounded to nanoseconds: what is over by less is over.
    let within = (0.0..=limit).contains(&seconds).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten();
    within.ok_or_else(|| {
        let whole = (most.subsec_nanos() == 0).then(|| most.as_secs().into());
        beyond(name, value, whole.or_else(|| Number::from_f64(limit)).unwrap_or_else(|| 0.into()), 0)
    })
}

/// A whole number from `least` to `most`.
///
/// # Errors
/// As [`seconds`].
pub fn whole(name: &str, value: &str, least: u64, most: u64) -> Result<u64, Problem> {
    let digits = value.strip_prefix('-').unwrap_or(value).bytes().all(|byte| byte.is_ascii_digit());
    if !digits || number(value).is_none() {
        return Err(unreadable(name, value, format!("give a whole number from {least} to {most}")));
    }
    let within = value.parse().ok().filter(|number| (least..=most).contains(number));
    within.ok_or_else(|| beyond(name, value, most.into(), least))
}

/// Digits with a point among them or not, and before them a sign or not.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    text.parse().ok().filter(|_| plain)
}

fn beyond(name: &str, value: &str, most: Number, least: u64) -> Problem {
    let value = value.chars().take(ECHO).collect();
    Problem::Beyond { parameter: format!("?{name}"), value, least: least.into(), most }
}

/// A parameter that has a value of another kind.
pub fn unreadable(name: &str, value: &str, remedy: String) -> Problem {
    let detail = format!("it is {:?}", value.chars().take(ECHO).collect::<String>());
    Problem::Invalid { field: format!("?{name}"), detail, remedy }
}

/// Every parameter, whose name must be one of `known`, and that once.
pub fn pairs(text: &str, known: &[&str]) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| query::decoded(text).and_then(|bytes| String::from_utf8(bytes).ok());
        let refuse = |detail: &str, remedy: String| {
            let field = format!("?{}", name.chars().take(50).collect::<String>());
            Problem::Invalid { field, detail: detail.to_owned(), remedy }
        };
        let (Some(name), Some(value)) = (plain(name), plain(value)) else {
            return Err(refuse("it is not UTF-8 in percent-encoding", "encode it as RFC 3986 has it".to_owned()));
        };
        if !known.contains(&&*name) {
            let others = match known {
                [] => "there are none here".to_owned(),
                known => format!("known here: {}", known.join(", ")),
            };
            return Err(refuse("it is not known", format!("leave it out; {others}")));
        }
        if pairs.iter().any(|(other, _)| *other == name) {
            return Err(refuse("it comes twice", "give it once".to_owned()));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_to_wait() {
        let most = Duration::from_secs(60);
        for (query, expected) in [("", 0), ("wait=0", 0), ("wait=60", 60_000), ("wait=2.5", 2500), ("wait=%31", 1000)] {
            assert_eq!(wait(query, most).unwrap(), Duration::from_millis(expected), "{query}");
        }
        for query in [
            "wait",
            "wait=",
            "wait=1e1",
            "wait=inf",
            "wait=NaN",
            "wait=1&wait=2",
            "Wait=1",
            "x=1",
            "wait=%zz",
            "wait=1.2.3",
            "wait=.",
            "wait=-",
            "wait=--1",
            "wait=%2b1",
        ] {
            assert!(matches!(wait(query, most), Err(Problem::Invalid { .. })), "{query}");
        }
        for (known, told) in
            [(&["a", "b"][..], "leave it out; known here: a, b"), (&[], "leave it out; there are none here")]
        {
            let Err(Problem::Invalid { remedy, .. }) = pairs("x=1", known) else { panic!("{known:?}") };
            assert_eq!(remedy, told);
        }
        let digits = format!("wait={}", "9".repeat(400));
        for query in ["wait=-1", "wait=61", "wait=60.00000000000001", "wait=-0.5", &digits] {
            let Err(Problem::Beyond { parameter, value, least, most }) = wait(query, most) else { panic!("{query}") };
            assert_eq!((parameter.as_str(), least, most), ("?wait", 0.into(), 60.into()));
            assert!(query["wait=".len()..].starts_with(&value) && value.len() <= ECHO, "{value}");
        }
        let Err(Problem::Beyond { most, .. }) = wait("wait=1", Duration::from_millis(500)) else { panic!() };
        assert_eq!(most.as_f64(), Some(0.5));
    }
}
