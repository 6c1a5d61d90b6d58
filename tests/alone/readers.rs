//! Many who wait below `/v1/` and many who read along: what each costs the service in memory, of which most take nothing of what
//! they asked for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::{Value, json};

use crate::support::follow::Reader;
use crate::support::machine::Place;
use crate::support::process::Process;
use crate::support::scale::patience;
use crate::support::soak::fill_cache;
use crate::support::{Client, Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

/// Submissions that wait, and how many of them one request submits.
const WAITING: usize = 10_000;
const BATCH: usize = 100;
/// Those who wait with `?wait=`; those who follow, and those of them who take nothing.
const PATIENT: usize = 200;
const READERS: usize = 200;
const SILENT: usize = 100;
/// What the job prints, in bytes.
const OUTPUT: usize = 4 << 20;

/// What one may cost, in KiB: docs/OPERATIONS.md.
const A_SUBMISSION: f64 = 2.5;
const A_PATIENT_ONE: f64 = 40.0;
const A_READER: f64 = 128.0;

/// Prints much at once, and stays.
fn talker() -> Value {
    let source = format!(
        "import sys, time\nsys.stdout.write(('é' + 'x' * 61 + '\\n') * {})\nsys.stdout.flush()\nprint('done', file=sys.stderr, flush=True)\ntime.sleep(600)",
        OUTPUT / 64
    );
    json!({"language": "python", "source": source})
}

/// Submits all that are to wait; the id of the first.
fn submit_all(client: Client) -> String {
    let one = json!({"language": "python", "source": "print(sum(map(int, input().split())))", "stdin": "1 2 3\n"});
    let body = json!({"submissions": vec![one; BATCH]}).to_string();
    let mut first = None;
    for _ in 0..WAITING / BATCH {
        let reply = client.post("/v1/submissions:batch", body.as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text());
        let told = reply.json();
        let all = told["submissions"].as_array().expect("submissions");
        let refused = all.iter().find(|one| one["id"].is_null());
        assert!(all.len() == BATCH && refused.is_none(), "{refused:?}");
        first = first.or_else(|| all[0]["id"].as_str().map(str::to_owned));
    }
    first.expect("an id")
}

/// A request; nothing is read of the reply.
fn ask(client: Client, target: &str) -> TcpStream {
    let mut stream = client.connect().expect("a connection");
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).expect("a request");
    stream
}

/// The same over a connection that holds next to nothing.
fn ask_narrowly(client: Client, target: &str) -> TcpStream {
    let stream = ask(client, target);
    setsockopt(&stream, sockopt::RcvBuf, &4096).expect("a small buffer");
    stream
}

/// Reads to the end of the connection; the last of what came. Once all that the job has printed so far is here, it is counted.
fn read_all(mut stream: TcpStream, caught_up: &AtomicUsize) -> String {
    stream.set_read_timeout(Some(patience(Duration::from_secs(120)))).expect("a time-out");
    let (mut buffer, mut read, mut last) = (vec![0; 64 << 10], 0, Vec::new());
    loop {
        let n = stream.read(&mut buffer).expect("events");
        if n == 0 {
            return String::from_utf8_lossy(&last).into_owned();
        }
        // In JSON nothing is shorter than it was.
        if read < OUTPUT && read + n >= OUTPUT {
            caught_up.fetch_add(1, Ordering::Relaxed);
        }
        read += n;
        last.extend_from_slice(&buffer[..n]);
        last.drain(..last.len().saturating_sub(4096));
    }
}

/// What it holds once it has done what was asked of it, in KiB; and how much more than before that is for each of so many.
fn held(service: Process, before: u64, count: usize) -> (u64, f64) {
    let deadline = Instant::now() + patience(Duration::from_secs(10));
    let (mut now, mut same) = (service.rss_kib(), 0);
    while same < 20 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
        let next = service.rss_kib();
        same = if next == now { same + 1 } else { 0 };
        now = next;
    }
    (now, now.saturating_sub(before) as f64 / count as f64)
}

fn what_each_costs_in_memory(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings =
        Settings::new(runtime).set("MAX_WORKERS", 1).set("QUEUE_SIZE", WAITING).set("CASEMATE_SHUTDOWN_MS", 1);
    let settings = settings.set("CASEMATE_MAX_PENDING", 2 * WAITING);
    // Nobody is sent away for taking nothing, and the job goes on for as long as the test.
    let settings = settings.set("CASEMATE_HTTP__WRITE_MS", 3_600_000).set("CASEMATE_HTTP__WAIT_MS", 3_600_000);
    let settings = settings.limit(&["python"], "RUN", "CPU_PERCENT", 0).limit(&["python"], "RUN", "WALL_MS", 600_000);
    let server = Server::start_in(&settings, Place::alone());
    let (client, service) = (server.client(), Process::child_of(server.pid()));
    fill_cache(client);
    let place = client.hand_in(&talker());
    let id = place.rsplit('/').next().expect("an id");
    // All that it prints on standard output was printed before.
    Reader::open(client, id, None).until(|event| event.data["stream"] == "stderr");

    let (before, _) = held(service, 0, 1);
    let next = submit_all(client);
    assert_eq!(client.stats()[0], WAITING as u64, "all wait in the queue");
    let (with_waiting, a_submission) = held(service, before, WAITING);

    let files = service.files();
    let waits = format!("/v1/submissions/{next}?wait=3600");
    let patient: Vec<_> = (0..PATIENT).map(|_| ask(client, &waits)).collect();
    let deadline = Instant::now() + patience(Duration::from_secs(60));
    while service.files() < files + PATIENT && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    let (with_patient, a_patient_one) = held(service, with_waiting, PATIENT);

    let silent: Vec<_> = (0..SILENT).map(|_| ask_narrowly(client, &format!("{place}/events"))).collect();
    let caught_up = AtomicUsize::new(0);
    let most = thread::scope(|scope| {
        let read = || {
            let stream = ask(client, &format!("{place}/events"));
            let caught_up = &caught_up;
            scope.spawn(move || read_all(stream, caught_up))
        };
        let reading: Vec<_> = (SILENT..READERS).map(|_| read()).collect();
        let mut most = 0;
        while caught_up.load(Ordering::Relaxed) < reading.len() && Instant::now() < deadline {
            most = most.max(service.rss_kib());
            thread::sleep(Duration::from_millis(2));
        }
        let came = caught_up.load(Ordering::Relaxed);
        // Who takes nothing holds up nobody, nor the end.
        let told = client.send("DELETE", &place, &[], b"").expect("a reply");
        assert!(matches!(told.status, 200 | 202), "{}", told.text());
        for reader in reading {
            let last = reader.join().expect("a reader");
            assert!(last.contains("event: end\n") && last.contains("cancelled"), "{last}");
        }
        assert_eq!(came, READERS - SILENT, "have all that was printed before the end");
        most
    });
    let a_reader = most.saturating_sub(with_patient) as f64 / READERS as f64;
    println!(
        "RSS {before} KiB; with {WAITING} waiting {with_waiting}, {a_submission:.2} each; {PATIENT} who wait {with_patient}, \
         {a_patient_one:.1} each; {READERS} who follow {most}, {a_reader:.1} each"
    );
    for (what, kib, most) in [
        ("a submission that waits", a_submission, A_SUBMISSION),
        ("one who waits for a result", a_patient_one, A_PATIENT_ONE),
        ("one who follows", a_reader, A_READER),
    ] {
        assert!(kib < most, "{what} costs {kib:.2} KiB, not {most}");
    }
    // Those who waited are told, and those who took nothing were there all the time.
    for mut stream in patient.into_iter().chain(silent) {
        let mut reply = [0; 16];
        stream.read_exact(&mut reply).expect("a reply");
        assert_eq!(&reply, b"HTTP/1.1 200 OK\r");
    }
}

under_both_runtimes!(what_each_costs_in_memory);
