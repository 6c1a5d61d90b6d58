//! `casemate seccomp trace`: what a program asks of the kernel is told, and it meets what it meets in every job.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::machine::Place;
use crate::support::{Runtime, Settings, account, command};
use crate::{needs, support::Need, under_both_runtimes};

/// Ends with 0 where each call meets the answer of the profile `run`, in every process and thread that makes it.
const ASKS: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static int refused(long answer, int error) { return answer == -1 && errno == error; }
static void *thread(void *wrong) {
    *(int *)wrong = !refused(syscall(SYS_ptrace, 0, 0, 0, 0), EPERM);
    return wrong;
}
static volatile int caught;
static void handler(int signal) { caught = signal; }
int main(void) {
    int status, wrong = 0;
    for (int i = 0; i < 3; i++) {
        if (fork() == 0) _exit(!refused(syscall(SYS_ptrace, 0, 0, 0, 0), EPERM));
        if (wait(&status) < 0 || status != 0) return 2;
    }
    pthread_t other;
    if (pthread_create(&other, 0, thread, &wrong) || pthread_join(other, 0) || wrong) return 3;
    signal(SIGRTMIN + 3, handler);
    raise(SIGRTMIN + 3);
    if (caught != SIGRTMIN + 3) return 4;
    pid_t child = fork();
    if (child == 0) { raise(SIGSTOP); _exit(7); }
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) return 5;
    if (kill(child, SIGCONT) || waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7) return 6;
    if (!refused(socket(AF_INET, SOCK_STREAM, 0), EPERM) || !refused(socket(AF_INET, SOCK_DGRAM, 0), EPERM)) return 8;
    if (close(socket(AF_UNIX, SOCK_STREAM, 0))) return 9;
    if (!refused(syscall(SYS_clone3, 0, 0), ENOSYS) || !refused(syscall(600, 1), ENOSYS)) return 10;
    if (!refused(syscall(SYS_mincore, 0, 0, 0), ENOSYS)) return 11;
    execl("/proc/self/exe", "again", "again", NULL);
    return 12;
}
"#;

/// Goes on only where `mincore` works and `ptrace` does not.
const WANTS: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static char page[8192];
int main(void) {
    unsigned char there;
    char *at = (char *)(((unsigned long)page + 4095) & ~4095ul);
    *at = 1;
    if (syscall(SYS_ptrace, 0, 0, 0, 0) != -1 || errno != EPERM) return 5;
    if (mincore(at, 1, &there)) return 3;
    puts("on");
    return 0;
}
"#;

fn casemate(settings: &Settings, arguments: &[&str]) -> Output {
    command::casemate(settings, arguments, b"")
}

fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("a file");
    account::give(&path);
    path.display().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The report of one program, which is also that of no fault.
fn traced(settings: &Settings, arguments: &[&str]) -> Value {
    let seen = casemate(settings, &[&["seccomp", "trace", "--json"], arguments].concat());
    assert!(seen.status.success(), "{arguments:?}: {} {}", text(&seen.stdout), text(&seen.stderr));
    serde_json::from_slice(&seen.stdout).expect("JSON")
}

/// The lines of the calls of one step that are called so: fate, first argument that was looked at, count.
fn lines(step: &Value, name: &str) -> Vec<(String, Option<String>, u64)> {
    let of = |call: &Value| {
        let argument = call.pointer("/arguments/0/value").and_then(Value::as_str).map(str::to_owned);
        (call["fate"].as_str().expect("a fate").to_owned(), argument, call["count"].as_u64().expect("a count"))
    };
    step["calls"].as_array().expect("calls").iter().filter(|call| call["name"] == name).map(of).collect()
}

fn every_call_is_told_with_what_became_of_it(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let dir = account::directory("programs");
    // The second time it runs it has done enough.
    let asks = ASKS.replace("int main(void) {", "int main(int argc, char **argv) {\n    if (argc > 1) return 0;");
    let program = file(dir.path(), "asks.c", &asks);
    let settings = Settings::new(runtime);
    let report = traced(&settings, &["--", "c", &program]);
    assert_eq!(report["verdict"], "accepted", "each call met what the profile says: {report:#}");
    let [compile, run] = &report["steps"].as_array().expect("steps")[..] else { panic!("{report:#}") };
    assert_eq!((&compile["step"], &compile["profile"]), (&"compile".into(), &"compile".into()));
    assert_eq!((&run["step"], &run["profile"]), (&"run".into(), &"run".into()));
    let line = |fate: &str, argument: Option<&str>, count| (fate.to_owned(), argument.map(str::to_owned), count);
    for (name, wanted) in [
        ("ptrace", vec![line("refused", None, 4)]),
        ("socket", vec![line("allowed", Some("0x1"), 1), line("refused", Some("0x2"), 2)]),
        ("mincore", vec![line("unknown", None, 1)]),
        ("600", vec![line("unknown", None, 1)]),
        ("execve", vec![line("allowed", None, 1)]),
        // What libc asks of it before main, both times, by rules of several arguments.
        ("prlimit64", vec![line("allowed", Some("0x0"), 2)]),
        ("kill", vec![line("allowed", None, 1)]),
    ] {
        let mut seen = lines(run, name);
        seen.sort();
        assert_eq!(seen, wanted, "{name}: {run:#}");
    }
    // libc itself tries it before every fork and thread.
    let clone3: Vec<String> = lines(run, "clone3").into_iter().map(|(fate, ..)| fate).collect();
    assert_eq!(clone3, ["unknown"]);
    let ptrace = run["calls"].as_array().expect("calls").iter().find(|call| call["name"] == "ptrace").expect("ptrace");
    assert!(ptrace["group"].is_string() && ptrace["why"].is_string(), "{ptrace}");
    assert!(!lines(compile, "execve").is_empty() && !lines(compile, "openat").is_empty(), "{compile:#}");
    assert_eq!((&run["not_listed"], &run["incomplete"]), (&0.into(), &false.into()));

    let seen = casemate(&settings, &["seccomp", "trace", "c", &program]);
    let page = text(&seen.stdout);
    assert!(page.contains("\nrun, under the profile run: accepted, "), "{page}");
    assert!(page.contains("2  socket with argument 0 = 0x2\n             group "), "{page}");
}

fn a_call_that_ends_the_program_is_named(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let dir = account::directory("programs");
    let text = "int main(void) { __asm__ volatile(\"int $0x80\" : : \"a\"(20)); return 0; }";
    let report = traced(&Settings::new(runtime), &["c", &file(dir.path(), "other.c", text)]);
    assert_eq!(report["verdict"], "syscall_denied", "{report:#}");
    let calls = report.pointer("/steps/1/calls").and_then(Value::as_array).expect("calls");
    let killed: Vec<&Value> = calls.iter().filter(|call| call["fate"] == "killed").map(|call| &call["name"]).collect();
    assert_eq!(killed, ["20 of another table (0x40000003)"]);
}

/// An addition lets the program go on, and does no more.
fn an_addition_lets_the_program_go_on(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings_dir = account::directory("settings");
    for name in ["seccomp", "languages"] {
        let path = settings_dir.path().join(name);
        fs::create_dir(&path).expect("a directory");
        account::give(&path);
    }
    let settings = Settings::new(runtime).set("CASEMATE_SETTINGS", settings_dir.path().display());
    let dir = account::directory("programs");
    let program = file(dir.path(), "wants.c", WANTS);
    assert_eq!(casemate(&settings, &["run", &program]).status.code(), Some(3), "without the addition");

    let seen = casemate(&settings, &["seccomp", "trace", "--addition", "mine", "--", "c", &program]);
    let (made, told) = (text(&seen.stdout), text(&seen.stderr));
    assert!(seen.status.success() && told.contains("1  mincore") && told.contains("\"run+mine\""), "{made}{told}");
    assert!(told.contains("stays refused: ptrace: rule "), "{told}");
    let addition = file(&settings_dir.path().join("seccomp"), "mine.json", &made);
    let checked = casemate(&settings, &["seccomp", "check", &addition]);
    let said = text(&checked.stdout);
    assert!(checked.status.success() && said.contains("right; it makes run+mine"), "{said}");
    let opens: Vec<&str> = said.lines().filter(|line| line.starts_with("opens:")).collect();
    assert!(opens.len() == 1 && opens[0].contains("run+mine allows mincore"), "no more than that: {said}");

    let language =
        include_str!("../../rootfs-build/languages/c.toml").replace("[run]", "[run]\nprofile = \"run+mine\"");
    file(&settings_dir.path().join("languages"), "c.toml", &language);
    let seen = casemate(&settings, &["run", &program]);
    assert_eq!((seen.status.code(), text(&seen.stdout)), (Some(0), "on\n".to_owned()), "{}", text(&seen.stderr));
    let taken = casemate(&settings, &["seccomp", "trace", "--addition", "mine", "c", &program]);
    assert!(!taken.status.success() && text(&taken.stderr).contains("--addition mine"), "{taken:?}");
}

/// Interpreters and virtual machines go through the same: many threads, many calls, what is printed and read.
fn the_other_languages_are_watched_too(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let dir = account::directory("programs");
    let settings = Settings::new(runtime);
    let python = "import socket\ntry:\n    socket.socket()\nexcept PermissionError:\n    print('refused')\n";
    let java = "public class Main { public static void main(String[] a) { System.out.println(1); } }";
    for (language, name, text, steps) in [("python", "p.py", python, 1), ("java", "Main.java", java, 2)] {
        let report = traced(&settings, &[language, &file(dir.path(), name, text)]);
        assert_eq!(report["verdict"], "accepted", "{report:#}");
        assert_eq!(report["steps"].as_array().map(Vec::len), Some(steps), "{report:#}");
        let run = &report["steps"][steps - 1];
        assert!(lines(run, "write").iter().any(|(fate, ..)| fate == "allowed"), "{run:#}");
    }
}

/// How long a call is as the watcher writes it, and where its number stands (`src/sys/trace.rs`).
const SEEN: usize = 72;
const NUMBER: std::ops::Range<usize> = 8..16;

/// execve(2) in the table of this machine.
const EXECVE: u64 = if cfg!(target_arch = "aarch64") { 221 } else { 59 };

/// A runtime may still have to become the init when it is attached to: what it executes in its own place is not the first
/// program, and neither is the child that is to become that.
#[test]
fn what_the_starter_executes_itself_is_no_program() {
    // Whose child the starter is not may be forbidden to watch it (Yama).
    needs!(Need::Root);
    let _place = Place::shared();
    let home = account::directory("home");
    let mut starter = Command::new("/bin/sh")
        .args(["-c", "read -r go && exec /bin/sh -c '/bin/true; :'"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("a starter");
    let mut watcher = Settings::new(Runtime::Crun)
        .command(home.path())
        .args(["seccomp", "watch-calls", "--all", &starter.id().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a watcher");
    let mut told = watcher.stdout.take().expect("a pipe");
    let mut begun = [0];
    told.read_exact(&mut begun).expect("that it has begun");
    starter.stdin.take().expect("a pipe").write_all(b"go\n").expect("the word");
    let mut calls = Vec::new();
    told.read_to_end(&mut calls).expect("calls");
    assert!(starter.wait().expect("its end").success() && watcher.wait().expect("its end").success());
    let (calls, rest) = calls.as_chunks::<SEEN>();
    let number = |call: &[u8; SEEN]| u64::from_le_bytes(call[NUMBER].try_into().expect("eight bytes"));
    let numbers: Vec<u64> = calls.iter().map(number).collect();
    assert!(begun == *b"b" && rest.is_empty() && numbers.len() > 10, "{begun:?} {numbers:?} {rest:?}");
    assert!(!numbers.contains(&EXECVE), "what brought the program in is none of its calls: {numbers:?}");
}

under_both_runtimes!(
    every_call_is_told_with_what_became_of_it,
    a_call_that_ends_the_program_is_named,
    an_addition_lets_the_program_go_on,
    the_other_languages_are_watched_too,
);
