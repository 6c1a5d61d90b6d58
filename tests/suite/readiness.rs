//! A runtime that breaks while the service runs: jobs fail as our fault, the log says why, readiness goes, and all of it
//! mends itself once the runtime does.

use std::time::{Duration, Instant};

use crate::support::wrapper::Wrapper;
use crate::support::{Client, Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

/// What the runtime does instead of its work, and a word of the log that names the cause.
const WAYS: [(&str, &str, &str); 5] = [
    ("says no", "echo broken as planned >&2; exit 1", "broken as planned"),
    ("hangs", "exec sleep 1000", "took longer than"),
    ("is killed", "kill -9 $$", "signal 9"),
    ("prints garbage", "head -c 10000 /dev/urandom; exit 0", "no usable process id"),
    ("is missing", "", "cannot start the runtime"),
];

/// Submits twelve at once, until none of them is served any more by what was made ahead: those that are may end last.
fn all_fail(client: Client, deadline: Instant, what: &str) {
    loop {
        let ids: Vec<_> = (0..12).map(|_| client.submit("python", "print(1)", None)).collect();
        let mut served = 0;
        for id in &ids {
            let ended = client.finish(id, deadline).expect("an end");
            let ours = ended.output().starts_with("Internal error: ") && ended.state() == "failed";
            assert!(ours || ended.output() == "1\n", "{what}: {}", ended.result);
            served += usize::from(!ours);
        }
        if served == 0 {
            return;
        }
    }
}

fn a_runtime_that_breaks_and_mends(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let wrapper = Wrapper::of(runtime, "");
    let settings = wrapper.before(&Settings::new(runtime));
    // The time for a call has to do for the machine at its busiest, and is what a hanging one takes: so all hang at once.
    let server = Server::start(&settings.set("CASEMATE_LAUNCH_MS", 8000).set("MAX_WORKERS", 12));
    let client = server.client();
    let deadline = Instant::now() + Duration::from_secs(400);
    for (what, words, cause) in WAYS {
        assert_eq!(client.get("/readyz").status, 200, "before it {what}");
        let seen = server.log().len();
        if words.is_empty() {
            wrapper.remove();
        } else {
            wrapper.say(words);
        }
        all_fail(client, deadline, what);
        let ready = client.get("/readyz");
        let text = ready.text();
        assert!(ready.status == 503 && text.contains(" jobs in a row could not be carried out"), "{what}: {text}");
        assert_eq!(client.get("/healthz").status, 200);
        let log = server.log();
        assert!(log[seen..].contains(cause), "{cause} is not in the log after it {what}\n{}", &log[seen..]);
        wrapper.say("");
        let mended = client.run("python", "print('mended')", None);
        assert_eq!(
            mended.output(),
            "mended\n",
            "after it {what}\n{}",
            server.log_of(mended.result["id"].as_str().unwrap_or_default())
        );
        let ready = client.get("/readyz");
        assert_eq!((ready.status, ready.text().as_str()), (200, "ok"), "after it {what}");
    }
    // Nobody submits any more, yet it finds out by itself.
    wrapper.say("exit 1");
    all_fail(client, deadline, "says nothing");
    assert_eq!(client.get("/readyz").status, 503);
    wrapper.say("");
    let patience = Instant::now() + Duration::from_secs(60);
    while client.get("/readyz").status != 200 {
        assert!(Instant::now() < patience, "never ready again\n{}", server.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

under_both_runtimes!(a_runtime_that_breaks_and_mends);
