//! What all four routes have in common: CORS on every reply, OPTIONS, methods, unknown paths, both loopback addresses.

use serde_json::json;

use crate::support::client::Reply;
use crate::support::{Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

const ROUTES: [(&str, &str); 4] =
    [("POST", "/submit"), ("GET", "/status"), ("GET", "/result"), ("GET", "/queue-stats")];

const CORS: [(&str, &str); 4] = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, POST, OPTIONS, PUT, DELETE"),
    ("Access-Control-Allow-Headers", "Content-Type, Authorization, X-Requested-With"),
    ("Access-Control-Max-Age", "3600"),
];

fn cors_problems(what: &str, reply: &Reply) -> Vec<String> {
    let wrong = CORS.iter().filter(|(name, value)| reply.header(name) != Some(value));
    wrong.map(|(name, _)| format!("{what} ({}): {name} is {:?}", reply.status, reply.header(name))).collect()
}

fn cors_is_on_every_reply(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let id = client.submit("python", "print(1)", None);
    let good = json!({"language": "python", "code": "print(1)"}).to_string();
    let requests = [
        ("POST", "/submit".to_owned(), good.as_str(), 202),
        ("POST", "/submit".to_owned(), "{", 400),
        ("POST", "/submit".to_owned(), r#"{"code": ""}"#, 400),
        ("POST", "/submit".to_owned(), r#"{"code": "x", "language": "ruby"}"#, 400),
        ("GET", format!("/status?id={id}"), "", 200),
        ("GET", "/status".to_owned(), "", 400),
        ("GET", "/status?id=nobody".to_owned(), "", 404),
        ("GET", format!("/result?id={id}"), "", 200),
        ("GET", "/result".to_owned(), "", 400),
        ("GET", "/result?id=nobody".to_owned(), "", 404),
        ("GET", "/queue-stats".to_owned(), "", 200),
        ("PUT", "/submit".to_owned(), "", 405),
        ("DELETE", "/status".to_owned(), "", 405),
        ("OPTIONS", "/submit".to_owned(), "", 200),
    ];
    let mut wrong = Vec::new();
    for (method, target, body, status) in requests {
        let what = format!("{method} {target} {body}");
        let preflight = [("Origin", "https://judge.example"), ("Access-Control-Request-Method", "POST")];
        for headers in [&[][..], &preflight[..1], &preflight[..]] {
            let reply = client.send(method, &target, headers, body.as_bytes()).expect("a reply");
            if reply.status != status {
                wrong.push(format!("{what}: {} instead of {status}", reply.status));
            }
            wrong.extend(cors_problems(&what, &reply));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn methods_and_paths(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let mut wrong = Vec::new();
    for (method, path) in ROUTES {
        let reply = client.send("OPTIONS", path, &[], b"").expect("a reply");
        if reply.status != 200 || !reply.body.is_empty() {
            wrong.push(format!("OPTIONS {path}: {} {:?}", reply.status, reply.text()));
        }
        for other in ["GET", "POST", "PUT", "DELETE", "PATCH"].into_iter().filter(|other| *other != method) {
            let reply = client.send(other, path, &[], b"").expect("a reply");
            let allow = reply.header("Allow").unwrap_or_default();
            let listed: Vec<_> = allow.split(',').map(str::trim).collect();
            if reply.status != 405 || !listed.contains(&method) || listed.contains(&other) {
                wrong.push(format!("{other} {path}: {} with Allow {allow:?}", reply.status));
            }
        }
        for unknown in [format!("{path}/"), format!("{path}x"), format!("/api{path}"), path.to_uppercase()] {
            let reply = client.send(method, &unknown, &[], b"").expect("a reply");
            if reply.status != 404 {
                wrong.push(format!("{method} {unknown}: {} instead of 404", reply.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn successes_are_json(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let submitted = client.post("/submit", br#"{"code": "print(1)"}"#);
    let id = submitted.json()["id"].as_str().expect("an id").to_owned();
    let form: String = id.chars().map(|c| if matches!(c, '0'..='9' | 'a'..='f') { 'h' } else { c }).collect();
    assert_eq!(form, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "{id}");
    assert_eq!(submitted.status, 202);
    for reply in [
        submitted,
        client.get(&format!("/status?id={id}")),
        client.get(&format!("/result?id={id}")),
        client.get(&format!("/result?x=1&id={id}&y=2")),
        client.get("/queue-stats"),
        client.get("/queue-stats?id=ignored"),
    ] {
        let kind = reply.header("Content-Type").unwrap_or_default();
        assert_eq!(kind.split(';').next(), Some("application/json"), "{}", reply.text());
        assert!(reply.json().is_object(), "{}", reply.text());
    }
    let stats = client.get("/queue-stats").json();
    let keys: Vec<_> = stats.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(keys, ["queue_stats", "submissions"], "{stats}");
    let keys: Vec<_> = stats["queue_stats"].as_object().expect("an object").keys().cloned().collect();
    assert_eq!(keys, ["max_workers", "queue_length", "running_jobs"], "{stats}");
    let [waiting, workers, running, _] = client.stats();
    assert!(waiting <= 100 && workers == 3 && running <= 3, "{stats}");
}

fn an_ordinary_client_library_gets_by(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::shared(runtime);
    let base = format!("http://{}", server.addresses[0]);
    // One agent: it keeps its connection open from request to request.
    let agent = ureq::Agent::new_with_defaults();
    let submission = json!({
        "language": "python",
        "code": "print(\"Hello, World!\")\nfor i in range(5):\n    print(f\"Number: {i}\")",
        "input": "",
    });
    let mut reply = agent.post(format!("{base}/submit")).send_json(&submission).expect("a reply");
    assert_eq!(reply.status(), 202);
    let id = reply.body_mut().read_json::<serde_json::Value>().expect("JSON")["id"].as_str().expect("an id").to_owned();
    let result = loop {
        let mut reply = agent.get(format!("{base}/result?id={id}")).call().expect("a reply");
        let json: serde_json::Value = reply.body_mut().read_json().expect("JSON");
        if matches!(json["status"].as_str(), Some("completed" | "failed")) {
            break json;
        }
    };
    assert_eq!(result["output"], "Hello, World!\nNumber: 0\nNumber: 1\nNumber: 2\nNumber: 3\nNumber: 4\n");
    assert_eq!(result["status"], "completed");
}

fn both_loopback_addresses_listen(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime));
    let hosts: Vec<_> = server.addresses.iter().map(|address| address.ip().to_string()).collect();
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let wanted: &[&str] = if has_ipv6 { &["127.0.0.1", "::1"] } else { &["127.0.0.1"] };
    for host in wanted {
        assert!(hosts.iter().any(|seen| seen == host), "{host} is not among {hosts:?}\n{}", server.log());
    }
    let ports: Vec<_> = server.addresses.iter().map(std::net::SocketAddr::port).collect();
    assert!(ports.iter().all(|port| *port == ports[0]), "one PORT, one number: {:?}", server.addresses);
    for address in &server.addresses {
        assert_eq!(crate::support::Client::new(*address).get("/queue-stats").status, 200, "{address}");
    }
}

under_both_runtimes!(
    cors_is_on_every_reply,
    methods_and_paths,
    successes_are_json,
    an_ordinary_client_library_gets_by,
    both_loopback_addresses_listen,
);
