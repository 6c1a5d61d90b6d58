//! Tokens of the real service: made by the command, read from the file, never in the log; and the shares of two that flood
//! it at once, over a restart as well.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::Reply;
use crate::support::machine::Place;
use crate::support::{Client, Runtime, Server, Settings, account, scale};
use crate::{needs, support::Need, under_both_runtimes};

/// A file of tokens in a directory of its own, and the tokens. `more` is what else an entry says.
pub struct Tokens {
    directory: TempDir,
    pub texts: Vec<String>,
}

impl Tokens {
    pub fn new(entries: &[(&str, &str)]) -> Self {
        let directory = account::directory("tokens");
        let (mut file, mut texts) = (String::new(), Vec::new());
        for (name, more) in entries {
            let printed = made(name);
            let (token, entry) = printed.split_once("\n\n").expect("a token and an entry");
            texts.push(token.to_owned());
            file += &format!("{entry}{more}\n");
        }
        let tokens = Self { directory, texts };
        fs::write(tokens.path(), file).expect("a file of tokens");
        tokens.mode(0o600);
        tokens
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("tokens.toml")
    }

    fn mode(&self, mode: u32) {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(mode)).expect("a mode");
    }

    pub fn settings(&self, runtime: Runtime) -> Settings {
        Settings::new(runtime).set("CASEMATE_TOKENS", self.path().display())
    }
}

/// What `casemate token new` prints.
fn made(name: &str) -> String {
    let home = account::directory("home");
    let output = Settings::bare().command(home.path()).args(["token", "new", name]).output().expect("the binary");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

pub fn send(client: Client, token: &str, method: &str, target: &str, body: &Value) -> Reply {
    let authorization = format!("Bearer {token}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    client.send(method, target, &[("Authorization", &authorization)], body.as_bytes()).expect("a reply")
}

fn a_token_is_made_read_and_never_logged(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let tokens = Tokens::new(&[("judge", ""), ("loop", "")]);
    let server = Server::start(&tokens.settings(runtime).set("CASEMATE_LOG", "trace"));
    let program = json!({"language": "python", "source": "print(6 * 7)"});
    let reply = send(server.client(), &tokens.texts[0], "POST", "/v1/submissions?wait=30", &program);
    assert_eq!((reply.status, &reply.json()["run"]["stdout"]), (201, &json!("42\n")), "{}", reply.text());
    let place = format!("/v1/submissions/{}", reply.json()["id"].as_str().unwrap_or_default());
    for (token, status) in
        [(tokens.texts[0].as_str(), 200), (tokens.texts[1].as_str(), 404), ("casemate_x", 401), ("", 401)]
    {
        assert_eq!(send(server.client(), token, "GET", &place, &Value::Null).status, status);
    }
    // The old routes ask nobody.
    assert_eq!(server.client().run("python", "print(1)", None).output(), "1\n");
    let log = server.log();
    // Who, which, and what by its hash: that of `printf 'print(6 * 7)' | sha256sum`.
    let id = reply.json()["id"].as_str().unwrap_or_default().to_owned();
    let audit = format!(
        "[AUDIT] {id} by judge program sha256:6df79599d398b84cc3b5d2bc48aa32b3b92a031c852c3c679fc9308ef740f492"
    );
    assert!(log.contains(&audit) && log.contains("by nobody program sha256:"), "{audit}");
    // Its share of a processor may have held it back; no other limit came into play.
    let ended = format!("[AUDIT] {id} by judge ended: accepted, limits that fired: ");
    assert!(
        ["none\n", "cpu_percent (1 step)\n"].iter().any(|fired| log.contains(&format!("{ended}{fired}"))),
        "{ended}"
    );
    assert!(!log.contains("print("), "a program is in the log");
    let file = fs::read_to_string(tokens.path()).expect("the file");
    let hashes: Vec<_> =
        file.lines().filter_map(|line| line.strip_prefix("sha256 = \"")).map(|rest| &rest[..64]).collect();
    assert_eq!(hashes.len(), 2, "{file}");
    for secret in tokens.texts.iter().map(String::as_str).chain(hashes) {
        assert!(secret.len() > 40 && !log.contains(secret), "{secret} is in the log");
    }
    // After a restart its submissions are still its own.
    let server = Server::start_at(&tokens.settings(runtime), server.leave(Signal::SIGKILL));
    for (token, status) in tokens.texts.iter().zip([200, 404]) {
        assert_eq!(send(server.client(), token, "GET", &place, &Value::Null).status, status);
    }
}

fn a_start_that_would_let_anybody_in_is_refused(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let tokens = Tokens::new(&[("judge", "")]);
    let network = |settings: Settings| settings.set("CASEMATE_LISTEN", "0.0.0.0");
    let (guard, allow) = ("CASEMATE_HTTP__GUARD_MONACO", "CASEMATE_HTTP__ALLOW_ANONYMOUS_FROM_NETWORK");
    for (settings, words) in [
        (network(Settings::new(runtime)), "name a file of tokens with CASEMATE_TOKENS"),
        (network(tokens.settings(runtime)), "guard it with CASEMATE_HTTP__GUARD_MONACO=true"),
        (Settings::new(runtime).set(guard, true), "guards nothing without tokens"),
        (Settings::new(runtime).set("CASEMATE_TOKENS", "/nowhere/tokens"), "/nowhere/tokens cannot be read"),
    ] {
        let failed = Server::try_start(&settings, Place::shared()).expect_err(words);
        assert!(failed.status.is_some_and(|status| !status.success()) && failed.log.contains(words), "{}", failed.log);
    }
    tokens.mode(0o644);
    let failed = Server::try_start(&tokens.settings(runtime), Place::shared()).expect_err("others may read it");
    assert!(failed.log.contains("has mode 644"), "{}", failed.log);
    fs::write(tokens.path(), format!("[a]\nsha256 = \"{}\"\n[b]\nshare = 0\n", tokens.texts[0])).expect("the file");
    tokens.mode(0o600);
    let failed = Server::try_start(&tokens.settings(runtime), Place::shared()).expect_err("three mistakes");
    for words in ["a.sha256", "b.share: \"0\"", "b.sha256"] {
        assert!(failed.log.contains(words), "{words}: {}", failed.log);
    }
    assert!(!failed.log.contains(&tokens.texts[0]), "{}", failed.log);
    drop(tokens);
    let _open = Server::start(&network(Settings::new(runtime)).set(allow, true));
    let tokens = Tokens::new(&[("judge", "")]);
    // At an address of its own too `/metrics` wants a token where it is to.
    let apart = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let settings = network(tokens.settings(runtime)).set(guard, true);
    let settings = settings.set("CASEMATE_HTTP__METRICS", apart).set("CASEMATE_HTTP__GUARD_METRICS", true);
    let guarded = Server::start(&settings);
    let metrics = Client::new(apart);
    assert_eq!(metrics.get("/metrics").status, 401);
    assert_eq!(send(metrics, &tokens.texts[0], "GET", "/metrics", &Value::Null).status, 200);
    assert_eq!(guarded.client().post("/submit", br#"{"code":"print(1)"}"#).status, 401);
}

/// Two flood at once, with shares of three and one: of what starts while both wait three quarters and a quarter are theirs,
/// within a tenth, and no less after a restart in the middle.
fn two_that_flood_get_their_shares(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    const EACH: usize = 90;
    let tokens = Tokens::new(&[("three", "share = 3"), ("one", "share = 1"), ("first", "")]);
    let settings = tokens.settings(runtime).set("MAX_WORKERS", 1).set("QUEUE_SIZE", 5);
    let server = Server::start(&settings);
    let (client, texts) = (server.client(), tokens.texts.clone());
    let source = |code: &str| json!({"language": "python", "source": code});
    // What comes first holds the worker until both have brought all. It is a third one's, whom the time of it costs.
    let hold = format!("import time\ntime.sleep({})", scale::patience(Duration::from_secs(6)).as_secs());
    let held = send(client, &texts[2], "POST", "/v1/submissions", &source(&hold));
    assert_eq!(held.status, 202, "{}", held.text());
    let flood = |token: String, most: usize| {
        let program = source("pass");
        std::thread::spawn(move || {
            let ids = (0..most).map(|_| {
                let reply = send(client, &token, "POST", "/v1/submissions", &program);
                assert_eq!(reply.status, 202, "{}", reply.text());
                reply.json()["id"].as_str().unwrap_or_default().to_owned()
            });
            ids.collect::<Vec<String>>()
        })
    };
    // One has all of its own there before the other begins.
    let one = flood(texts[1].clone(), EACH).join().expect("a client");
    let three = flood(texts[0].clone(), EACH).join().expect("a client");

    let deadline = Instant::now() + scale::patience(Duration::from_secs(120));
    let started = |client: Client, ids: &[String], token: &str| -> Vec<String> {
        let shown =
            ids.iter().map(|id| send(client, token, "GET", &format!("/v1/submissions/{id}"), &Value::Null).json());
        shown.filter_map(|shown| shown["started_at"].as_str().map(str::to_owned)).collect()
    };
    let both = |client: Client| {
        let mut all: Vec<(String, bool)> = Vec::new();
        all.extend(started(client, &three, &texts[0]).into_iter().map(|at| (at, true)));
        all.extend(started(client, &one, &texts[1]).into_iter().map(|at| (at, false)));
        all.sort();
        all
    };
    let until = |client: Client, count: usize| loop {
        let all = both(client);
        if all.len() >= count {
            return all;
        }
        assert!(Instant::now() < deadline, "{} of {count} started", all.len());
        std::thread::sleep(Duration::from_millis(100));
    };
    let share = |all: &[(String, bool)]| all.iter().filter(|(_, three)| *three).count();
    let within = |found: usize, of: usize| (found * 100).abs_diff(of * 75) <= of * 75 / 10;
    let before = until(client, 40);
    assert!(within(share(&before[..40]), 40), "{} of 40 are of the one with three shares", share(&before[..40]));

    let server = Server::start_at(&settings, server.leave(Signal::SIGTERM));
    // As many as can be told of while both still wait: of the larger part ninety are there in all.
    let after = until(server.client(), 100);
    let later = &after[after.len().min(48)..100];
    assert!(within(share(later), later.len()), "{} of {} after the restart", share(later), later.len());
}

#[test]
fn names_of_tokens() {
    let home = account::directory("home");
    for name in ["", "a b", "ä", &"x".repeat(65)] {
        let output = Settings::bare().command(home.path()).args(["token", "new", name]).output().expect("the binary");
        assert!(!output.status.success() && output.stdout.is_empty(), "{name:?}: {output:?}");
    }
    let printed = made("a-b_1");
    assert!(printed.starts_with("casemate_") && printed.contains("\n[a-b_1]\nsha256 = \""), "{printed}");
    assert_ne!(printed, made("a-b_1"));
}

under_both_runtimes!(
    a_token_is_made_read_and_never_logged,
    a_start_that_would_let_anybody_in_is_refused,
    two_that_flood_get_their_shares,
);
