//! A runtime that misbehaves at the launch of a container, in every way that a program can: the job does not run, the
//! caller is told that it was us, and the next job is well.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::support::{Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

/// What the wrapper does in place of a launch, or after it: `$pid` is the file for the process id, `real` the runtime.
const MISBEHAVIOURS: [(&str, &str); 9] = [
    ("fails", "exit 1"),
    ("fails with garbage", "head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2; exit 255"),
    ("hangs", "exec sleep 60"),
    ("is killed", "kill -9 $$"),
    ("does nothing and says that all is well", "exit 0"),
    ("launches and leaves no process id", "real; rm -f \"$pid\""),
    ("launches and leaves what is no number", "real; echo garbage >\"$pid\""),
    ("launches and leaves the service's own process", "real; echo 1 >\"$pid\""),
    ("launches and leaves a process that there is not", "real; echo 4000000 >\"$pid\""),
];

fn slow_broken_runtime(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let directory = tempfile::Builder::new().prefix("cmtest-runtime-").tempdir().expect("a temporary directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("its permissions");
    let (wrapper, mode) = (directory.path().join(runtime.name()), directory.path().join("mode"));
    let script = format!(
        "#!/bin/sh\nPATH=$PATH:/usr/sbin:/usr/bin\nverb= pid= last=\nfor word; do\n  case $last in --pid-file) pid=$word ;; esac\n  \
         case $word in run) verb=run ;; esac\n  last=$word\ndone\nset -- {} \"$@\"\nif [ \"$verb\" = run ] && [ -e {1} ]; \
         then\n  real() {{ \"$@\"; }}\n  how=$(cat {1})\n  case $how in real*) \"$@\"; how=${{how#real;}} ;; esac\n  \
         eval \"$how\"\n  exit 0\nfi\nexec \"$@\"\n",
        runtime.name(),
        mode.display(),
    );
    fs::write(&wrapper, script).expect("a wrapper");
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).expect("its permissions");
    let settings = Settings::new(runtime).set("CASEMATE_RUNTIME_PATH", wrapper.display());
    let server = Server::start(&settings.set("CASEMATE_LAUNCH_MS", 3000).set("MAX_WORKERS", 1));
    let client = server.client();
    let hello = "int puts(const char *); int main(void) { puts(\"it ran\"); }";
    for (what, script) in MISBEHAVIOURS {
        fs::write(&mode, script).expect("the mode");
        // What was made ahead still works; the first that is not must tell. New ones, so that nothing is reused.
        let deadline = Instant::now() + Duration::from_secs(90);
        let failed = (0..8).find_map(|n| {
            let id = client.submit("c", &format!("{hello}\n/* {what} {n} */"), None);
            let seen =
                client.finish(&id, deadline).unwrap_or_else(|why| panic!("{what}: {why}\n{}", server.log_of(&id)));
            (seen.state() == "failed").then_some(seen)
        });
        let failed = failed.unwrap_or_else(|| panic!("{what}: no job failed"));
        assert!(failed.output().starts_with("Internal error: "), "{what}: {}", failed.result);
        fs::remove_file(&mode).expect("the mode");
        let well = (0..8).any(|n| {
            let seen = client.run("c", &format!("{hello}\n/* after {what} {n} */"), None);
            seen.output() == "it ran\n"
        });
        assert!(well, "{what}: no job after it was well\n{}", server.log());
    }
}

under_both_runtimes!(slow_broken_runtime);
