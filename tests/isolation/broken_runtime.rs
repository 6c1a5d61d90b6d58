//! A runtime that misbehaves at the launch of a container, in every way that a program can: the job does not run, the
//! caller is told that it was us, nothing is left of it, and the next job is well.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::soak::Watch;
use crate::support::wrapper::Wrapper;
use crate::support::{Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

/// Does in place of a launch what a file says, while it is there.
const MISBEHAVES: &str = r#"if [ "$verb" = run ] && [ -e "$here/mode" ]; then
    eval "$(cat "$here/mode")"
    exit 0
fi"#;

/// What is done in place of a launch, or after it: `$pid` is the file for the process id, `"$@"` the launch.
const MISBEHAVIOURS: [(&str, &str); 9] = [
    ("fails", "exit 1"),
    ("fails with garbage", "head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2; exit 255"),
    ("hangs", "exec sleep 60"),
    ("is killed", "kill -9 $$"),
    ("does nothing and says that all is well", "exit 0"),
    ("launches and leaves no process id", "\"$@\"; rm -f \"$pid\""),
    ("launches and leaves what is no number", "\"$@\"; echo garbage >\"$pid\""),
    ("launches and leaves the service's own process", "\"$@\"; echo 1 >\"$pid\""),
    ("launches and leaves a process that there is not", "\"$@\"; echo 4000000 >\"$pid\""),
];

fn slow_broken_runtime(runtime: Runtime) {
    // Only root sees all that is left behind.
    needs!(Need::Sandbox(runtime), Need::Root);
    let wrapper = Wrapper::of(runtime, MISBEHAVES);
    let mode = wrapper.directory().join("mode");
    let settings = wrapper.before(&Settings::new(runtime));
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
