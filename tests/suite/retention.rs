//! Results go by their size together, the oldest first, while the service goes on; the count of submissions stays.

use std::time::{Duration, Instant};

use crate::support::submission::body;
use crate::support::{Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

fn old_results_make_room(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_STORE__KEEP_MIB", 1));
    let client = server.client();
    let deadline = Instant::now() + Duration::from_secs(60);
    let submit = || {
        let body = body("python", "print('first' * 100000)", None);
        let reply = client.send("POST", "/submit", &[("Idempotency-Key", "k")], &body).expect("a reply");
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.json()["id"].as_str().unwrap_or_default().to_owned()
    };
    let first = submit();
    client.finish(&first, deadline).expect("an end");
    assert_eq!(submit(), first, "its key is kept as long as it is");
    let later = ["second", "third"].map(|word| {
        let seen = client.run("python", &format!("print('{word}' * 100000)"), None);
        seen.result["id"].as_str().unwrap_or_default().to_owned()
    });
    while client.get(&format!("/result?id={first}")).status != 404 {
        assert!(Instant::now() < deadline, "it is kept although there is too much");
        // What is too much goes with the next write, or a moment later.
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client.get(&format!("/status?id={first}")).status, 404);
    assert_eq!(client.result(&later[1])["output"].as_str().map(str::len), Some(500_001));
    assert_eq!(client.stats()[3], 3);
    // Nothing is known of its key any more.
    let again = submit();
    assert_ne!(again, first);
    client.finish(&again, deadline).expect("an end");
    assert_eq!(client.stats()[3], 4);
}

under_both_runtimes!(old_results_make_room);
