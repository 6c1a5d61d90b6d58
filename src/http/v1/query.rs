//! Parameters of the routes below `/v1/`: those that a route knows, each once and well formed.

use std::time::Duration;

use crate::http::problem::Problem;
use crate::http::query;

/// How long the client wants to wait, by `wait`, in seconds with or without decimals. At once where it does not say.
///
/// # Errors
/// [`Problem::Invalid`] for another parameter, or more than `most`.
pub fn wait(query: &str, most: Duration) -> Result<Duration, Problem> {
    let pairs = pairs(query, &["wait"])?;
    pairs.first().map_or(Ok(Duration::ZERO), |(name, value)| seconds(name, value, most))
}

/// A time of at most `most`, in seconds with or without decimals.
///
/// # Errors
/// [`Problem::Invalid`].
pub fn seconds(name: &str, value: &str, most: Duration) -> Result<Duration, Problem> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    // Compared before it is rounded to nanoseconds: what is over by less is over.
    let seconds = value.parse().ok().filter(|seconds: &f64| digits && *seconds <= most.as_secs_f64());
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or_else(|| Problem::Invalid {
        field: format!("?{name}"),
        detail: format!("it is {:?}", value.chars().take(20).collect::<String>()),
        remedy: format!("give seconds from 0 to {}, such as 2.5", most.as_secs_f64()),
    })
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
            return Err(refuse("it is not known", format!("leave it out; known is {}", known.join(", "))));
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
            "wait=-1",
            "wait=61",
            "wait=60.00000000000001",
            "wait=1e1",
            "wait=inf",
            "wait=NaN",
            "wait=1&wait=2",
            "Wait=1",
            "x=1",
            "wait=%zz",
            "wait=1.2.3",
            "wait=.",
        ] {
            assert!(matches!(wait(query, most), Err(Problem::Invalid { .. })), "{query}");
        }
    }
}
