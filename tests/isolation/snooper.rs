//! A program that says all it can find out of where it is, in the container of every language and step, against a list of
//! what may be found out (`allowed/`). What is on no list is a leak.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::allowed::{Allowed, Host};
use crate::support::process::Process;
use crate::support::scale::patience;
use crate::support::{Runtime, Server, Settings, account};
use crate::{needs, program, support::Need, under_both_runtimes};

const DUMPER: &str = program!("snoop/snoop.c");

/// The dumper as a program of its own, which runs in any image. It prints itself.
const ELF: &str = r#"
image = "gcc"
source = "solution.c"

[compile]
argv = ["/usr/bin/gcc", "-static", "-Os", "-s", "-o", "/code/solution", "/code/solution.c"]

[run]
argv = ["/code/solution", "self"]
"#;

/// Languages whose compile step is the dumper, confined as the compilers of C and C++ are, and as that of Java.
const COMPILING: [(&str, &str); 2] = [
    (
        "gcc-compile",
        r#"
image = "gcc"
source = "solution.c"

[compile]
argv = ["/bin/sh", "-c", "gcc -o /tmp/snoop /code/solution.c && /tmp/snoop; exit 1"]

[run]
argv = ["/bin/true"]
"#,
    ),
    (
        "java-compile",
        r#"
image = "java"
source = "{class}.java"
class_detection = "java"

[compile]
profile = "compile+java"
argv = ["/bin/sh", "-c", "/usr/bin/java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData /code/{class}.java; exit 1"]

[compile.limits]
pids = 128
output_bytes = 8388608

[run]
argv = ["/bin/true"]
"#,
    ),
];

/// The longest constant of a class, in bytes, is 65 535.
const PART: usize = 60_000;

/// A server that keeps so many containers of each kind waiting; none is for one that makes each when its job is there.
fn server(runtime: Runtime, waiting: usize, program: Option<&Path>) -> (TempDir, Server) {
    let directory = account::directory("settings");
    let languages = directory.path().join("languages");
    fs::create_dir(&languages).expect("a directory");
    account::give(&languages);
    for (name, text) in COMPILING.into_iter().chain([("elf", ELF)]) {
        let file = languages.join(format!("{name}.toml"));
        fs::write(&file, text).expect("a language");
        account::give(&file);
    }
    let settings = Settings::new(runtime).set("CASEMATE_SETTINGS", directory.path().display());
    let settings = settings.set("CASEMATE_POOL__LEAST", waiting).set("CASEMATE_POOL__MOST", waiting);
    // A tenth of a processor would make a dump a matter of a quarter of a minute, and tells nothing.
    let settings = settings.limit(&["python", "java", "c", "cpp"], "RUN", "CPU_PERCENT", 0);
    let settings = match program {
        Some(path) => settings.set("CASEMATE_RUNTIME_PATH", path.display()),
        None => settings,
    };
    (directory, Server::start(&settings))
}

/// What a job printed that had to print everything.
fn dump(server: &Server, language: &str, code: &str, input: Option<&str>) -> String {
    let client = server.client();
    let id = client.submit(language, code, input);
    let deadline = Instant::now() + patience(Duration::from_secs(120));
    let seen = client.finish(&id, deadline).unwrap_or_else(|why| panic!("{language}: {why}"));
    let output = seen.output().strip_prefix("Compilation error:\n").unwrap_or(seen.output()).to_owned();
    let whole = output.trim_end().ends_with("\nend");
    assert!(whole, "{language}: no whole dump: {}\n{}", crate::support::table::brief(&output), server.log_of(&id));
    output
}

/// Whether the program was taken by an interpreter that had been waiting for it.
fn was_warm(dump: &str) -> bool {
    dump.contains("\ninit/cmdline: warm\n")
}

fn slow_what_can_be_found_out(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let (_directory, cold) = server(runtime, 0, None);
    let client = cold.client();
    let elf = client.run("elf", DUMPER, None);
    assert_eq!(elf.state(), "completed", "{}", elf.result);
    let elf = elf.output();
    let parts: Vec<_> =
        elf.as_bytes().chunks(PART).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
    let java = program!("snoop/Snoop.java").replace("/* PARTS */", &parts.join(", "));
    let python = program!("snoop/snoop.py");
    let long = format!("{python}#{}", "x".repeat(200_000));
    let host = Host::of(&cold, Process::child_of(cold.pid()));
    let rows = [
        ("c", "c", DUMPER, None),
        ("cpp", "cpp", DUMPER, None),
        ("java", "java", &java, None),
        ("python", "python", python, Some(elf)),
        ("python-long", "python", &long, Some(elf)),
        ("gcc-compile", "gcc-compile", DUMPER, None),
        ("java-compile", "java-compile", &java, None),
    ];
    let mut wrong = String::new();
    for (name, language, code, input) in rows {
        wrong += &Allowed::of(name).compare(&host, &dump(&cold, language, code, input));
    }
    let (_other, warm) = server(runtime, 1, None);
    let host = Host::of(&warm, Process::child_of(warm.pid()));
    let deadline = Instant::now() + patience(Duration::from_secs(60));
    let taken = loop {
        let taken = dump(&warm, "python", python, Some(elf));
        if was_warm(&taken) {
            break taken;
        }
        assert!(Instant::now() < deadline, "no interpreter ever waited for the program");
    };
    wrong += &Allowed::of("python-warm").compare(&host, &taken);
    assert!(
        wrong.is_empty(),
        "{wrong}what need not be hidden: UPDATE_SNOOP=1 cargo test --test isolation snooper -- --test-threads 1"
    );
}

/// What is leaked on purpose, as an edit of `config.json` (sed(1)), and how it shows.
const LEAKS: [(&str, &str, &str); 4] = [
    ("a variable", r#"s|"env":\["|"env":["TOKEN=abc","|"#, "variable: TOKEN=abc"),
    (
        "a mount",
        r#"s|"mounts":\[|&{"destination":"/opt","type":"bind","source":"/etc","options":["rbind","ro"]},|"#,
        "self/mountinfo: ",
    ),
    (
        // A process 1 that closes nothing, and reports by itself that the program exited.
        "descriptors",
        r#"s|"/casemate/init","wait",|"/bin/sh","-c","cat <\&4 >/dev/null; \\"$@\\"; echo exited $? 0 0 0 >\&3","init",|"#,
        "open: 3 ",
    ),
    ("the host's name", r#"s|"hostname":"[a-z]*",||; s|{"type":"uts"},||; s|,{"type":"uts"}||"#, "namespace: uts the "),
];

/// The list is of use only if what is not on it is seen.
fn each_leak_is_seen(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let directory = account::directory("runtime");
    let (wrapper, edit) = (directory.path().join(runtime.name()), directory.path().join("edit"));
    let real = runtime.named().unwrap_or_else(|| runtime.name().into());
    // The self-test at the start would find some of it.
    let script = format!(
        "#!/bin/bash\nPATH=$PATH:/usr/sbin:/usr/bin\nfor word; do\n  [ \"$last\" = --bundle ] && file=$word/config.json\n  \
         last=$word\ndone\n[ -f \"$file\" ] && [ -f {0} ] && sed -i -f {0} \"$file\"\nexec {1} \"$@\"\n",
        edit.display(),
        real.display()
    );
    fs::write(&wrapper, script).expect("a wrapper");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("its permissions");
    let (_settings, server) = server(runtime, 0, Some(&wrapper));
    let host = Host::of(&server, Process::child_of(server.pid()));
    server.client().run("c", DUMPER, None);
    for (what, script, shows) in LEAKS {
        fs::write(&edit, script).expect("the edit");
        let wrong = Allowed::of("c").compare(&host, &dump(&server, "c", DUMPER, None));
        let wanted = format!("not on the list: {shows}");
        assert!(wrong.contains(&wanted), "{what}: the list has nothing to say but {wrong:?}");
    }
}

under_both_runtimes!(slow_what_can_be_found_out, each_leak_is_seen);

/// Nothing of the operator's: asserted on the words themselves, so that no list can hide it.
pub fn secrets(server: &Server) -> BTreeSet<String> {
    let mut words: BTreeSet<String> =
        [server.home().display().to_string(), account::images().display().to_string()].into();
    words.extend(server.addresses.iter().map(|address| format!(":{}", address.port())));
    words.extend(["cmtest", "CASEMATE_", "/var/lib/casemate"].map(str::to_owned));
    words
}
