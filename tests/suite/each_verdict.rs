//! Every verdict in every language, from a real program: which limit fired, how its process ended, and of what cannot be,
//! why not and what comes in its place.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::support::follow::Reader;
use crate::support::{Client, Runtime, Server, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

/// What every program has to print to be accepted.
const EXPECTED: &str = "hi";

/// Submissions under way at once, for each language.
const AT_ONCE: usize = 3;

/// How the process ended, as its client is told.
#[derive(Clone, Copy, Debug)]
enum End {
    Exit(u8),
    Signal(&'static str),
    /// The service ended it: neither.
    Ours,
    /// The kernel killed it for memory, or the service what was left: whichever came first.
    Killed,
    /// It did not begin.
    Never,
}

/// A program.
struct Case {
    /// Of which verdict it is the example, and why it gets another where that cannot be.
    of: (&'static str, Option<&'static str>),
    verdict: &'static str,
    source: String,
    /// Limits of the run, beside those that let nothing else come into play.
    limits: Value,
    end: End,
}

fn case(verdict: &'static str, source: impl Into<String>, end: End) -> Case {
    Case { of: (verdict, None), verdict, source: source.into(), limits: json!({}), end }
}

impl Case {
    /// With this limit.
    fn at(mut self, name: &str, value: u64) -> Self {
        self.limits[name] = json!(value);
        self
    }

    /// It is what comes nearest to this verdict, which cannot be.
    const fn in_place_of(mut self, verdict: &'static str, reason: &'static str) -> Self {
        self.of = (verdict, Some(reason));
        self
    }

    fn body(&self, language: &str) -> Value {
        // A share of a processor would only make it longer, and no clock comes first but where it is the limit.
        let mut limits = json!({"cpu_percent": 100, "wall_ms": scale::limit("WALL_MS", 30_000)});
        for (name, value) in self.limits.as_object().expect("limits") {
            limits[name] = value.clone();
        }
        json!({"language": language, "source": self.source, "expected": EXPECTED, "limits": {"run": limits}})
    }
}

/// Milliseconds on the clock that a program which sleeps gets.
fn soon() -> u64 {
    scale::limit("WALL_MS", 500)
}

const MIB: u64 = 1 << 20;

fn in_python() -> Vec<Case> {
    // Through the 32-bit ABI, which Python reaches by running bytes of its own.
    let closed = if cfg!(target_arch = "x86_64") {
        "import ctypes, mmap\ncode = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n\
         code.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\n\
         ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()"
    } else {
        "import os, signal\nos.kill(os.getpid(), signal.SIGSYS)"
    };
    let large = "with open('/tmp/large', 'wb') as file: file.write(b'x' * (2 << 20))";
    vec![
        case("accepted", "print('hi')", End::Exit(0)),
        case("wrong_answer", "print('no')", End::Exit(0)),
        case("exit_status", "def", End::Exit(1))
            .in_place_of("compile_error", "nothing is compiled; the interpreter refuses the program as it would any"),
        case("exit_status", "import sys; sys.exit(7)", End::Exit(7)),
        case("signal", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", End::Signal("SIGSEGV")),
        case("time_limit", "import time; time.sleep(60)", End::Ours).at("wall_ms", soon()),
        case("cpu_limit", "while True: pass", End::Ours).at("cpu_ms", 300),
        case("memory_limit", "x = b'x' * (200 << 20)", End::Killed).at("memory_bytes", 20 * MIB),
        case("output_limit", "while True: print('flood')", End::Ours).at("output_bytes", 1000),
        case(
            "process_limit",
            "import os, sys, time\ntry:\n    while True: os.fork() or time.sleep(60)\nexcept OSError: sys.exit(1)",
            End::Exit(1),
        )
        .at("processes", 20),
        case(
            "file_limit",
            format!("import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n{large}"),
            End::Signal("SIGXFSZ"),
        )
        .at("file_bytes", MIB),
        case("exit_status", large, End::Exit(1))
            .at("file_bytes", MIB)
            .in_place_of("file_limit", "Python ignores SIGXFSZ, unless the program does not: it gets an OSError"),
        case("syscall_denied", closed, End::Signal("SIGSYS")),
        case("cancelled", "import time\nprint('up', flush=True)\ntime.sleep(60)", End::Ours),
    ]
}

fn java(body: &str) -> String {
    format!(
        "import java.io.*;\nimport java.util.*;\npublic class A {{ public static void main(String[] a) throws Exception {{ {body} }} }}"
    )
}

fn in_java() -> Vec<Case> {
    let unsafe_write = "java.lang.reflect.Field f = sun.misc.Unsafe.class.getDeclaredField(\"theUnsafe\"); f.setAccessible(true); \
                        ((sun.misc.Unsafe) f.get(null)).putAddress(0, 0);";
    let threads = "try { for (;;) { Thread t = new Thread(() -> { try { Thread.sleep(60000); } catch (InterruptedException e) {} }); \
                   t.start(); } } catch (OutOfMemoryError e) { Runtime.getRuntime().halt(1); }";
    let closed = "new ProcessBuilder(\"/bin/sh\", \"-c\", \"kill -SYS \" + ProcessHandle.current().pid()).start(); Thread.sleep(60000);";
    vec![
        case("accepted", java("System.out.println(\"hi\");"), End::Exit(0)),
        case("wrong_answer", java("System.out.println(\"no\");"), End::Exit(0)),
        case("compile_error", java("return 1;"), End::Never),
        case("exit_status", java("System.exit(7);"), End::Exit(7)),
        // A segmentation fault: the virtual machine catches it, and ends by abort(3).
        case("signal", java(unsafe_write), End::Signal("SIGABRT")),
        case("time_limit", java("Thread.sleep(60000);"), End::Ours).at("wall_ms", soon()),
        case("cpu_limit", java("for (;;);"), End::Ours).at("cpu_ms", 300),
        // Below what the virtual machine would refuse by itself, with an OutOfMemoryError.
        case(
            "memory_limit",
            java("List<byte[]> all = new ArrayList<>(); for (;;) all.add(new byte[1 << 20]);"),
            End::Killed,
        )
        .at("memory_bytes", 64 * MIB),
        case("output_limit", java("for (;;) System.out.println(\"flood\");"), End::Ours).at("output_bytes", 1000),
        case("process_limit", java(threads), End::Exit(1)).at("processes", 40),
        case("exit_status", java("new FileOutputStream(\"/tmp/large\").write(new byte[2 << 20]);"), End::Exit(1))
            .at("file_bytes", MIB)
            .in_place_of("file_limit", "the virtual machine keeps SIGXFSZ for itself; the program gets an IOException"),
        // No call of Java's own is closed in this way; the signal reads the same whoever sends it.
        case("syscall_denied", java(closed), End::Signal("SIGSYS")),
        case("cancelled", java("System.out.println(\"up\"); Thread.sleep(60000);"), End::Ours),
    ]
}

fn c(body: &str) -> String {
    format!("{}\nint main(void) {{ {body} return 0; }}", program!("c/includes.h"))
}

/// A call through the 32-bit ABI, where there is one.
const fn closed() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        program!("c/abi32.c")
    } else {
        "#include <signal.h>\nint main(void) { raise(SIGSYS); }"
    }
}

fn in_c() -> Vec<Case> {
    vec![
        case("accepted", c("puts(\"hi\");"), End::Exit(0)),
        case("wrong_answer", c("puts(\"no\");"), End::Exit(0)),
        case("compile_error", "int main(void) { return }", End::Never),
        case("exit_status", c("return 7;"), End::Exit(7)),
        case("signal", c("*(volatile int *)0 = 1;"), End::Signal("SIGSEGV")),
        case("time_limit", c("sleep(60);"), End::Ours).at("wall_ms", soon()),
        case("cpu_limit", c("for (volatile int i = 0;; i++);"), End::Ours).at("cpu_ms", 300),
        case("memory_limit", c("memset(malloc(200 << 20), 1, 200 << 20);"), End::Killed).at("memory_bytes", 20 * MIB),
        case("output_limit", c("for (;;) puts(\"flood\");"), End::Ours).at("output_bytes", 1000),
        case("process_limit", program!("c/fork_until_refused.c").replace("STATUS", "1"), End::Exit(1))
            .at("processes", 20),
        case("file_limit", program!("c/file_too_large.c"), End::Signal("SIGXFSZ")),
        case("syscall_denied", closed(), End::Signal("SIGSYS")),
        case("cancelled", c("puts(\"up\"); fflush(stdout); sleep(60);"), End::Ours),
    ]
}

fn in_cpp() -> Vec<Case> {
    let cpp = |headers: &str, body: &str| {
        let headers: String = headers.split(' ').map(|name| format!("#include <{name}>\n")).collect();
        format!("{headers}int main() {{ {body} }}")
    };
    vec![
        case("accepted", cpp("iostream", "std::cout << \"hi\" << std::endl;"), End::Exit(0)),
        case("wrong_answer", cpp("iostream", "std::cout << \"no\" << std::endl;"), End::Exit(0)),
        case("compile_error", "int main() { nothing; }", End::Never),
        case("exit_status", cpp("cstdlib", "std::exit(7);"), End::Exit(7)),
        case("signal", cpp("stdexcept", "throw std::runtime_error(\"uncaught\");"), End::Signal("SIGABRT")),
        case("time_limit", cpp("unistd.h", "sleep(60);"), End::Ours).at("wall_ms", soon()),
        case("cpu_limit", "int main() { for (volatile int i = 0;; i = i + 1); }", End::Ours).at("cpu_ms", 300),
        case(
            "memory_limit",
            cpp("vector", "std::vector<char> all; for (;;) all.resize(all.size() + (1 << 20), 1);"),
            End::Killed,
        )
        .at("memory_bytes", 20 * MIB),
        case("output_limit", cpp("iostream", "for (;;) std::cout << \"flood\\n\";"), End::Ours)
            .at("output_bytes", 1000),
        // An exception that nobody catches: the limit is why, the signal how.
        case(
            "process_limit",
            cpp(
                "thread vector unistd.h",
                "std::vector<std::thread> all; for (;;) all.emplace_back([] { sleep(60); });",
            ),
            End::Signal("SIGABRT"),
        )
        .at("processes", 20),
        case(
            "file_limit",
            cpp("fstream string", "std::ofstream(\"/tmp/large\") << std::string(2 << 20, 'x');"),
            End::Signal("SIGXFSZ"),
        )
        .at("file_bytes", MIB),
        case("syscall_denied", closed(), End::Signal("SIGSYS")),
        case("cancelled", cpp("iostream unistd.h", "std::cout << \"up\" << std::endl; sleep(60);"), End::Ours),
    ]
}

/// The limit behind a verdict.
fn limit(verdict: &str) -> Option<&'static str> {
    match verdict {
        "time_limit" => Some("wall_ms"),
        "cpu_limit" => Some("cpu_ms"),
        "memory_limit" => Some("memory_bytes"),
        "output_limit" => Some("output_bytes"),
        "process_limit" => Some("processes"),
        "file_limit" => Some("file_bytes"),
        _ => None,
    }
}

/// Submits it and waits for its end; one that is to be cancelled is once it has printed.
fn ended(client: Client, body: &Value, cancelled: bool) -> Value {
    let wait = if cancelled { "" } else { "?wait=5" };
    let reply = client.post(&format!("/v1/submissions{wait}"), body.to_string().as_bytes());
    assert!(matches!(reply.status, 201 | 202), "{body}: {}", reply.text());
    let place = reply.header("location").expect("a location").to_owned();
    if cancelled {
        let id = reply.json()["id"].as_str().expect("an id").to_owned();
        Reader::open(client, &id, None).until(|event| event.name == "output");
        let told = client.send("DELETE", &place, &[], b"").expect("a reply");
        assert!(matches!(told.status, 200 | 202), "{}", told.text());
    }
    if reply.status == 201 { reply.json() } else { client.judged(&place) }
}

/// What is told otherwise than it has to be.
fn mismatches(case: &Case, seen: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, is: &Value, wanted: Value| {
        if *is != wanted {
            wrong.push(format!("{what} is {is}, not {wanted}"));
        }
    };
    let status = if case.verdict == "accepted" { "completed" } else { "failed" };
    same("status", &seen["status"], json!(status));
    same("verdict", &seen["verdict"], json!(case.verdict));
    same("limit", &seen["limit"], json!(limit(case.verdict)));
    same("error", &seen["error"], json!(null));
    let run = &seen["run"];
    if matches!(case.end, End::Never) {
        same("run", run, json!(null));
        same("verdict of the compile step", &seen["compile"]["verdict"], json!(case.verdict));
        same("exit status of the compiler", &seen["compile"]["exit_status"], json!(1));
        return wrong;
    }
    same("verdict of the run", &run["verdict"], json!(case.verdict));
    same("limit of the run", &run["limit"], json!(limit(case.verdict)));
    let (exit_status, signal) = match case.end {
        End::Exit(status) => (json!(status), json!(null)),
        End::Signal(name) => (json!(null), json!(name)),
        End::Killed if run["signal"] == "SIGKILL" => (json!(null), json!("SIGKILL")),
        End::Ours | End::Killed | End::Never => (json!(null), json!(null)),
    };
    same("exit status", &run["exit_status"], exit_status);
    same("signal", &run["signal"], signal);
    // A share that was used up is no verdict.
    let limits = run["limits"].as_object().into_iter().flatten();
    let fired = limits.filter(|(name, limit)| *name != "cpu_percent" && limit["fired"] == true).map(|(name, _)| name);
    same("what fired", &json!(fired.collect::<Vec<_>>()), json!(limit(case.verdict).into_iter().collect::<Vec<_>>()));
    wrong
}

/// Every program of a language, some at once, and whether there is one for each verdict that there is.
fn each(runtime: Runtime, language: &str, cases: Vec<Case>) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let described = client.get("/openapi.json").json();
    let described = described["components"]["schemas"]["Step"]["properties"]["verdict"]["enum"].clone();
    let mut all: BTreeSet<String> = serde_json::from_value(described).expect("verdicts");
    // No program is to blame for it: tests/suite/faults.rs, tests/suite/checker.rs.
    assert!(all.remove("internal_error"));
    let shown: BTreeSet<String> = cases.iter().map(|case| case.of.0.to_owned()).collect();
    assert_eq!(shown, all, "{language}: a program for each");

    let (waiting, wrong) = (Mutex::new(cases.into_iter()), Mutex::new(Vec::new()));
    let work = || loop {
        let Some(case) = waiting.lock().expect("the programs").next() else { break };
        let seen = ended(client, &case.body(language), case.verdict == "cancelled");
        let mismatches = mismatches(&case, &seen);
        if !mismatches.is_empty() {
            let told = format!("{language} {:?}: {}\n{seen:#}", case.of, mismatches.join("; "));
            wrong.lock().expect("what is wrong").push(told);
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let wrong = wrong.into_inner().expect("what is wrong");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn each_verdict_in_python(runtime: Runtime) {
    each(runtime, "python", in_python());
}

fn each_verdict_in_java(runtime: Runtime) {
    each(runtime, "java", in_java());
}

fn each_verdict_in_c(runtime: Runtime) {
    each(runtime, "c", in_c());
}

fn each_verdict_in_cpp(runtime: Runtime) {
    each(runtime, "cpp", in_cpp());
}

under_both_runtimes!(each_verdict_in_python, each_verdict_in_java, each_verdict_in_c, each_verdict_in_cpp);
