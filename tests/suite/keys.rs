//! `Idempotency-Key`: the same key and body are one submission, however often, at once, and after a crash.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;

use crate::support::client::Reply;
use crate::support::submission::body;
use crate::support::{Client, Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

fn submit(client: Client, key: &str, code: &str) -> Reply {
    client.send("POST", "/submit", &[("Idempotency-Key", key)], &body("python", code, None)).expect("a reply")
}

fn id(reply: &Reply) -> String {
    assert_eq!(reply.status, 202, "{}", reply.text());
    reply.json()["id"].as_str().unwrap_or_default().to_owned()
}

fn a_key_names_one_submission(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime);
    let server = Server::start(&settings);
    let client = server.client();
    // All at once: whoever comes first, all hear of the same.
    let clients: Vec<_> = (0..20).map(|_| std::thread::spawn(move || id(&submit(client, "k", "print(1)")))).collect();
    let ids: BTreeSet<_> = clients.into_iter().map(|one| one.join().expect("a client")).collect();
    assert_eq!((ids.len(), client.stats()[3]), (1, 1), "{ids:?}");
    let first = ids.first().expect("an id").clone();
    let other = submit(client, "k", "print(2)");
    assert_eq!((other.status, other.text().as_str()), (409, "Idempotency-Key was used for another submission\n"));
    assert_eq!(other.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_ne!(id(&submit(client, "l", "print(1)")), first);
    // What was refused has not used its key.
    assert_eq!(submit(client, "m", "").status, 400);
    id(&submit(client, "m", "print(3)"));
    let bad = submit(client, &"x".repeat(256), "print(1)");
    assert_eq!(bad.status, 400, "{}", bad.text());

    let home = server.leave(Signal::SIGKILL);
    let server = Server::start_at(&settings, home);
    let client = server.client();
    assert_eq!(id(&submit(client, "k", "print(1)")), first);
    assert_eq!(submit(client, "k", "print(2)").status, 409);
    assert_eq!(client.stats()[3], 3);
}

under_both_runtimes!(a_key_names_one_submission);
