//! What we broke ourselves: the client learns that it was us, and no more.

use std::fs;

use crate::support::wrapper::Wrapper;
use crate::support::{Runtime, Server, Settings, shape};
use crate::{needs, support::Need, under_both_runtimes};

/// A runtime that works until a file appears, and then fails with words that are nobody's business.
fn a_runtime_that_fails(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let breaks = "if [ -e \"$here/broken\" ]; then echo \"$here\" s3cret >&2; exit 1; fi";
    let wrapper = Wrapper::of(runtime, breaks);
    let broken = wrapper.directory().join("broken");
    let server = Server::start(&wrapper.before(&Settings::new(runtime)));
    let client = server.client();
    assert_eq!(client.run("python", "print(1)", None).output(), "1\n");
    fs::write(&broken, "").expect("a file");
    // What was started ahead still works; the first that is not must tell.
    let failed = (0..20).map(|_| client.run("c", "int main(void) {}", None)).find(|seen| seen.state() == "failed");
    let failed = failed.expect("a failure of ours");
    assert!(failed.output().starts_with("Internal error: "), "{}", failed.result);
    for secret in ["s3cret", "/tmp", "cmtest", runtime.name()] {
        assert!(!failed.output().contains(secret), "{secret} in {}", failed.result);
    }
    let id = failed.result["id"].as_str().unwrap_or_default();
    assert_eq!(shape::ended(id, "c", &failed), Vec::<String>::new());
    assert!(
        server.log_of(id).contains("s3cret") || server.log().contains("s3cret"),
        "the log has the rest\n{}",
        server.log()
    );
    fs::remove_file(&broken).expect("a file");
    assert_eq!(client.run("python", "print('mended')", None).output(), "mended\n");
}

under_both_runtimes!(a_runtime_that_fails);
