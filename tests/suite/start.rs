//! The settings of the contract at the start: honoured, or refused with the name, the value and what to do; and the end
//! that SIGTERM brings.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::machine::Place;
use crate::support::scale::patience;
use crate::support::{Runtime, Server, Settings, account};
use crate::{needs, support::Need, under_both_runtimes};

fn mistakes_stop_the_start(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    // Variables, and words that must be in the message.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let rows: [Case; 12] = [
        (&[("PORT", "http")], &["PORT", "http"]),
        (&[("PORT", "65536")], &["PORT", "65536"]),
        (&[("PORT", "-1")], &["PORT", "-1"]),
        (&[("MAX_WORKERS", "many")], &["MAX_WORKERS", "many"]),
        (&[("MAX_WORKERS", "0")], &["MAX_WORKERS", "0"]),
        (&[("QUEUE_SIZE", "1.5")], &["QUEUE_SIZE", "1.5"]),
        (&[("DEFAULT_LANGUAGE", "cobol")], &["DEFAULT_LANGUAGE", "cobol"]),
        (&[("CASEMATE_RUNTIME", "docker")], &["CASEMATE_RUNTIME", "docker"]),
        (&[("CASEMATE_NO_SUCH_THING", "1")], &["CASEMATE_NO_SUCH_THING"]),
        (&[("CASEMATE_LIMITS__PYTHON__RUN__NO_SUCH_THING", "1")], &["NO_SUCH_THING"]),
        (&[("PORT", "http"), ("DEFAULT_LANGUAGE", "cobol")], &["PORT", "DEFAULT_LANGUAGE", "cobol", "one of c, cpp"]),
        (&[("PORT", "http"), ("MAX_WORKERS", "many"), ("QUEUE_SIZE", "x")], &["PORT", "MAX_WORKERS", "QUEUE_SIZE"]),
    ];
    let mut wrong = Vec::new();
    for (variables, words) in rows {
        let settings = variables.iter().fold(Settings::new(runtime), |all, (name, value)| all.set(name, value));
        match Server::try_start(&settings, Place::shared()) {
            Ok(_) => wrong.push(format!("{variables:?} was accepted")),
            Err(failed) => {
                let log = failed.log.to_lowercase();
                let missing: Vec<_> = words.iter().filter(|word| !log.contains(&word.to_lowercase())).collect();
                if failed.status.is_none_or(|status| status.success()) || !missing.is_empty() {
                    let status = failed.status;
                    wrong.push(format!("{variables:?}: {status:?}, {missing:?} not in\n{}", failed.log));
                }
                if log.contains("panicked") {
                    wrong.push(format!("{variables:?}: panicked\n{}", failed.log));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn settings_are_honoured(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    // Free a moment ago; nobody else asks for it by number.
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its number").port();
    let settings = Settings::new(runtime).set("PORT", port).set("MAX_WORKERS", 5).set("QUEUE_SIZE", 7);
    let server = Server::start(&settings);
    assert_eq!(server.client().address.port(), port);
    assert_eq!(server.client().stats(), [0, 5, 0, 0]);
}

/// sudo(8) sets the hard limit of core files to 0, and only a root with CAP_SYS_RESOURCE undoes that.
fn a_hard_limit_is_looked_at_before_anybody_is_served(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).behind(&["prlimit", "--core=0:0"]));
    let seen = server.client().run("python", "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))", None);
    assert!(["(0, 0)\n", "(1, 1)\n"].contains(&seen.output()), "{}", seen.result);

    let settings = Settings::new(runtime).behind(&["prlimit", "--stack=8388608:8388608"]);
    let failed = Server::try_start(&settings, Place::shared()).expect_err("C is to have 100 MiB");
    for word in ["RLIMIT_STACK", "8388608", "104857600", "jobs in c "] {
        assert!(failed.log.contains(word), "{word}: {}", failed.log);
    }
}

fn a_port_in_use_is_named(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("its number").port();
    let failed = Server::try_start(&Settings::new(runtime).set("PORT", port), Place::shared());
    let failed = failed.expect_err("the port is taken");
    assert!(failed.status.is_some_and(|status| !status.success()), "{:?}", failed.status);
    assert!(failed.log.contains(&port.to_string()), "{}", failed.log);
}

fn sigterm_ends_it_with_status_zero(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let mut idle = Server::start(&Settings::new(runtime));
    assert_eq!(idle.stop().map(|status| status.code()), Some(Some(0)), "idle\n{}", idle.log());
    let mut busy = Server::start(&Settings::new(runtime).set("QUEUE_SIZE", 2));
    let client = busy.client();
    for _ in 0..8 {
        client.submit("python", "import time; time.sleep(1)", None);
    }
    assert_eq!(busy.stop().map(|status| status.code()), Some(Some(0)), "busy\n{}", busy.log());
}

/// Before there is anything to stop: the kernel drops what process 1 of a namespace has no handler for.
fn a_start_can_be_called_off(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let mut seen = Vec::new();
    for wait in [0, 10, 20, 40, 80, 160, 320] {
        let home = account::directory("home");
        let mut command = Settings::new(runtime).command(home.path());
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary under test");
        // No event says how far it has come; any moment will do.
        std::thread::sleep(patience(Duration::from_millis(wait)));
        let sent = Instant::now();
        kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGTERM).expect("a process to end");
        let status = loop {
            match child.try_wait().expect("the state of the server") {
                Some(status) => break Some(status),
                None if sent.elapsed() > patience(Duration::from_secs(10)) => {
                    let _ = child.kill().and_then(|()| child.wait());
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        seen.push((wait, status.map(|status| (status.code(), status.signal()))));
    }
    // By the signal itself as long as there is no more than one process.
    let well = |status: &_| matches!(status, Some((Some(0), None) | (None, Some(15))));
    assert!(seen.iter().all(|(_, status)| well(status)), "ms after the start, status and signal: {seen:?}");
    assert!(seen.iter().any(|(_, status)| *status == Some((Some(0), None))), "no start was under way: {seen:?}");
}

/// Which runtime it is, and which version: the one of the machine, or the one that the environment names for the tests.
fn the_log_names_the_runtime(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let program = runtime.named().unwrap_or_else(|| runtime.name().into());
    let said = Command::new(program).env("PATH", "/usr/bin:/usr/sbin").arg("--version").output().expect("the runtime");
    let said = String::from_utf8_lossy(&said.stdout).lines().next().unwrap_or_default().to_owned();
    assert!(said.starts_with(&format!("{} version ", runtime.name())), "{said}");
    let server = Server::start(&Settings::new(runtime));
    assert!(server.log().contains(&format!("INFO {said}, ")), "no {said:?} in\n{}", server.log());
}

/// The prefixes that people grep for, and never a word of the program or its input.
fn the_log_has_its_prefixes_and_no_secrets(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).limit(&["python"], "RUN", "WALL_MS", 700));
    let client = server.client();
    let mut ids = Vec::new();
    for (language, code) in [
        ("python", "import time; print('s3cret-code'); time.sleep(5)"),
        ("c", "int main(void) { return 3; } // s3cret-code"),
        ("cpp", "int main() { s3cret_code; }"),
        ("java", "class A { public static void main(String[] a) { throw new Error(\"s3cret-code\"); } }"),
    ] {
        let seen = client.run(language, code, Some("s3cret-input"));
        ids.push(seen.result["id"].as_str().unwrap_or_default().to_owned());
    }
    client.post("/submit", br#"{"code": "x", "language": "s3cret-language"}"#);
    client.post("/submit", b"s3cret-body");
    client.get("/status?id=s3cret-id");
    let log = server.log();
    let mut wanted: Vec<_> = ["HTTP", "QUEUE", "WORKER-1"].map(str::to_owned).into();
    wanted.extend(ids.iter().zip(["PYTHON", "C", "CPP", "JAVA"]).map(|(id, language)| format!("{language}-{id}")));
    wanted.extend(ids.iter().flat_map(|id| [format!("EXEC-{id}"), format!("RESULT-{id}")]));
    wanted.push(format!("TIMEOUT-{}", ids[0]));
    let missing: Vec<_> = wanted.iter().filter(|prefix| !log.contains(&format!("[{prefix}]"))).collect();
    assert!(missing.is_empty(), "not in the log: {missing:?}\n{log}");
    assert!(!log.contains("s3cret"), "{log}");
    assert!(log.contains(" ms, cpu ") && !log.contains("Some(") && !log.contains("None"), "{log}");
}

under_both_runtimes!(
    mistakes_stop_the_start,
    settings_are_honoured,
    a_hard_limit_is_looked_at_before_anybody_is_served,
    a_port_in_use_is_named,
    sigterm_ends_it_with_status_zero,
    a_start_can_be_called_off,
    the_log_names_the_runtime,
    the_log_has_its_prefixes_and_no_secrets,
);
