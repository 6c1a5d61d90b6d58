//! A machine where no cgroup can be had: the service does not start, unless somebody asks for what that means by name;
//! then it does what can be done without, and every report says what that is not.

use serde_json::{Value, json};

use super::endings::java;
use crate::support::machine::Place;
use crate::support::table::{Table, row};
use crate::support::{Runtime, Server, Settings, account, command};
use crate::{needs, program, support::Need, under_both_runtimes};

const FLAG: &str = "--allow-unenforced-limits";

fn c(body: &str) -> String {
    format!("{}\nint main(void) {{ {body} return 0; }}", program!("c/includes.h"))
}

fn it_does_not_start(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Root);
    let settings = Settings::new(runtime).without_cgroups();
    let failed = Server::try_start(&settings, Place::shared()).expect_err("there are no limits");
    assert!(failed.status.is_some_and(|status| !status.success()), "{:?}", failed.status);
    assert!(failed.log.contains("no limit can be set"), "{}", failed.log);
    let seen = command::casemate(&settings, &["run", &file("hello.py", "print(1)").1], b"");
    assert_eq!((seen.status.code(), seen.stdout.as_slice()), (Some(125), &b""[..]), "{seen:?}");
}

fn it_starts_where_that_is_asked_for(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Root);
    let settings = Settings::new(runtime).without_cgroups();
    let setting = settings.clone().set("CASEMATE_UNENFORCED_LIMITS", "allow");
    for (settings, arguments) in [(settings, &[FLAG][..]), (setting, &[])] {
        let server = Server::try_start_with(&settings, arguments, Place::shared());
        let server = server.unwrap_or_else(|failed| panic!("{arguments:?}: {}", failed.log));
        assert!(server.log().contains("WARN LIMITS ARE NOT ENFORCED"), "{}", server.log());
        Table::of([
            row("hello", "python", "print('hello')").completes("hello\n"),
            row("hello", "c", program!("c/hello.c")).completes("hello\n"),
            row("hello", "java", program!("java/Hello.java")).completes("hello\n"),
            row("a heap of 200 MiB is allowed", "java", java("byte[] b = new byte[150 << 20]; System.out.println(b.length);"))
                .completes("157286400\n"),
            row("threads", "java", java("Thread[] all = new Thread[40]; for (int i = 0; i < 40; i++) { all[i] = new Thread(() -> {}); all[i].start(); } for (Thread t : all) t.join(); System.out.println(40);"))
                .completes("40\n"),
            row("200 MiB", "c", c("memset(malloc(200 << 20), 1, 200 << 20); sleep(60);")).fails("\nexit status 137"),
            row("many eaters", "python", program!("python/many_eaters.py")).fails_with("", &[], "\nexit status 137"),
            // Neither alone is over the limit; it waits, so that somebody looks.
            row("files in /tmp and heap", "c", program!("c/tmp_and_heap.c")).fails("\nexit status 137"),
            row("processes", "c", program!("c/processes.c")).prints_between(32.0, 64.0),
            row("output", "c", c("for (;;) puts(\"flood\");")).check(|seen| {
                let end = "\noutput limit of 8388608 bytes exceeded";
                if seen.output().ends_with(end) { Ok(()) } else { Err(seen.output().chars().take(200).collect()) }
            }),
        ])
        .run(&server);
    }
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let dir = account::directory("programs");
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("a program");
    account::give(&path);
    let path = path.display().to_string();
    (dir, path)
}

fn every_report_says_so(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Root);
    let held = c("memset(malloc(200 << 20), 1, 200 << 20); sleep(60);");
    // Over before anybody has looked; the kernel remembers the most that a process had.
    let quick = c("memset(malloc(200 << 20), 1, 200 << 20);");
    let busy = c("for (volatile int i = 0;; i++);");
    let busy_child = c("if (!fork()) for (volatile int i = 0;; i++); wait(0);");
    let forks = program!("c/fork_until_refused.c").replace("STATUS", "1");
    let rows: [(&str, &str, &str, &str); 6] = [
        ("ok.c", &c("puts(\"hi\");"), "accepted", ""),
        ("held.c", &held, "memory_limit", "memory_bytes"),
        ("quick.c", &quick, "memory_limit", "memory_bytes"),
        ("busy.c", &busy, "cpu_limit", "cpu_ms"),
        ("busy_child.c", &busy_child, "cpu_limit", "cpu_ms"),
        // Nobody counts the forks that were refused.
        ("forks.c", &forks, "exit_status", ""),
    ];
    let settings = Settings::new(runtime).without_cgroups().limit(&["c"], "RUN", "CPU_SECONDS", 1);
    for (name, text, verdict, fired) in rows {
        let (_directory, path) = file(name, text);
        let seen = command::casemate(&settings, &["run", FLAG, "--json", &path], b"");
        assert!(String::from_utf8_lossy(&seen.stderr).contains("LIMITS ARE NOT ENFORCED"), "{seen:?}");
        let report: Value = serde_json::from_slice(&seen.stdout).unwrap_or_else(|error| panic!("{error}: {seen:?}"));
        for step in [&report["compile"], &report["run"]] {
            let weak = step["not_enforced"].as_array().expect("a list");
            assert!(weak.contains(&json!("memory_bytes")) && weak.contains(&json!("cpu_ms")), "{report:#}");
        }
        let run = &report["run"];
        assert_eq!(run["verdict"], verdict, "{report:#}");
        assert_eq!(run["not_enforced"], json!(["memory_bytes", "cpu_percent", "cpu_ms"]), "{report:#}");
        let by = |limit: &str| run["limits"][limit]["enforced_by"].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            [by("memory_bytes"), by("cpu_ms"), by("cpu_percent"), by("processes")],
            ["sampling", "sampling", "none", "rlimit"]
        );
        assert_eq!(run["limits"]["wall_ms"]["fired"], json!(false), "it was not ended in time: {report:#}");
        assert!(fired.is_empty() || run["limits"][fired]["fired"] == json!(true), "{report:#}");
    }
}

under_both_runtimes!(it_does_not_start, it_starts_where_that_is_asked_for, every_report_says_so);
