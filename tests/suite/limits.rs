//! Limits of a run, tripped for real: time, memory, processor share, files, processes.

use std::time::{Duration, Instant};

use serde_json::json;

use super::endings::java;
use crate::support::table::{Row, Table, row};
use crate::support::{Runtime, Server, Settings, account, command, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

fn c(body: &str) -> String {
    format!("{}\nint main(void) {{ {body} return 0; }}", program!("c/includes.h"))
}

fn run_time_out(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).limit(&["python", "c", "cpp"], "RUN", "WALL_MS", 1000).limit(
        &["java"],
        "RUN",
        "WALL_MS",
        2500,
    );
    let server = Server::start(&settings);
    let timed_out = |ms| format!("\nexecution timed out after {} seconds", scale::seconds(ms));
    let end = &timed_out(1000);
    let kept = format!("before\n{end}");
    Table::of([
        row("asleep", "python", "import time\nprint('before', flush=True)\ntime.sleep(60)").fails(&kept),
        row("busy", "python", "print('before', flush=True)\nwhile True: pass").fails(&kept),
        row("nothing printed", "python", "while True: pass").fails(end),
        row("a sleeping child", "python", program!("python/sleeping_child.py")).fails(&kept),
        row("deaf to every signal", "python", program!("python/deaf.py")).fails(&kept),
        row("stopped", "c", c("puts(\"before\"); fflush(stdout); raise(SIGSTOP);")).fails(&kept),
        row("busy", "c", c("puts(\"before\"); fflush(stdout); for (volatile int i = 0;; i++);")).fails(&kept),
        row("busy", "cpp", "#include <iostream>\nint main() { std::cout << \"before\" << std::endl; for (volatile int i = 0;; i = i + 1); }")
            .fails(&kept),
        row("asleep", "java", java("System.out.println(\"before\"); Thread.sleep(60000);"))
            .fails(format!("before\n{}", timed_out(2500))),
        row("with input that nobody reads", "python", "while True: pass").input("x".repeat(1 << 20)).fails(end),
        row("waiting for itself", "python", "import os\nr, w = os.pipe()\nos.read(r, 1)").fails(end),
        row("the next one is well", "python", "print('well')").completes("well\n"),
    ])
    .run(&server);
    let seen = server.client().run("python", "while True: pass", None);
    let (least, most) = (scale::limit("WALL_MS", 1000), scale::limit("WALL_MS", 2500));
    assert!((least..most).contains(&seen.execution_ms()), "{}", seen.result);
}

/// The limits that the contract promises, without any setting. Four workers, so that all wait at once.
fn slow_default_time_outs(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("MAX_WORKERS", 4));
    Table::of([
        row("10 s", "python", "import time\nprint('before', flush=True)\ntime.sleep(60)")
            .fails("before\n\nexecution timed out after 10 seconds"),
        row("15 s", "java", java("Thread.sleep(60000);")).fails("\nexecution timed out after 15 seconds"),
        row("10 s", "c", c("sleep(60);")).fails("\nexecution timed out after 10 seconds"),
        row("10 s", "cpp", "#include <unistd.h>\nint main() { sleep(60); }")
            .fails("\nexecution timed out after 10 seconds"),
    ])
    .run(&server);
}

/// A process that outlives its parent does not keep the job alive.
fn the_job_ends_with_its_program(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    for (language, code) in [
        ("python", program!("python/daemon.py").to_owned()),
        ("c", c("if (!fork()) { setsid(); sleep(60); } puts(\"parent\");")),
    ] {
        let began = Instant::now();
        let seen = client.run(language, &code, None);
        assert_eq!((seen.state(), seen.output()), ("completed", "parent\n"), "{language}");
        assert!(began.elapsed() < scale::patience(Duration::from_secs(8)), "{language}: {:?}", began.elapsed());
    }
}

fn memory_rows() -> Vec<Row> {
    let killed = "\nexit status 137";
    let before = "before\n\nexit status 137";
    vec![
        row("200 MiB", "python", "print('before', flush=True)\nx = b'x' * (200 << 20)").fails(before),
        row("200 MiB", "c", c("puts(\"before\"); fflush(stdout); memset(malloc(200 << 20), 1, 200 << 20);")).fails(before),
        row("200 MiB", "cpp", "#include <vector>\n#include <iostream>\nint main() { std::cout << \"before\" << std::endl; std::vector<char> v(200 << 20, 1); }")
            .fails(before),
        row("heap and direct buffers of 400 MiB", "java", program!("java/TooMuchMemory.java")).fails_with("before\n", &[], killed),
        row("a touched .bss", "c", format!("{}\nstatic char big[200 << 20];\nint main(void) {{ memset(big, 1, sizeof big); }}", program!("c/includes.h")))
            .fails(killed),
        row("2 GiB of .bss, touched", "c", program!("c/large_bss.c")).fails(killed),
        row("memfd counts", "c", program!("c/memfd.c")).fails(killed),
        row("/dev/shm counts", "python", "print('before', flush=True)\nheld = []\nfor i in range(60):\n    open('/dev/shm/%d' % i, 'wb').write(b'x' * (1 << 20))\nx = b'x' * (60 << 20)")
            .fails(before),
        row("the rest goes too: a parent that sleeps", "c", c("if (!fork()) { memset(malloc(200 << 20), 1, 200 << 20); _exit(0); } sleep(60);"))
            .check(|seen| {
                // Not by the clock, which would come after ten seconds.
                let fits = seen.state() == "failed" && seen.output() == "\nexit status 137" && seen.execution_ms() < scale::limit("WALL_MS", 9_000);
                if fits { Ok(()) } else { Err(format!("{} after {} ms", seen.output(), seen.execution_ms())) }
            }),
        row("files in /tmp count", "python", program!("python/tmp_and_heap.py")).fails_with("before\n", &[], killed),
        row("many children", "python", program!("python/many_eaters.py")).fails_with("", &[], killed),
        row("a parent that survives and exits 0", "python", program!("python/surviving_parent.py")).fails_with("", &[], killed),
        row("a parent that survives and exits 0", "c", c("if (!fork()) { memset(malloc(200 << 20), 1, 200 << 20); _exit(0); } wait(0);"))
            .fails(killed),
        // A bare SIGKILL is a signal; it reads the same, and needs no memory.
        row("80 MiB are allowed", "c", c("memset(malloc(80 << 20), 1, 80 << 20); puts(\"fits\");")).completes("fits\n"),
        row("200 MiB are allowed in Java", "java", java("byte[] b = new byte[150 << 20]; System.out.println(b.length);"))
            .completes("157286400\n"),
        row("an untouched .bss costs nothing", "c", "static char big[1 << 30];\nint main(void) { return big[7]; }").completes(""),
        row("memory that is refused is no overrun", "python", "try:\n    bytearray(1 << 62)\nexcept (MemoryError, OverflowError):\n    print('refused')")
            .completes("refused\n"),
    ]
}

fn memory(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(memory_rows()).run(Server::shared(runtime));
}

fn resources() -> Vec<Row> {
    let limit = |name: &str| format!("import resource; print(*resource.getrlimit(resource.{name}))");
    let c_limit = |name: &str| {
        c(&format!(
            "struct rlimit r; getrlimit({name}, &r); printf(\"%llu %llu\\n\", (unsigned long long)r.rlim_cur, (unsigned long long)r.rlim_max);"
        ))
    };
    vec![
        row("open files", "python", limit("RLIMIT_NOFILE")).completes("64 64\n"),
        row("open files", "c", c_limit("RLIMIT_NOFILE")).completes("256 256\n"),
        row("open files, counted", "python", program!("python/open_files.py")).completes("64 24\n"),
        row("stack", "python", limit("RLIMIT_STACK")).completes("8388608 8388608\n"),
        row("stack", "c", c_limit("RLIMIT_STACK")).completes("104857600 104857600\n"),
        row("a deep stack", "cpp", program!("cpp/deep_stack.cpp")).completes("40960\n"),
        row("largest file", "c", c_limit("RLIMIT_FSIZE")).completes("67108864 67108864\n"),
        row("no core files", "c", c_limit("RLIMIT_CORE")).completes("1 1\n"),
        row("processes", "python", program!("python/processes.py")).prints_between(32.0, 64.0),
        row("processes", "c", program!("c/processes.c")).prints_between(32.0, 64.0),
        row("threads", "python", program!("python/threads.py")).prints_between(32.0, 64.0),
        row("threads in Java", "java", java("Thread[] all = new Thread[40]; for (int i = 0; i < 40; i++) { all[i] = new Thread(() -> {}); all[i].start(); } for (Thread t : all) t.join(); System.out.println(40);"))
            .completes("40\n"),
        row("10 % of a processor", "python", program!("python/busy.py")).prints_between(0.15, 0.75).measures(),
        row("10 % of a processor", "c", program!("c/busy.c")).prints_between(0.15, 0.75).measures(),
        row("50 % of a processor", "java", program!("java/Busy.java")).prints_between(1.0, 2.6).measures(),
        row("a short program is not slowed", "c", program!("c/short_burst.c")).prints_between(0.0, 250.0).measures(),
    ]
}

fn files_processes_processor(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(resources()).run(Server::shared(runtime));
}

fn limits_are_settings(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    // On v1 the runtime works inside the group, runc with a dozen threads: the limit is not for them.
    let few: u8 = if std::path::Path::new("/sys/fs/cgroup/pids").is_dir() { 3 } else { 20 };
    let settings = Settings::new(runtime)
        .limit(&["c"], "RUN", "MEMORY_MIB", 20)
        .limit(&["python"], "RUN", "CPU_PERCENT", 50)
        .limit(&["python"], "RUN", "OPEN_FILES", 32)
        .limit(&["python"], "RUN", "PIDS", few.into());
    let server = Server::start(&settings);
    Table::of([
        row("10 MiB of 20", "c", c("memset(malloc(10 << 20), 1, 10 << 20); puts(\"fits\");")).completes("fits\n"),
        row("30 MiB of 20", "c", c("memset(malloc(30 << 20), 1, 30 << 20);")).fails("\nexit status 137"),
        row("50 % of a processor", "python", program!("python/busy.py")).prints_between(0.9, 2.2).measures(),
        row("32 files", "python", "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])")
            .completes("32\n"),
        row("few processes", "python", program!("python/processes.py"))
            .prints_between(f64::from(few) / 2.0, f64::from(few)),
    ])
    .run(&server);
}

/// What was read stays in memory as long as there is room, and no longer.
fn page_cache_is_no_overrun(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime)
        .limit(&["c"], "RUN", "MEMORY_MIB", 40)
        .limit(&["c"], "RUN", "CPU_PERCENT", 0)
        .limit(&["c"], "RUN", "WALL_MS", 60_000);
    let server = Server::start(&settings);
    Table::of([row("1 GiB", "c", program!("c/page_cache.c")).completes("read\n")]).run(&server);
}

/// What the kernel remembers of names that are not there is memory of the job's: it takes as much of it as there is, and where
/// there is no more, the kernel forgets the oldest.
fn missing_names_count_as_memory(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("CASEMATE_CEILINGS__RUN__MEMORY_MIB", 400);
    let settings = settings.limit(&["c"], "RUN", "CPU_PERCENT", 0).limit(&["c"], "RUN", "WALL_MS", 60_000);
    let server = Server::start(&settings.limit(&["c"], "RUN", "CPU_SECONDS", 60));
    let taken = |mib: u64| {
        let limits = json!({"run": {"memory_bytes": mib << 20}});
        let body = json!({"language": "c", "source": program!("c/missing_names.c"), "limits": limits});
        let seen = server.client().judge(&body);
        assert_eq!((&seen["verdict"], &seen["run"]["stdout"]), (&json!("accepted"), &json!("looked\n")), "{seen:#}");
        seen["run"]["memory_bytes"].as_u64().expect("a number") >> 20
    };
    let (narrow, wide) = (taken(40), taken(400));
    println!("{narrow} MiB of 40, {wide} of 400");
    assert!((30..=40).contains(&narrow) && wide > 60, "{narrow} MiB of 40, {wide} of 400");
}

/// A share of the processor is no reason to wait for those who have nobody left to work for.
fn the_end_is_prompt_under_a_share(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let dir = account::directory("programs");
    let path = dir.path().join("orphans.c");
    std::fs::write(&path, program!("c/spinning_orphans.c")).expect("a program");
    account::give(&path);
    let path = path.display().to_string();
    for _ in 0..4 {
        let seen = command::casemate(&Settings::new(runtime), &["run", "--json", &path], b"");
        let report: serde_json::Value = serde_json::from_slice(&seen.stdout).expect("a report");
        let run = &report["run"];
        assert_eq!((&run["verdict"], &run["stdout"]), (&"accepted".into(), &"parent\n".into()), "{report:#}");
        let number = |name: &str| run[name].as_u64().unwrap_or(u64::MAX);
        // Who shares the group's slice with them uses it up, and waits for the next.
        let (wall, share) = (number("wall_us") / 1000, number("cpu_us"));
        let prompt = wall < scale::limit("WALL_MS", 450) || share < scale::limit("WALL_MS", 80_000);
        assert!(prompt && wall < scale::limit("WALL_MS", 900), "{report:#}");
    }
}

under_both_runtimes!(
    page_cache_is_no_overrun,
    missing_names_count_as_memory,
    the_end_is_prompt_under_a_share,
    run_time_out,
    slow_default_time_outs,
    the_job_ends_with_its_program,
    memory,
    files_processes_processor,
    limits_are_settings,
);
