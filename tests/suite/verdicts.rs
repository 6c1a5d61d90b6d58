//! Each verdict, and what became of each limit, from a real program: `casemate run --json`. What the routes make of them
//! stands beside it, in the words of the contract.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::table::{Row, Table, row};
use crate::support::{Runtime, Server, Settings, account, command, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

/// One program: what it is called, its settings, its text, how it ended, the limits that fired.
struct Case {
    file: &'static str,
    text: String,
    limits: &'static [(&'static str, u64)],
    ended: &'static str,
    fired: &'static [&'static str],
}

fn case(file: &'static str, text: impl Into<String>, ended: &'static str, fired: &'static [&'static str]) -> Case {
    Case { file, text: text.into(), limits: &[], ended, fired }
}

impl Case {
    const fn limit(mut self, limits: &'static [(&'static str, u64)]) -> Self {
        self.limits = limits;
        self
    }
}

fn c(body: &str) -> String {
    format!("{}\nint main(void) {{ {body} return 0; }}", program!("c/includes.h"))
}

fn forks(status: u32) -> String {
    program!("c/fork_until_refused.c").replace("STATUS", &status.to_string())
}

/// What takes processor time has no share, so that only the limit in question comes into play.
fn cases() -> Vec<Case> {
    let free: &[_] = &[("CPU_PERCENT", 0), ("WALL_MS", 60_000)];
    vec![
        case("ok.c", c("puts(\"hi\");"), "accepted", &[]),
        case("seven.c", c("return 7;"), "exit_status 7", &[]),
        case("segv.c", c("raise(SIGSEGV);"), "signal SIGSEGV", &[]),
        case("kill.c", c("raise(SIGKILL);"), "signal SIGKILL", &[]),
        case("memory.c", c("memset(malloc(200 << 20), 1, 200 << 20);"), "memory_limit", &["memory_bytes"]).limit(free),
        case("busy.c", c("for (volatile int i = 0;; i++);"), "cpu_limit", &["cpu_ms"]).limit(&[
            ("CPU_PERCENT", 0),
            ("CPU_SECONDS", 1),
            ("WALL_MS", 60_000),
        ]),
        case("own_cpu_limit.c", program!("c/own_cpu_limit.c"), "cpu_limit", &["cpu_ms"]).limit(free),
        case("sleep.c", c("sleep(60);"), "time_limit", &["wall_ms"]).limit(&[("WALL_MS", 500)]),
        case("flood.c", c("for (;;) puts(\"flood\");"), "output_limit", &["output_bytes"]).limit(&[
            ("CPU_PERCENT", 0),
            ("OUTPUT_BYTES", 1000),
            ("WALL_MS", 60_000),
        ]),
        case("forks.c", forks(1), "process_limit", &["processes"]).limit(free),
        case("forks_signal.c", forks(256), "process_limit", &["processes"]).limit(free),
        case("forks_well.c", forks(0), "accepted", &["processes"]).limit(free),
        case("file.c", program!("c/file_too_large.c"), "file_limit", &["file_bytes"]),
        case("share.c", c("for (volatile int i = 0; i < 400000000; i++);"), "time_limit", &["cpu_percent", "wall_ms"])
            .limit(&[("CPU_PERCENT", 1), ("WALL_MS", 1500)]),
        #[cfg(target_arch = "x86_64")]
        case("abi32.c", program!("c/abi32.c"), "syscall_denied", &[]),
        #[cfg(target_arch = "x86_64")]
        case("abi_x32.c", program!("c/abi_x32.c"), "syscall_denied", &[]),
    ]
}

/// The report of one program.
fn report(runtime: Runtime, case: &Case) -> Value {
    let dir = account::directory("programs");
    let path = dir.path().join(case.file);
    std::fs::write(&path, &case.text).expect("a program");
    account::give(&path);
    let settings = case.limits.iter().fold(Settings::new(runtime), |s, (name, n)| s.limit(&["c"], "RUN", name, *n));
    let path = path.display().to_string();
    let seen = command::casemate(&settings, &["run", "--json", &path], b"");
    serde_json::from_slice(&seen.stdout).unwrap_or_else(|error| panic!("{}: {error}: {seen:?}", case.file))
}

/// The verdict, and with what it is about.
fn ended(step: &Value) -> String {
    let verdict = step["verdict"].as_str().expect("a verdict");
    match verdict {
        "exit_status" => format!("{verdict} {}", step["exit_status"]),
        "signal" => format!("{verdict} {}", step["signal"].as_str().unwrap_or_default()),
        _ => verdict.to_owned(),
    }
}

fn fired(step: &Value) -> Vec<String> {
    let limits = step["limits"].as_object().expect("limits");
    let fired = |limit: &Value| limit["fired"] == json!(true);
    limits.iter().filter(|(_, limit)| fired(limit)).map(|(name, _)| name.clone()).collect()
}

fn each_verdict_and_what_fired(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let (cases, next, wrong) = (cases(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let report = report(runtime, case);
            let run = &report["run"];
            if ended(run) != case.ended || report["verdict"] != run["verdict"] || fired(run) != case.fired {
                let told = format!("{}: wanted {} {:?}, got {report:#}", case.file, case.ended, case.fired);
                wrong.lock().expect("what is wrong").push(told);
            }
        }
    };
    // Most of a case is compiling or waiting.
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let wrong = wrong.into_inner().expect("what is wrong");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What was used is what the program used, and nothing is called enforced by nobody.
fn every_limit_is_accounted_for(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let body = "memset(malloc(40 << 20), 1, 40 << 20); puts(\"hello\"); for (int i = 0; i < 20; i++) if (!fork()) { usleep(300000); _exit(0); } \
                for (int i = 0; i < 20; i++) wait(0);";
    let report = report(runtime, &case("used.c", c(body), "accepted", &[]));
    let limits = report["run"]["limits"].as_object().expect("limits").clone();
    let names = "cpu_ms cpu_percent file_bytes memory_bytes open_files output_bytes processes stack_bytes tmp_bytes tmp_inodes wall_ms";
    assert_eq!(limits.keys().cloned().collect::<Vec<_>>().join(" "), names);
    let used = |name: &str| limits[name]["used"].as_u64().unwrap_or_else(|| panic!("{name}: {report:#}"));
    assert!((40 << 20..100 << 20).contains(&used("memory_bytes")), "{report:#}");
    assert!((300..scale::limit("WALL_MS", 5000)).contains(&used("wall_ms")), "{report:#}");
    assert!((1..scale::limit("WALL_MS", 2000)).contains(&used("cpu_ms")), "{report:#}");
    assert_eq!((used("processes"), used("output_bytes")), (21, 6), "{report:#}");
    assert_eq!(limits["memory_bytes"]["limit"], json!(100 << 20));
    assert_eq!(limits["processes"]["limit"], json!(64));
    assert_eq!(report["run"]["not_enforced"], json!([]));
    for (name, limit) in &limits {
        let by = limit["enforced_by"].as_str().unwrap_or_default();
        let wanted = match name.as_str() {
            "memory_bytes" | "processes" | "cpu_percent" => by == "cgroup_v1" || by == "cgroup_v2",
            "cpu_ms" | "wall_ms" | "output_bytes" => by == "watchdog",
            "tmp_bytes" | "tmp_inodes" => by == "tmpfs",
            _ => by == "rlimit",
        };
        assert!(wanted, "{name}: {report:#}");
    }
}

/// A compiler that refuses a program is another ending than one that is stopped.
fn compile_errors_are_told_apart(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let broken = report(runtime, &case("broken.c", "int main(void) { return }", "", &[]));
    assert_eq!((&broken["verdict"], &broken["run"]), (&json!("compile_error"), &json!(null)), "{broken:#}");
    let compile = &broken["compile"];
    assert_eq!((&compile["verdict"], &compile["exit_status"]), (&json!("compile_error"), &json!(1)), "{broken:#}");
}

fn rows() -> Vec<Row> {
    vec![
        row("failed after a refused fork", "c", forks(1)).fails("\nexit status 1"),
        row("a signal after a refused fork", "c", forks(256)).fails("\nexit status 134"),
        row("a refused fork and success", "c", forks(0)).completes(""),
        row("a file that is too large", "c", program!("c/file_too_large.c")).fails("\nexit status 153"),
        #[cfg(target_arch = "x86_64")]
        row("a call through the 32-bit ABI", "c", program!("c/abi32.c")).fails("\nexit status 159"),
        #[cfg(target_arch = "x86_64")]
        row("a call through the x32 ABI", "c", program!("c/abi_x32.c")).fails("\nexit status 159"),
    ]
}

fn the_routes_say_what_they_always_said(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(rows()).run(Server::shared(runtime));
}

under_both_runtimes!(
    each_verdict_and_what_fired,
    every_limit_is_accounted_for,
    compile_errors_are_told_apart,
    the_routes_say_what_they_always_said,
);
