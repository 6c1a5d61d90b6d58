//! A runtime that misbehaves at the launch of a container, in every way that a program can: the job does not run, the
//! caller is told that it was us, nothing is left of it, and the next job is well.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::support::soak::Watch;
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
    // Only root sees all that is left behind.
    needs!(Need::Sandbox(runtime), Need::Root);
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
    // Without containers made ahead each job meets what is wrong now, and what is there can be counted.
    let settings = settings.set("CASEMATE_POOL__LEAST", 0).set("CASEMATE_POOL__MOST", 0);
    let server = Server::start(&settings.set("CASEMATE_LAUNCH_MS", 3000).set("MAX_WORKERS", 1));
    let client = server.client();
    let watch = Watch::over(&server);
    let hello = "int puts(const char *); int main(void) { puts(\"it ran\"); }";
    client.run("c", hello, None);
    let before = watch.counts();
    for (what, script) in MISBEHAVIOURS {
        fs::write(&mode, script).expect("the mode");
        let deadline = Instant::now() + Duration::from_secs(90);
        let id = client.submit("c", &format!("{hello}\n/* {what} */"), None);
        let seen = client.finish(&id, deadline).unwrap_or_else(|why| panic!("{what}: {why}\n{}", server.log_of(&id)));
        assert!(seen.output().starts_with("Internal error: "), "{what}: {}", seen.result);
        fs::remove_file(&mode).expect("the mode");
        let left = watch.more_than(&before, Duration::from_secs(10));
        assert!(left.is_empty(), "{what}: left behind: {left:?}\n{}", server.log());
        let well = client.run("c", &format!("{hello}\n/* after {what} */"), None);
        assert_eq!(well.output(), "it ran\n", "{what}: the next job\n{}", server.log());
    }
}

under_both_runtimes!(slow_broken_runtime);
