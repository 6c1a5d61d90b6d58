//! The settings of the HTTP service.

use super::accept::{MILLISECONDS, TRUTH, hosts, millis, whole, within};
use super::row::row;
use super::{Preset, Row};
use crate::config::MetricsAt;
use crate::model::Bytes;

/// All of them.
#[allow(clippy::semicolon_if_nothing_returned)]
pub const ROWS: &[Row] = &[
    row!(
        "http.guard_monaco",
        Preset::Text("false"),
        TRUTH,
        "Whether `/submit`, `/status`, `/result` and `/queue-stats` want a token too.",
        |s, raw| s.http.guard_monaco = raw.truth()?
    ),
    row!(
        "http.guard_metrics",
        Preset::Text("false"),
        TRUTH,
        "Whether `/metrics` wants a token too, where there are tokens.",
        |s, raw| s.http.guard_metrics = raw.truth()?
    ),
    row!(
        "http.allow_anonymous_from_network",
        Preset::Text("false"),
        TRUTH,
        "Whether a service that other machines can reach may take submissions from whoever has no token. Else it does not start.",
        |s, raw| s.http.allow_anonymous_from_network = raw.truth()?
    ),
    row!(
        "http.hosts",
        Preset::Derived("none, on loopback where not every route wants a token; else any"),
        "`*`, or names such as judge.example.org",
        "The names with a dot that the service answers to, besides addresses and `localhost` and other names without one. A request \
         whose `Host` has another gets 421: so no page of a stranger reaches the service by a name of its own that leads here. `*` is any.",
        |s, raw| s.hosts = hosts(raw)?
    ),
    row!(
        "http.body_bytes",
        Preset::Text("4194304"),
        "bytes, 1 to 1073741824",
        "The largest body of `POST /submit`. A larger one is answered with 413.",
        |s, raw| s.http.body = Bytes(within(raw, 1, 1 << 30)?)
    ),
    row!(
        "http.submission_bytes",
        Preset::Text("16777216"),
        "bytes, 1 to 1073741824",
        "The largest body of `POST /v1/submissions`, which brings files, and of a batch of them; at most `http.bodies_bytes`. A larger one is answered with 413.",
        |s, raw| s.http.submission = Bytes(within(raw, 1, 1 << 30)?)
    ),
    row!(
        "http.batch",
        Preset::Text("100"),
        "a whole number, 1 to 1000",
        "Submissions of one batch, or ids that one request asks for. More are answered with 422.",
        |s, raw| s.http.batch = whole(raw, 1, 1000)?
    ),
    row!(
        "http.wait_ms",
        Preset::Text("60000"),
        MILLISECONDS,
        "The longest time for which a request may ask with `?wait=`.",
        |s, raw| s.http.wait = millis(raw)?
    ),
    row!(
        "http.body_ms",
        Preset::Text("30000"),
        MILLISECONDS,
        "The time in which a request body must arrive. A slower one is answered with 408.",
        |s, raw| s.http.body_time = millis(raw)?
    ),
    row!(
        "http.bodies_bytes",
        Preset::Text("33554432"),
        "bytes, 1 to 1099511627776",
        "What all request bodies together may hold, at least one of the largest. Over it bodies wait, then get 503.",
        |s, raw| s.http.bodies = Bytes(within(raw, 1, 1 << 40)?)
    ),
    row!(
        "http.results_bytes",
        Preset::Text("33554432"),
        "bytes, 1 to 1099511627776",
        "Output of all results that are being read. Over it further readers wait up to `http.write_ms`, then get 503.",
        |s, raw| s.http.results = Bytes(within(raw, 1, 1 << 40)?)
    ),
    row!(
        "http.rate_bytes",
        Preset::Text("65536"),
        "bytes a second, 1 to 1073741824",
        "What a client must send of a body or take of a result in each second, as soon as others wait for its room.",
        |s, raw| s.http.rate = Bytes(within(raw, 1, 1 << 30)?)
    ),
    row!(
        "http.idle_ms",
        Preset::Text("60000"),
        MILLISECONDS,
        "What a connection is kept open for without a request.",
        |s, raw| s.http.idle_time = millis(raw)?
    ),
    row!(
        "http.header_ms",
        Preset::Text("10000"),
        MILLISECONDS,
        "The time in which a request's head must arrive, from its first byte on.",
        |s, raw| s.http.header_time = millis(raw)?
    ),
    row!(
        "http.write_ms",
        Preset::Text("30000"),
        MILLISECONDS,
        "The time in which a client must take the next 64 KiB of a reply, or the rest. Else the connection is closed.",
        |s, raw| s.http.write_time = millis(raw)?
    ),
    row!(
        "http.connections",
        Preset::Text("8192"),
        "a whole number, 1 to 100000",
        "Connections at the same time. A further one takes the place of the one that has been silent the longest.",
        |s, raw| s.http.connections = whole(raw, 1, 100_000)?
    ),
    row!(
        "http.requests",
        Preset::Text("1024"),
        "a whole number, 1 to 100000",
        "Requests worked for at the same time, once they are read. Further ones are refused with 503.",
        |s, raw| s.http.requests = whole(raw, 1, 100_000)?
    ),
    row!(
        "http.listeners",
        Preset::Text("1024"),
        "a whole number, 1 to 100000",
        "Readers of events at once.",
        |s, raw| { s.http.listeners = whole(raw, 1, 100_000)? }
    ),
    row!("http.heartbeat_ms", Preset::Text("15000"), MILLISECONDS, "How long events are silent at most.", |s, raw| {
        s.http.heartbeat = millis(raw)?
    }),
    row!("http.page", Preset::Text("true"), TRUTH, "Whether there is a page for trying it, at `/`.", |s, raw| {
        s.http.page = raw.truth()?
    }),
    row!(
        "http.headers",
        Preset::Text("100"),
        "a whole number, 1 to 1000",
        "Header fields of one request. More are answered with 431.",
        |s, raw| s.http.headers = whole(raw, 1, 1000)?
    ),
    row!(
        "http.header_bytes",
        Preset::Text("32768"),
        "bytes, 8192 to 1048576",
        "The size of one request's head. A larger one is answered with 431.",
        |s, raw| s.http.header_bytes = Bytes(within(raw, 8192, 1 << 20)?)
    ),
    row!(
        "http.metrics",
        Preset::Text("same"),
        "same, off, or an address and port of its own such as 127.0.0.1:9464",
        "Where metrics are served: at `/metrics` beside everything else (`same`), nowhere (`off`), or at an address where nothing else is served.",
        |s, raw| s.http.metrics = match raw.text()? {
            "same" => MetricsAt::Same,
            "off" => MetricsAt::Off,
            address => MetricsAt::Apart(address.parse().ok()?),
        }
    ),
];
