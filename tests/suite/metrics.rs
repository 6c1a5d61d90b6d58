//! `/metrics`: a page that a strict reader takes, whose numbers move with real jobs, where the settings say.

use std::net::SocketAddr;

use serde_json::json;

use crate::support::prometheus::Page;
use crate::support::{Client, Runtime, Server, Settings};
use crate::{needs, program, support::Need, under_both_runtimes};

fn scrape(client: Client) -> Page {
    let reply = client.get("/metrics");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    Page::parse(&reply.text())
}

fn run(client: Client, language: &str, source: &str) -> String {
    let body = json!({"language": language, "source": source});
    client.judge(&body)["verdict"].as_str().expect("a verdict").to_owned()
}

fn counters_move_with_jobs(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("MAX_WORKERS", 2).set("QUEUE_SIZE", 7));
    let client = server.client();
    let before = scrape(client);
    let limited =
        json!({"language": "c", "source": "int main(void) { for (;;); }", "limits": {"run": {"wall_ms": 300}}});
    assert_eq!(run(client, "python", "print(1)"), "accepted");
    assert_eq!(run(client, "python", "raise SystemExit(3)"), "exit_status");
    assert_eq!(run(client, "c", program!("c/hello.c")), "accepted");
    assert_eq!(run(client, "c", program!("c/hello.c")), "accepted");
    assert_eq!(run(client, "c", "int main(void) { return }"), "compile_error");
    assert_eq!(client.judge(&limited)["verdict"], "time_limit");
    client.run("python", "print(2)", None);
    for (path, body) in [
        ("/submit", json!({"language": "ruby", "code": "x"})),
        ("/v1/submissions", json!({"language": "ruby", "source": "x"})),
        ("/v1/submissions", json!({"language": "c", "code": "x"})),
        ("/v1/submissions", json!({"language": "c", "source": "x", "limits": {"run": {"wall_ms": 0}}})),
    ] {
        client.post(path, body.to_string().as_bytes());
    }
    client.get("/no/such/path");
    client.send("BREW", "/submit", &[], b"").expect("a reply");
    let idle: Vec<_> = (0..5).map(|_| client.connect().expect("a connection")).collect();
    let after = scrape(client);
    drop(idle);
    let mut wrong = Vec::new();
    for (name, moved) in [
        ("casemate_submissions_accepted_total", 7.0),
        ("casemate_submissions_ended_total{language=\"python\",verdict=\"accepted\"}", 2.0),
        ("casemate_submissions_ended_total{language=\"python\",verdict=\"exit_status\"}", 1.0),
        ("casemate_submissions_ended_total{language=\"c\",verdict=\"accepted\"}", 2.0),
        ("casemate_submissions_ended_total{language=\"c\",verdict=\"compile_error\"}", 1.0),
        ("casemate_submissions_ended_total{language=\"c\",verdict=\"time_limit\"}", 1.0),
        ("casemate_submissions_refused_total{kind=\"malformed_request\"}", 2.0),
        ("casemate_submissions_refused_total{kind=\"bad_value\"}", 1.0),
        ("casemate_submissions_refused_total{kind=\"out_of_range\"}", 1.0),
        ("casemate_submission_wait_seconds_count", 7.0),
        ("casemate_ending_write_seconds_count", 7.0),
        ("casemate_step_seconds_count{language=\"python\",step=\"run\"}", 3.0),
        ("casemate_step_seconds_count{language=\"c\",step=\"run\"}", 3.0),
        // One of four was found in the cache.
        ("casemate_step_seconds_count{language=\"c\",step=\"compile\"}", 3.0),
        ("casemate_compile_cache_hits_total", 1.0),
        ("casemate_compile_cache_misses_total", 3.0),
        ("casemate_http_requests_total{route=\"/v1/submissions\",method=\"POST\",status=\"422\"}", 2.0),
        ("casemate_http_requests_total{route=\"other\",method=\"GET\",status=\"404\"}", 1.0),
        ("casemate_http_requests_total{route=\"/submit\",method=\"other\",status=\"405\"}", 1.0),
        ("casemate_http_requests_total{route=\"/metrics\",method=\"GET\",status=\"200\"}", 1.0),
    ] {
        let seen = after.get(name) - before.get(name);
        if (seen - moved).abs() > f64::EPSILON {
            wrong.push(format!("{name} moved by {seen}, not by {moved}"));
        }
    }
    let more = |name: &str| after.get(name) - before.get(name);
    let posted = [201, 202].map(|status| {
        more(&format!("casemate_http_requests_total{{route=\"/v1/submissions\",method=\"POST\",status=\"{status}\"}}"))
    });
    if (posted[0] + posted[1] - 6.0).abs() > f64::EPSILON {
        wrong.push(format!("six were submitted, not {posted:?}"));
    }
    let steps = more("casemate_pool_hits_total") + more("casemate_pool_misses_total");
    if (steps - 9.0).abs() > f64::EPSILON {
        wrong.push(format!("nine steps, and {steps} asked for a container"));
    }
    for name in [
        "casemate_container_make_seconds_count",
        "casemate_store_commit_seconds_count",
        "casemate_store_commit_changes_sum",
    ] {
        if more(name) < 1.0 {
            wrong.push(format!("{name} did not move"));
        }
    }
    for (name, value) in [
        ("casemate_workers", 2.0),
        ("casemate_queue_capacity", 7.0),
        ("casemate_waiting_capacity", 10_000.0),
        ("casemate_waiting_bytes", 0.0),
        ("casemate_submissions_running", 0.0),
        ("casemate_store_writable", 1.0),
        ("casemate_ready", 1.0),
        ("casemate_compile_cache_capacity_bytes", f64::from(32 << 20)),
    ] {
        if (after.get(name) - value).abs() > f64::EPSILON {
            wrong.push(format!("{name} is {}, not {value}", after.get(name)));
        }
    }
    // Those of the requests before may not be gone yet.
    if after.get("casemate_http_connections") < 6.0 {
        wrong.push(format!("{} connections", after.get("casemate_http_connections")));
    }
    for name in ["casemate_store_bytes", "casemate_compile_cache_bytes"] {
        if after.get(name) < 1000.0 {
            wrong.push(format!("{name} is {}", after.get(name)));
        }
    }
    let pool = after.samples().filter(|(name, _)| name.starts_with("casemate_pool_containers{")).count();
    if pool != 7 {
        wrong.push(format!("seven steps of four languages, {pool} kinds of containers"));
    }
    assert!(wrong.is_empty(), "{}\n{after:#?}", wrong.join("\n"));
}

/// What a client may choose does not become a label.
fn labels_are_ours(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    for word in ["/a", "/v1/submissions/x", "/v1/submissions/6423259c-ee14-45aa-9c90-d5e989f92aa1", "/v1/x"] {
        client.get(word);
        client.send("FETCH", word, &[], b"").expect("a reply");
    }
    client.post("/v1/submissions", json!({"language": "\"}\n", "source": "x"}).to_string().as_bytes());
    let routes = ["other", "/v1/submissions/{id}", "/v1/submissions", "/metrics", "/v1/languages"];
    let monaco = ["/submit", "/status", "/result", "/queue-stats", "/healthz", "/readyz"];
    for (name, _) in scrape(client).samples().filter(|(name, _)| name.starts_with("casemate_http_requests_total{")) {
        let value = |label: &str| name.split(&format!("{label}=\"")).nth(1).and_then(|rest| rest.split('"').next());
        assert!(
            value("route")
                .is_some_and(|route| routes.contains(&route) || monaco.contains(&route) || route.starts_with("/v1/")),
            "{name}"
        );
        assert!(
            value("method").is_some_and(|m| ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "other"].contains(&m)),
            "{name}"
        );
        assert!(!name.contains("6423259c"), "{name}");
    }
}

fn open_metrics_where_it_is_asked_for(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    // What a server of Prometheus sends.
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    let reply = client.send("GET", "/metrics", &[("Accept", accept)], b"").expect("a reply");
    assert_eq!(reply.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let text = reply.text();
    assert!(text.contains("# TYPE casemate_submissions_accepted counter\n") && text.ends_with("# EOF\n"), "{text}");
    let plain = client.send("GET", "/metrics", &[("Accept", "text/plain")], b"").expect("a reply");
    Page::parse(&plain.text());
}

fn where_the_settings_say(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_HTTP__METRICS", "off"));
    for method in ["GET", "POST"] {
        assert_eq!(server.client().send(method, "/metrics", &[], b"").expect("a reply").status, 404, "{method}");
    }
    drop(server);
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_HTTP__METRICS", "127.0.0.1:0"));
    assert_eq!(server.client().get("/metrics").status, 404);
    let log = server.log();
    let told = log.lines().find_map(|line| line.split("metrics at http://").nth(1)?.strip_suffix("/metrics"));
    let address: SocketAddr = told.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no address in {log}"));
    let apart = Client::new(address);
    for path in ["/healthz", "/v1/languages", "/submit", "/"] {
        assert_eq!(apart.get(path).status, 404, "{path}");
    }
    assert_eq!(run(server.client(), "python", "print(1)"), "accepted");
    let page = scrape(apart);
    assert!((page.get("casemate_submissions_accepted_total") - 1.0).abs() < f64::EPSILON, "{page:#?}");
    // What is answered at either address is counted in one place.
    let other = "casemate_http_requests_total{route=\"other\",method=\"GET\",status=\"404\"}";
    assert!((page.get(other) - 5.0).abs() < f64::EPSILON, "{page:#?}");
    // A name that is none of the service's is none there either.
    let other = apart.send("GET", "/metrics", &[("Host", "evil.example")], b"").expect("a reply");
    assert_eq!(other.status, 421);
    // The address is taken.
    let settings = Settings::new(runtime).set("CASEMATE_HTTP__METRICS", address);
    let failed = Server::try_start(&settings, crate::support::machine::Place::shared()).expect_err("an address in use");
    assert!(failed.log.contains("http.metrics") && failed.log.contains("another program"), "{}", failed.log);
}

under_both_runtimes!(
    counters_move_with_jobs,
    labels_are_ours,
    open_metrics_where_it_is_asked_for,
    where_the_settings_say,
);
