//! The containers' init, run for real on the host: as an ordinary process, which it does not notice, but which one
//! test alone makes process 1 of a pid namespace.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use casemate::bundle::init::{INIT, Report, Step};
use casemate::model::WaitStatus;

#[path = "support/signals.rs"]
mod signals;

use signals::DEADLY;

struct Init {
    dir: tempfile::TempDir,
}

impl Init {
    /// The file is written by a process of its own: a descriptor open for writing here could be inherited by another
    /// test's fork, and executing would fail with ETXTBSY.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut cat = Command::new("sh")
            .args(["-c", "cat > init && chmod 755 init . && : > report && chmod 666 report"])
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        cat.stdin.take().unwrap().write_all(INIT).unwrap();
        assert!(cat.wait().unwrap().success());
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `prefix` is words of shell before the init, such as `env --ignore-signal=PIPE`.
    fn run_behind(&self, prefix: &str, program: &[&str]) -> (Output, Option<Report>) {
        let script = format!(r#"cd "$1"; shift; exec {prefix} ./init now "$@" 3>report"#);
        let output =
            Command::new("sh").args(["-c", &script, "sh"]).arg(self.dir.path()).args(program).output().unwrap();
        (output, Report::parse(&std::fs::read(self.path("report")).unwrap()).unwrap())
    }

    fn run(&self, program: &[&str]) -> (Output, Option<Report>) {
        self.run_behind("", program)
    }
}

fn wait(report: Option<Report>) -> WaitStatus {
    match report {
        Some(Report::Ended { wait, .. }) => wait,
        other => panic!("{other:?}"),
    }
}

fn text(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn exit_statuses_arrive() {
    for status in [0u8, 1, 7, 127, 128, 255] {
        let (output, report) = Init::new().run(&["/bin/sh", "-c", &format!("echo out; exit {status}")]);
        assert_eq!(text(&output), "out\n");
        assert_eq!((output.status.code(), wait(report)), (Some(status.into()), WaitStatus::Exited(status)));
    }
}

#[test]
fn signals_arrive_as_themselves() {
    for (name, number) in DEADLY {
        let (output, report) = Init::new().run(&["/bin/sh", "-c", &format!("ulimit -c 0; kill -{name} $$")]);
        assert_eq!(wait(report), WaitStatus::Signaled(number), "{name}");
        assert_eq!(output.status.code(), Some(128 + i32::from(number)), "{name}");
    }
}

#[test]
fn arguments_and_environment_pass_through() {
    let (output, _) = Init::new().run_behind("env -i A=1 B=2", &["/usr/bin/printf", "%s|", "", "a b", "ü"]);
    assert_eq!(text(&output), "|a b|ü|");
    let (output, _) = Init::new().run_behind("env -i A=1 B=2", &["/usr/bin/env"]);
    assert_eq!(text(&output), "A=1\nB=2\n");
}

#[test]
fn a_program_that_cannot_be_executed_is_told_from_one_that_exits_127() {
    let init = Init::new();
    for (program, errno) in [("/nonexistent", 2), ("/etc/passwd", 13), ("/", 13)] {
        let (output, report) = init.run(&[program]);
        assert_eq!(report, Some(Report::NotStarted { step: Step::Exec, errno }), "{program}");
        assert_eq!(output.status.code(), Some(127));
    }
}

#[test]
fn without_a_program_or_a_report_nothing_starts() {
    let init = Init::new();
    let (output, report) = init.run(&[]);
    assert_eq!(report, Some(Report::NotStarted { step: Step::Setup, errno: 22 }));
    assert_eq!(output.status.code(), Some(125));
    let closed = Command::new("sh")
        .args(["-c", r#"exec "$1" /bin/echo ran 3>&-"#, "sh"])
        .arg(init.path("init"))
        .output()
        .unwrap();
    assert_eq!((closed.status.code(), closed.stdout), (Some(125), Vec::new()));
}

#[test]
fn the_program_has_descriptors_0_to_2_only() {
    // Asked one by one, because a listing would open a descriptor of its own.
    let listing = "for f in 0 1 2 3 4 5 6 7 8 9 17; do test -e /proc/$$/fd/$f && echo $f; done";
    let opened = format!("exec 9</dev/null; {listing}");
    assert_eq!(text(&Init::new().run(&["/bin/sh", "-c", &opened]).0), "0\n1\n2\n9\n", "the listing can see more");
    let script = r#"cd "$1"; exec ./init now /bin/bash -c "$2; true" 3>report 5<. 7>&1 17</dev/null"#;
    let init = Init::new();
    let output = Command::new("bash").args(["-c", script, "bash"]).arg(init.dir.path()).arg(listing).output().unwrap();
    assert_eq!(text(&output), "0\n1\n2\n");
}

#[test]
fn signal_state_is_as_after_login_whatever_was_inherited() {
    let prefix =
        "env --ignore-signal=PIPE --ignore-signal=CHLD --ignore-signal=RTMAX --block-signal=TERM --block-signal=RTMIN";
    let (output, report) = Init::new().run_behind(prefix, &["/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
    let none = "0000000000000000";
    assert_eq!(text(&output), format!("SigBlk:\t{none}\nSigIgn:\t{none}\n"));
    assert_eq!(wait(report), WaitStatus::Exited(0));
}

/// The files of a process that is not dumpable belong to root (proc(5)), so an ordinary user's tell which it is.
#[test]
fn the_init_is_closed_to_its_child_and_the_child_is_an_ordinary_process() {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let prefix = if root { "setpriv --reuid 12345 --regid 12345 --clear-groups" } else { "" };
    let script =
        r#"id -u; stat -c %u /proc/$PPID/environ /proc/$$/environ; ls /proc/$PPID/fd 2>/dev/null || echo closed"#;
    let (output, _) = Init::new().run_behind(prefix, &["/bin/sh", "-c", script]);
    let shown = text(&output);
    let lines: Vec<&str> = shown.lines().collect();
    let [me, init, child, listing] = lines[..] else { panic!("{shown}") };
    assert_ne!(init, me, "the init is dumpable");
    assert_eq!(child, me, "the child is not dumpable");
    assert_eq!(listing, "closed");
}

/// `setsid` would not do: the orphan must come back to the init, which outside a pid namespace needs a subreaper. The
/// init is not one, so it is made process 1 of a namespace of its own, which casemate cannot do without either.
#[test]
fn orphans_are_reaped_and_the_rest_dies_with_the_child() {
    let unshare = "unshare -r -p -m -f --mount-proc";
    let init = Init::new();
    // 50 orphans that end at once; then wait until no zombie of them is left, a minute at the most.
    let script = r#"test $PPID = 1 || exit 9
        i=0; while [ $i -lt 50 ]; do (true & true); i=$((i+1)); done
        i=0; while grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do i=$((i+1)); [ $i -gt 600 ] && exit 8; sleep 0.1; done
        (trap '' HUP TERM; sleep 1000 & sleep 1000) & exit 3"#;
    let (output, report) = init.run_behind(unshare, &["/bin/sh", "-c", script]);
    // `output()` reads to the end of both streams: it returns only when the two sleepers are gone as well.
    assert_eq!((output.status.code(), wait(report)), (Some(3), WaitStatus::Exited(3)));
}

/// The init keeps no end of the job's pipes: a job that closes its own stdout is seen to have done so.
#[test]
fn the_reader_sees_the_end_when_the_child_closes_its_streams() {
    let init = Init::new();
    let script = r#"cd "$1"; ./init now /bin/sh -c 'exec >&- 2>&-; read line < fifo' > out 2>&1 3>report &
        cat "$1/out"; echo go > "$1/fifo"; wait"#;
    let made = Command::new("mkfifo").args([init.path("fifo"), init.path("out")]).status().unwrap();
    assert!(made.success());
    // Were the init to hold the pipe, `cat` would wait for the child and the child for the line: a hang.
    let output =
        Command::new("timeout").args(["20", "bash", "-c", script, "sh"]).arg(init.dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_stopped_child_has_not_ended() {
    let init = Init::new();
    let script = "(until grep -q '^State:.T' /proc/$$/status; do :; done; kill -CONT $$) & kill -STOP $$; exit 4";
    assert_eq!(wait(init.run(&["/bin/bash", "-c", script]).1), WaitStatus::Exited(4));
}

#[test]
fn usage_is_of_the_child() {
    let (_, report) = Init::new().run(&["/bin/sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]);
    let Some(Report::Ended { user, max_rss, .. }) = report else { panic!("{report:?}") };
    assert!(user.0 > 10_000 && user.0 < 60_000_000, "{user:?}");
    assert!(max_rss.0 > 500 << 10 && max_rss.0 < 100 << 20, "{max_rss:?}");
}

/// What became of `init wait PROGRAM…` after this message.
fn told(program: &[&str], message: &[u8]) -> (Output, Option<Report>) {
    let init = Init::new();
    std::fs::write(init.path("word"), message).unwrap();
    let script = r#"cd "$1"; shift; exec ./init wait "$@" 3>report 4<word"#;
    let output = Command::new("sh").args(["-c", script, "sh"]).arg(init.dir.path()).args(program).output().unwrap();
    (output, Report::parse(&std::fs::read(init.path("report")).unwrap()).unwrap())
}

#[test]
fn the_word_to_begin_may_bring_another_command() {
    let words = ["/usr/bin/printf", "%s|", "own"];
    assert_eq!(text(&told(&words, b"g").0), "own|");
    assert_eq!(text(&told(&words, b"/usr/bin/printf\0%s,\0\0a b\0g\0g").0), ",a b,g,");
    let longest = "x".repeat(131_071);
    let message = format!("/usr/bin/printf\0%s\0{longest}\0g");
    assert_eq!(text(&told(&words, message.as_bytes()).0), longest);
}

#[test]
fn without_the_whole_word_nothing_starts() {
    let many = b"/bin/echo\0".repeat(2000);
    let too_long = [&b"/bin/echo\0"[..], &[b'x'; 200 << 10], b"\0g"].concat();
    for (message, errno) in [
        (&b""[..], 125),
        (b"/bin/echo\0cut", 125),
        (b"/bin/echo\0", 125),
        (b"/bin/echog", 125),
        (b"gg", 125),
        (&[&many[..], b"g"].concat(), 7),
        (&too_long, 7),
    ] {
        let (output, report) = told(&["/bin/echo", "ran"], message);
        assert_eq!(report, Some(Report::NotStarted { step: Step::Setup, errno }), "{} bytes", message.len());
        assert_eq!((output.status.code(), text(&output)), (Some(125), String::new()));
    }
}

/// Nothing of the program happens before the word: a FIFO as the word keeps the init waiting.
#[test]
fn the_init_waits_for_the_end_of_the_word() {
    let init = Init::new();
    let script = r#"cd "$1"; mkfifo word; ./init wait /bin/sh -c 'echo ran > "$1"; test -e /proc/$$/fd/4 || echo shut > "$1.4"' sh "$1/ran" 3>report 4<word &
        exec 5>word; printf g >&5; test -e ran && exit 1; exec 5>&-; wait; cat ran ran.4"#;
    let output =
        Command::new("timeout").args(["20", "bash", "-c", script, "sh"]).arg(init.dir.path()).output().unwrap();
    assert_eq!(text(&output), "ran\nshut\n");
}

#[test]
fn a_warm_program_takes_its_word_itself() {
    let init = Init::new();
    std::fs::write(init.path("word"), "what to do").unwrap();
    let script = r#"cd "$1"; exec ./init warm /bin/sh -c 'cat <&4' 3>report 4<word"#;
    let output = Command::new("sh").args(["-c", script, "sh"]).arg(init.dir.path()).output().unwrap();
    assert_eq!(text(&output), "what to do");
    let how = r#"cd "$1"; exec ./init sometime /bin/echo ran 3>report"#;
    let output = Command::new("sh").args(["-c", how, "sh"]).arg(init.dir.path()).output().unwrap();
    assert_eq!((output.status.code(), text(&output)), (Some(125), String::new()));
}
