//! A service made of the real HTTP room and ledger, and a client that sends exact bytes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use casemate::config::{Defaults, Settings, TokenEntry};
use casemate::health::Health;
use casemate::http::{Cors, Edge, Guard, Hosts, listen, serve};
use casemate::metrics::Book;
use casemate::model::{
    Bytes, Captured, CpuTime, Enforcement, Evidence, Inodes, JobReport, Limits, OpenFiles, Outcome, Pids, StepReport,
    Verdict, WallTime,
};
use casemate::service::{Admission, Capacity, Catalogue, Ledger};
use casemate::shutdown::Shutdown;
use casemate::store::Store;
use casemate::store::memory::MemoryStore;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

#[derive(Debug)]
pub struct Languages;

pub fn limits() -> Limits {
    Limits {
        memory: Bytes::mib(100),
        cpu_share: None,
        cpu_time: CpuTime::seconds(10),
        wall: WallTime::seconds(10),
        pids: Pids(64),
        open_files: OpenFiles(64),
        stack: Bytes::mib(8),
        file_size: Bytes::mib(64),
        output: Bytes::mib(64),
        tmp: Bytes::mib(64),
        tmp_inodes: Inodes(4096),
    }
}

impl Catalogue for Languages {
    fn limits(&self, name: &str) -> Option<(Option<Limits>, Limits)> {
        // One of them has a compile step.
        ["python", "java", "c", "cpp"].contains(&name).then(|| ((name == "cpp").then(limits), limits()))
    }

    fn names(&self) -> Vec<String> {
        ["c", "cpp", "java", "python"].map(str::to_owned).to_vec()
    }

    fn sources(&self, name: &str) -> Vec<String> {
        if name == "cpp" { ["cpp", "cc"].map(str::to_owned).to_vec() } else { Vec::new() }
    }
}

pub fn report(verdict: Verdict, stdout: &[u8]) -> JobReport {
    let output = Captured { stdout: stdout.to_vec(), ..Captured::default() };
    let evidence = Evidence { output, ..Evidence::default() };
    let step = StepReport { verdict, evidence, limits: limits(), enforcement: Enforcement::CgroupV2 };
    JobReport { outcome: Outcome::Ran, compile: None, runs: vec![step], about: None }
}

pub struct Service {
    pub address: SocketAddr,
    pub ledger: Arc<Ledger>,
    pub health: Arc<Health>,
    pub shutdown: Shutdown,
    pub served: JoinHandle<()>,
}

/// A service with these settings, as variables.
pub async fn service(env: &[(&str, &str)]) -> Service {
    service_with(env, &[]).await
}

/// The same, with these tokens.
pub async fn service_with(env: &[(&str, &str)], tokens: &[TokenEntry]) -> Service {
    service_over(Arc::new(MemoryStore::new()), env, tokens).await
}

/// The same, over this store.
pub async fn service_over(store: Arc<dyn Store>, env: &[(&str, &str)], tokens: &[TokenEntry]) -> Service {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings = Settings::resolve(None, env, Defaults { home: PathBuf::from("/h") }).unwrap();
    let admission = Admission::new(Arc::new(Languages), settings.default_language, settings.limits);
    let admission = admission.with_ceilings(settings.ceilings).with_tests(settings.tests.most);
    let admission = match settings.http.guard_monaco {
        true => admission.with_tokens_alone(tokens),
        false => admission.with_tokens(tokens),
    };
    let workers = NonZeroUsize::new(2).unwrap();
    let capacity = Capacity {
        workers,
        queue: settings.queue_size,
        waiting: settings.max_pending,
        waiting_bytes: settings.max_pending_bytes,
    };
    let ledger = Arc::new(Ledger::open(admission, capacity, store).await.unwrap());
    let listeners = listen(&["127.0.0.1".parse().unwrap()], 0).await.unwrap();
    let address = listeners.addresses()[0];
    let shutdown = Shutdown::new();
    let health = Arc::new(Health::new(settings.unready_after));
    let edge = Edge::new(Arc::clone(&ledger), Arc::clone(&health), settings.http, Cors::new(&settings.cors_origins));
    let edge = edge.guarded(Guard::new(tokens, settings.http.guard_monaco).with_metrics(settings.http.guard_metrics));
    let edge =
        edge.called(Hosts::new(&settings.hosts, &settings.listen, !tokens.is_empty() && settings.http.guard_monaco));
    let mut book = Book::new();
    ledger.enter(&mut book);
    let edge = edge.with_metrics(book);
    let served = tokio::spawn(serve(listeners, edge, shutdown.clone()));
    Service { address, ledger, health, shutdown, served }
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Reply {
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn keys(&self) -> Vec<String> {
        self.json().as_object().unwrap().keys().cloned().collect()
    }
}

impl Service {
    /// Everything that the service answers to these bytes until it closes.
    pub async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut reply = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut reply)).await;
        read.expect("the service does not close").unwrap();
        reply
    }

    pub async fn request(&self, method: &str, target: &str, headers: &str, body: &[u8]) -> Reply {
        self.request_for("x", method, target, headers, body).await
    }

    /// A request that says that it is for this host.
    pub async fn request_for(&self, host: &str, method: &str, target: &str, headers: &str, body: &[u8]) -> Reply {
        let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}{length}\r\n");
        let reply = Reply::parse(&self.raw(&[head.as_bytes(), body].concat()).await);
        described(method, target, &reply);
        reply
    }

    pub async fn get(&self, target: &str) -> Reply {
        self.request("GET", target, "", b"").await
    }

    pub async fn submit(&self, body: &str) -> Reply {
        self.request("POST", "/submit", "", body.as_bytes()).await
    }

    pub async fn accepted(&self, body: &str) -> String {
        let reply = self.submit(body).await;
        assert_eq!((reply.status, reply.keys()), (202, vec!["id".to_owned()]), "{body}: {reply:?}");
        reply.json()["id"].as_str().unwrap().to_owned()
    }
}

/// Whatever a route answers stands in `docs/openapi.json`: its status, and the type of its content.
fn described(method: &str, target: &str, reply: &Reply) {
    static DOCUMENT: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap());
    let path = target.split('?').next().unwrap();
    let same = |template: &str| {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template.zip(path).all(|(word, part)| word == part || word.starts_with('{'))
    };
    let Some((_, item)) = DOCUMENT["paths"].as_object().unwrap().iter().find(|(template, _)| same(template)) else {
        assert_eq!(reply.status, 404, "{method} {path} is not described");
        return;
    };
    let Some(operation) = item.get(method.to_lowercase()) else { return };
    let answer = &operation["responses"][reply.status.to_string()];
    assert!(answer.is_object(), "{method} {path} is not described with {}: {reply:?}", reply.status);
    let Some(content) = answer["content"].as_object() else {
        assert_eq!(reply.body, "", "{method} {path} is described without content");
        return;
    };
    let kinds: Vec<_> = content.keys().map(|kind| kind.split(';').next().unwrap()).collect();
    let kind = reply.headers["content-type"].split(';').next().unwrap();
    assert!(kinds.contains(&kind), "{method} {path} is not described with {kind}: {kinds:?}");
}

/// The headers of the contract; the routes below `/v1/` let scripts send and see some more.
pub fn assert_cors(reply: &Reply) {
    let sent = match reply.headers.get("access-control-expose-headers").map(String::as_str) {
        Some("Location, Retry-After, WWW-Authenticate") => {
            "Content-Type, Authorization, X-Requested-With, Idempotency-Key, Last-Event-ID"
        }
        Some(other) => panic!("{other}"),
        None => "Content-Type, Authorization, X-Requested-With",
    };
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, POST, OPTIONS, PUT, DELETE"),
        ("access-control-allow-headers", sent),
        ("access-control-max-age", "3600"),
    ] {
        assert_eq!(reply.headers.get(name).map(String::as_str), Some(value), "{reply:?}");
    }
}

pub fn assert_problem(reply: &Reply, status: u16, body: &str) {
    assert_eq!((reply.status, reply.body.as_str()), (status, body));
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    assert_cors(reply);
}

/// The head of a submission with these header lines.
pub fn post(headers: &str) -> String {
    format!("POST /submit HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n")
}
