//! One row for each setting.

mod accept;
mod ceilings;
mod http;
mod limits;
mod row;

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{NameRefused, RuntimeChoice, UnenforcedLimits};
use crate::model::Bytes;
use crate::telemetry::{LEVELS, LogFormat};

use self::accept::{ANY_PATH, MILLISECONDS, account, addresses, millis, origins, path, url, whole, within};
pub use self::ceilings::CEILINGS;
pub use self::limits::{LIMITS, LimitRow};
use self::row::row;
pub use self::row::{PLAIN, Preset, Row};

/// Every setting except `limits` and `ceilings`, in the order of the reference page.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    SERVICE.iter().chain(http::ROWS).chain(STORE)
}

// The macro adds the semicolon that the lint misses in some rows.
#[allow(clippy::semicolon_if_nothing_returned)]
const SERVICE: &[Row] = &[
    row!(
        "port",
        Preset::Text("8080"),
        "a port number, 0 to 65535 (0 takes any free one)",
        "The port of the HTTP service, the same on every address.",
        |s, raw| s.port = u16::try_from(raw.number()?).ok()?
    ),
    row!(
        "listen",
        Preset::Text("127.0.0.1,::1"),
        "IP addresses, at least one",
        "The addresses to listen on. `::` is IPv6 only; list `0.0.0.0` beside it to have both.",
        |s, raw| s.listen = addresses(raw)?
    ),
    row!("max_workers", Preset::Text("3"), "a whole number, 1 to 1024", "Jobs that run at the same time.", |s, raw| {
        s.max_workers = NonZeroUsize::new(whole(raw, 1, 1024)?)?
    }),
    row!(
        "queue_size",
        Preset::Text("100"),
        "a whole number, 1 to 1000000",
        "Places of the bounded queue. Further submissions wait as `pending`.",
        |s, raw| s.queue_size = whole(raw, 1, 1_000_000)?
    ),
    row!(
        "max_pending",
        Preset::Text("10000"),
        "a whole number, 1 to 100000000",
        "Submissions that may wait, `queued` and `pending` together. Further ones are refused with 503.",
        |s, raw| s.max_pending = whole(raw, 1, 100_000_000)?
    ),
    row!(
        "max_pending_bytes",
        Preset::Text("268435456"),
        "bytes, 1 to 1099511627776",
        "Programs (checkers too), inputs and expected outputs of all submissions that wait, with 330 bytes for each test beyond the first, and 24 for each file, argument, variable and path of `collect`. Further ones are refused with 503, or with 429 where a token's own part is full.",
        |s, raw| s.max_pending_bytes = Bytes(within(raw, 1, 1 << 40)?)
    ),
    row!(
        "unready_after",
        Preset::Text("10"),
        "a whole number, 1 to 1000000",
        "After so many jobs in a row that failed through a fault of ours `/readyz` says 503, until one can be carried out.",
        |s, raw| s.unready_after = whole(raw, 1, 1_000_000)?
    ),
    row!(
        "default_language",
        Preset::Text("python"),
        "the name of a language",
        "The language of a submission that names none.",
        |s, raw| s.default_language = raw.text()?.to_owned()
    ),
    row!(
        "home",
        Preset::Derived(
            "`/var/lib/casemate` for root, also once it has become the service account, `~/.local/share/casemate` for whoever else starts it"
        ),
        ANY_PATH,
        "The directory of everything that is kept.",
        |s, raw| s.home = path(raw)?
    ),
    row!(
        "images",
        Preset::Derived("`images` in `home`"),
        ANY_PATH,
        "The directory of the language images.",
        |s, raw| s.images = path(raw)?
    ),
    row!(
        "mirror",
        Preset::Derived("the archive that the build tool finds by itself"),
        "an http, https or file URL",
        "The package mirror that images are built from, and nothing else: without one Debian's corrections of security are taken too.",
        |s, raw| s.mirror = Some(url(raw)?)
    ),
    row!(
        "runtime",
        Preset::Text("auto"),
        "auto, crun or runc",
        "The OCI runtime; `auto` takes crun where it is installed.",
        |s, raw| s.runtime = match raw.text()? {
            "auto" => RuntimeChoice::Auto,
            "crun" => RuntimeChoice::Crun,
            "runc" => RuntimeChoice::Runc,
            _ => return None,
        }
    ),
    row!(
        "runtime_path",
        Preset::Derived("looked for where distributions install it, not in `PATH`"),
        ANY_PATH,
        "The program of the OCI runtime.",
        |s, raw| s.runtime_path = Some(path(raw)?)
    ),
    row!(
        "unenforced_limits",
        Preset::Text("refuse"),
        "refuse or allow",
        "Where no cgroup can be had: `refuse` to start, or `allow` jobs whose memory and processor time are only looked at \
         from time to time, and whose share of the processor nobody enforces. Every report says so.",
        |s, raw| s.unenforced_limits = match raw.text()? {
            "refuse" => UnenforcedLimits::Refuse,
            "allow" => UnenforcedLimits::Allow,
            _ => return None,
        }
    ),
    row!(
        "account",
        Preset::Text("casemate"),
        "the name of a system account",
        "The account that the service runs as when it is started as root.",
        |s, raw| s.account = account(raw)?
    ),
    row!(
        "seccomp.name_refused",
        Preset::Text("asked"),
        "off or asked",
        "Whether a submission may ask with `diagnose` which system calls its runs were refused. Such a run is watched, which makes \
         every system call slower and takes processor time outside of its limits; `off` refuses the field with 422.",
        |s, raw| s.name_refused = match raw.text()? {
            "off" => NameRefused::Off,
            "asked" => NameRefused::Asked,
            _ => return None,
        }
    ),
    row!(
        "shutdown_ms",
        Preset::Text("20000"),
        MILLISECONDS,
        "What running jobs get to finish in after the first SIGTERM or SIGINT. A second signal ends the wait. What did not finish runs again after the next start.",
        |s, raw| s.shutdown = millis(raw)?
    ),
    row!(
        "launch_ms",
        Preset::Text("10000"),
        MILLISECONDS,
        "The time-out of one call of the OCI runtime, and of each probe of the self-test.",
        |s, raw| { s.launch = millis(raw)? }
    ),
    row!(
        "pool.least",
        Preset::Text("1"),
        "a whole number, 0 to 64",
        "Containers of each language and step that wait for jobs although no job asked for one lately.",
        |s, raw| s.pool_least = whole(raw, 0, 64)?
    ),
    row!(
        "pool.most",
        Preset::Text("24"),
        "a whole number, 0 to 64",
        "Containers of each language and step that wait for jobs at most. 0 for this and `pool.least` makes every container when its job comes.",
        |s, raw| s.pool_most = whole(raw, 0, 64)?
    ),
    row!(
        "pool.memory_mib",
        Preset::Text("512"),
        "MiB, 0 to 1048576",
        "Memory of all containers that wait for jobs together: while they have had as much, none is made; nor one of a language and step that has half of it.",
        |s, raw| s.pool_memory = Bytes::mib(within(raw, 0, 1_048_576)?)
    ),
    row!(
        "compile_cache_mib",
        Preset::Text("32"),
        "MiB, 0 to 65536",
        "Room in memory for compiled programs, so that the same source is compiled once. 0 compiles every time.",
        |s, raw| s.compile_cache = Bytes::mib(within(raw, 0, 65_536)?)
    ),
    row!(
        "tests.most",
        Preset::Text("1000"),
        "a whole number, 1 to 10000",
        "Tests of one submission. More are refused with 422.",
        |s, raw| s.tests.most = whole(raw, 1, 10_000)?
    ),
    row!(
        "tests.output_bytes",
        Preset::Text("16777216"),
        "bytes, 0 to 1073741824",
        "What is kept of the output of all tests of a submission together. What is beyond is compared, and counted as truncated.",
        |s, raw| s.tests.output = Bytes(within(raw, 0, 1 << 30)?)
    ),
    row!(
        "collect.file_bytes",
        Preset::Text("1048576"),
        "bytes, 0 to 268435456",
        "What is given back of one file that a submission asks for with `collect`; the rest is cut off.",
        |s, raw| s.collect_file = Bytes(within(raw, 0, 256 << 20)?)
    ),
    row!(
        "collect.bytes",
        Preset::Text("4194304"),
        "bytes, 0 to 1073741824",
        "What is given back of all files of a submission together, those of all its tests among them.",
        |s, raw| s.collect_all = Bytes(within(raw, 0, 1 << 30)?)
    ),
    row!(
        "tests.wall_ms",
        Preset::Text("600000"),
        MILLISECONDS,
        "From the start of work on a submission with tests; after it no further test begins, and the verdict is `time_limit`.",
        |s, raw| s.tests.wall = millis(raw)?
    ),
    row!(
        "log",
        Preset::Text("info"),
        "off, error, warn, info, debug or trace",
        "The least important lines that are still logged.",
        |s, raw| s.log = LEVELS.into_iter().find(|level| raw.text() == Some(level))?.to_owned()
    ),
    row!(
        "log_format",
        Preset::Text("text"),
        "text, json or auto",
        "The form of the log: lines of `text` with prefixes, each an object of `json`, or `auto`: text where standard error is a \
         terminal, JSON elsewhere.",
        |s, raw| s.log_format = match raw.text()? {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            "auto" => LogFormat::Auto,
            _ => return None,
        }
    ),
    row!(
        "cors_origins",
        Preset::Derived("`*`; none for routes that want a token"),
        "`*`, or origins such as https://example.org",
        "The origins whose pages may use the service.",
        |s, raw| s.cors_origins = origins(raw)?
    ),
    row!(
        "tokens",
        Preset::Derived("nobody is asked for a token"),
        ANY_PATH,
        "The file of the tokens that clients must have for the routes below `/v1/`. It is read once, at the start.",
        |s, raw| s.tokens = Some(path(raw)?)
    ),
];

/// The settings of the store.
#[allow(clippy::semicolon_if_nothing_returned)]
const STORE: &[Row] = &[
    row!(
        "store.keep_hours",
        Preset::Text("168"),
        "hours, 1 to 876000",
        "How long a result is kept after the end of its job.",
        |s, raw| s.store.age = Duration::from_secs(3600 * within(raw, 1, 876_000)?)
    ),
    row!(
        "store.keep_mib",
        Preset::Text("1024"),
        "MiB, 1 to 16777216",
        "Results that are kept together, with all that is noted of each; the oldest go first, whoever submitted them.",
        |s, raw| s.store.bytes = Bytes::mib(within(raw, 1, 1 << 24)?)
    ),
    row!(
        "store.reserve_mib",
        Preset::Text("16"),
        "MiB, 1 to 16777216",
        "What must stay free on the disk of the store. With less, submissions are refused with 503.",
        |s, raw| s.store.reserve = Bytes::mib(within(raw, 1, 1 << 24)?)
    ),
];
