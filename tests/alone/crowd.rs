//! Many who wait: ten thousand submissions and five thousand idle connections cost little memory and no speed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::load::percentile;
use crate::support::machine::Place;
use crate::support::process::Process;
use crate::support::submission::body;
use crate::support::{Client, Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

const WAITING: usize = 10_000;
const IDLE: usize = 5_000;
/// What the contract of the service allows, in KiB.
const MOST: u64 = 64 << 10;

/// Submits over one connection, many requests at a time.
fn submit(client: Client, times: usize) {
    let body = body("python", "print(1)", Some("1 2 3\n"));
    let head = format!("POST /submit HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let request = [head.as_bytes(), &body].concat();
    let mut stream = client.connect().expect("a connection");
    for _ in 0..times / 50 {
        stream.write_all(&request.repeat(50)).expect("fifty submissions");
        let (mut replies, mut seen) = (Vec::new(), 0);
        while seen < 50 {
            let mut buffer = vec![0; 64 << 10];
            let read = stream.read(&mut buffer).expect("replies");
            assert!(read > 0, "closed after {}", String::from_utf8_lossy(&replies));
            replies.extend_from_slice(&buffer[..read]);
            seen = replies.windows(3).filter(|end| *end == b"\"}\n").count();
        }
        let text = String::from_utf8_lossy(&replies);
        assert_eq!(text.matches("HTTP/1.1 202 Accepted").count(), 50, "{text}");
    }
}

/// Connections of which every second has had a request.
fn idle(client: Client) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for n in 0..IDLE {
        let mut stream = client.connect().expect("a connection");
        if n % 2 == 0 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
            let mut reply = [0; 1024];
            assert!(stream.read(&mut reply).expect("a reply") > 0);
        }
        all.push(stream);
    }
    all
}

fn ten_thousand_waiting_and_five_thousand_idle(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("room for the connections");
    // One worker with one job that goes on sleeping, so that the others wait.
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1).set("CASEMATE_SHUTDOWN_MS", 1);
    let settings = settings.limit(&["python"], "RUN", "WALL_MS", 600_000);
    let server = Server::start_in(&settings.set("CASEMATE_HTTP__IDLE_MS", 600_000), Place::alone());
    let client = server.client();
    let service = Process::child_of(server.pid());
    let first = client.submit("python", "import time; time.sleep(600)", None);
    let deadline = Instant::now() + Duration::from_secs(30);
    client.until(&first, deadline, |state| state == "running").expect("the first to run");
    let before = service.rss_kib();
    submit(client, WAITING);
    let waiting = service.rss_kib();
    let connections = idle(client);
    let crowded = service.rss_kib();
    assert!(service.files() > IDLE, "{} open files: not all connections are kept", service.files());

    let target = format!("/status?id={first}");
    let mut times: Vec<_> = (0..400)
        .map(|_| {
            let reply = client.get(&target);
            assert_eq!(reply.status, 200);
            reply.took
        })
        .collect();
    let p95 = percentile(&mut times, 95);
    println!(
        "RSS {before} KiB, {waiting} with {WAITING} waiting, {crowded} with {IDLE} connections; /status p95 {p95:?}"
    );
    let [queued, ..] = client.stats();
    assert_eq!((queued, client.stats()[3]), (100, WAITING as u64 + 1));
    let most = crowded.max(service.rss_kib()) + Process::of(server.pid()).own_kib();
    assert!(most < MOST, "{most} KiB with the outer process");
    assert!(p95 < Duration::from_millis(100), "p95 of /status is {p95:?}");
    drop(connections);
    // Their memory and their descriptors come back.
    let patience = Instant::now() + Duration::from_secs(10);
    while service.files() > 200 {
        assert!(Instant::now() < patience, "{} files are open still", service.files());
        std::thread::sleep(Duration::from_millis(20));
    }
}

under_both_runtimes!(ten_thousand_waiting_and_five_thousand_idle);
