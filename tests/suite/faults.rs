//! What we broke ourselves: the client learns that it was us, and no more.

use std::fs;

use crate::support::follow::Reader;
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
    // Of tests too, though none took place.
    let tests = serde_json::json!({"language": "c", "source": "int main(void) {}", "tests": [{"name": "a"}, {}],
        "limits": {"run": {"wall_ms": 4999}, "compile": {"wall_ms": 4999}}});
    let shown = client.post("/v1/submissions?wait=30", tests.to_string().as_bytes()).json();
    assert_eq!(
        (&shown["verdict"], &shown["not_run"], &shown["passed"]),
        (&"internal_error".into(), &2.into(), &0.into())
    );
    assert_eq!(
        (&shown["tests"][0]["name"], &shown["tests"][1]["verdict"]),
        (&"a".into(), &"not_run".into()),
        "{shown:#}"
    );
    let id = failed.result["id"].as_str().unwrap_or_default();
    assert_eq!(shape::ended(id, "c", &failed), Vec::<String>::new());
    assert!(
        server.log_of(id).contains("s3cret") || server.log().contains("s3cret"),
        "the log has the rest\n{}",
        server.log()
    );
    fs::remove_file(&broken).expect("a file");
    assert_eq!(client.run("python", "print('mended')", None).output(), "mended\n");

    // What took place before it failed is told.
    let tests = serde_json::json!({"language": "python", "source": "import time\ntime.sleep(0.2)\nprint(input())",
        "limits": {"run": {"wall_ms": 4999}}, "tests": vec![serde_json::json!({"stdin": "x", "expected": "x"}); 20]});
    let id =
        client.post("/v1/submissions", tests.to_string().as_bytes()).json()["id"].as_str().expect("an id").to_owned();
    Reader::open(client, &id, None).until(|event| event.name == "step");
    fs::write(&broken, "").expect("a file");
    let shown = client.get(&format!("/v1/submissions/{id}?wait=30")).json();
    let counts = ["passed", "failed", "not_run"].map(|member| shown[member].as_u64().expect("a number"));
    assert_eq!((&shown["verdict"], counts.iter().sum::<u64>()), (&"internal_error".into(), 20), "{shown:#}");
    assert!(counts[0] > 0 && counts[2] > 0, "{counts:?}");
    assert_eq!((&shown["tests"][0]["stdout"], &shown["tests"][19]["verdict"]), (&"x\n".into(), &"not_run".into()));
}

under_both_runtimes!(a_runtime_that_fails);
