//! Server-sent events on the wire, with a worker made of the test: what it prints is seen when the test says so.

use std::collections::BTreeMap;
use std::time::Duration;

use casemate::model::{JobReport, StepKind, Verdict};
use casemate::service::{Stream, Taken};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::sse::{self, Event, Events};
use super::wire::{Service, assert_cors, report, service};

const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who follows a submission.
struct Reader {
    stream: TcpStream,
    events: Events,
}

impl Reader {
    async fn open(service: &Service, id: &str, last: Option<&str>) -> Self {
        Self::over(TcpStream::connect(service.address).await.unwrap(), id, last).await
    }

    /// The same of somebody whose side of the connection holds next to nothing.
    async fn narrow(service: &Service, id: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self::over(socket.connect(service.address).await.unwrap(), id, None).await
    }

    async fn over(mut stream: TcpStream, id: &str, last: Option<&str>) -> Self {
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let request = format!("GET /v1/submissions/{id}/events HTTP/1.1\r\nHost: x\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, events: Events::default() }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        let mut buffer = [0; 64 << 10];
        loop {
            if let Some(event) = self.events.next() {
                return Some(event);
            }
            let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("nothing comes");
            match read.unwrap() {
                0 => return None,
                n => self.events.push(&buffer[..n]),
            }
        }
    }

    /// The next event, which has this name.
    async fn expect(&mut self, name: &str) -> Event {
        let event = self.next().await.unwrap_or_else(|| panic!("no {name}, but the end"));
        assert_eq!(event.name, name, "{event:?}");
        event
    }

    /// All that is left.
    async fn rest(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

/// A submission that runs.
async fn running(service: &Service) -> (String, Taken) {
    let id = service.accepted(r#"{"language":"c","code":"x"}"#).await;
    let taken = service.ledger.take().await.unwrap();
    assert_eq!(taken.job.id.to_string(), id);
    (id, taken)
}

async fn finish(service: &Service, taken: &Taken, stdout: &[u8], stderr: &[u8]) {
    let mut made = report(Verdict::Ok, stdout);
    made.runs[0].evidence.output.stderr = stderr.to_vec();
    service.ledger.finish(taken.job.id, made).await;
}

fn text(event: &Event) -> (String, String) {
    (event.place(), String::from_utf8(event.bytes()).unwrap())
}

#[tokio::test]
async fn a_run_is_told_as_it_goes() {
    // With every comment the service looks by itself: here it is to be told.
    let service = service(&[("QUEUE_SIZE", "1"), ("CASEMATE_HTTP__HEARTBEAT_MS", "3600000")]).await;
    let before = service.accepted(r#"{"language":"c","code":"x"}"#).await;
    let id = service.accepted(r#"{"language":"c","code":"x"}"#).await;
    let mut reader = Reader::open(&service, &id, None).await;
    let pending = reader.expect("state").await;
    assert_eq!((&pending.data["status"], &pending.data["started_at"]), (&json!("pending"), &Value::Null));
    let head = reader.events.head.clone().unwrap();
    for line in [
        "http/1.1 200 ok",
        "content-type: text/event-stream",
        "cache-control: no-store",
        "access-control-allow-origin: *",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    assert_eq!(service.ledger.take().await.unwrap().job.id.to_string(), before);
    assert_eq!(reader.expect("state").await.data["status"], "queued");
    let taken = service.ledger.take().await.unwrap();
    let state = reader.expect("state").await;
    assert_eq!(state.data["status"], "running");
    assert!(state.data["started_at"].as_str().unwrap() >= state.data["queued_at"].as_str().unwrap());

    taken.feed.begin(StepKind::Compile);
    assert_eq!(reader.expect("step").await.data, json!({"step": "compile"}));
    taken.feed.print(Stream::Out, b"warning");
    assert_eq!(text(&reader.expect("output").await), ("compile stdout".into(), "warning".into()));
    taken.feed.end();
    taken.feed.begin(StepKind::Run);
    assert_eq!(reader.expect("step").await.data, json!({"step": "run", "number": 1}));
    taken.feed.print(Stream::Out, "a\né".as_bytes());
    assert_eq!(text(&reader.expect("output").await), ("run 1 stdout".into(), "a\né".into()));
    taken.feed.print(Stream::Err, b"e");
    assert_eq!(text(&reader.expect("output").await), ("run 1 stderr".into(), "e".into()));
    taken.feed.end();
    finish(&service, &taken, "a\né".as_bytes(), b"e").await;
    let end = reader.expect("end").await;
    assert_eq!(end.data, service.get(&format!("/v1/submissions/{id}")).await.json());
    assert_eq!((end.data["run"]["stdout"].as_str(), end.data["verdict"].as_str()), (Some("a\né"), Some("accepted")));
    assert_eq!(reader.rest().await, []);
    assert!(reader.events.whole);
}

/// From every event that there was, during the run and after its end: the same whole.
#[tokio::test]
async fn who_comes_back_goes_on_where_he_was() {
    let service = service(&[]).await;
    let (id, taken) = running(&service).await;
    let mut reader = Reader::open(&service, &id, None).await;
    let mut seen = vec![reader.expect("state").await];
    taken.feed.begin(StepKind::Run);
    seen.push(reader.expect("step").await);
    // Characters and bytes that are none, cut in the middle.
    let [out, err] =
        [[&b"ab"[..], b"\xc3", b"\xa9c", b"\xff\x00", b"\xf0\x9f"], [b"1", b"2", b"\xe2\x82", b"\xac", b"3"]];
    for (out, err) in out.iter().zip(err) {
        for (stream, bytes) in [(Stream::Out, *out), (Stream::Err, err)] {
            taken.feed.print(stream, bytes);
            if !matches!(bytes, b"\xc3" | b"\xf0\x9f" | b"\xe2\x82") {
                seen.push(reader.expect("output").await);
            }
        }
    }
    let whole = BTreeMap::from([("run 1 stdout".into(), out.concat()), ("run 1 stderr".into(), err.concat())]);
    assert!(seen.iter().any(|event| event.data["data"] == "éc"), "{seen:?}");
    let mut readers = Vec::new();
    for (at, event) in seen.iter().enumerate() {
        readers.push((at, Reader::open(&service, &id, Some(&event.id)).await));
    }
    // They have all come up to where the job is before it ends.
    for (at, reader) in &mut readers {
        let mut all = seen[..=*at].to_vec();
        while sse::printed(&all).values().map(Vec::len).sum::<usize>() < whole.values().map(Vec::len).sum::<usize>() - 2
        {
            all.push(reader.next().await.unwrap());
        }
    }
    taken.feed.end();
    let last = reader.expect("output").await;
    assert_eq!(last.bytes(), b"\xf0\x9f");
    finish(&service, &taken, &out.concat(), &err.concat()).await;
    seen.push(last);
    seen.push(reader.expect("end").await);
    assert_eq!(sse::printed(&seen), whole);
    for (at, mut reader) in readers {
        let rest = reader.rest().await;
        assert_eq!(rest.last(), seen.last(), "{at}: {rest:?}");
        let mut again = Reader::open(&service, &id, Some(&seen[at].id)).await;
        let stored: Vec<_> = seen[..=at].iter().cloned().chain(again.rest().await).collect();
        assert_eq!((sse::printed(&stored), stored.last()), (whole.clone(), seen.last()), "{at}");
    }
    // From the beginning, and from the end.
    let all = Reader::open(&service, &id, None).await.rest().await;
    assert_eq!((sse::printed(&all), all.last()), (whole, seen.last()));
    let last = format!("Last-Event-ID: {}\r\n", seen.last().unwrap().id);
    let nothing = service.request("GET", &format!("/v1/submissions/{id}/events"), &last, b"").await;
    assert_eq!((nothing.status, nothing.body.as_str()), (204, ""));
}

/// Who takes nothing while the state changes is told of it once he takes what came before, without the service's having looked
/// again by itself.
#[tokio::test]
async fn a_slow_reader_misses_no_change_of_state() {
    let service = service(&[("CASEMATE_HTTP__HEARTBEAT_MS", "3600000")]).await;
    let (id, taken) = running(&service).await;
    let mut reader = Reader::narrow(&service, &id).await;
    reader.expect("state").await;
    taken.feed.begin(StepKind::Run);
    reader.expect("step").await;
    // More than lies in any buffer on the way to him.
    let large = vec![b'x'; 9_000_000];
    taken.feed.print(Stream::Out, &large);
    let mut told = vec![reader.expect("output").await];
    service.ledger.interrupt();
    service.ledger.finish(taken.job.id, JobReport::cancelled()).await;
    let restart = loop {
        let event = reader.next().await.unwrap();
        if event.name != "output" {
            break event;
        }
        told.push(event);
    };
    assert!(sse::printed(&told)["run 1 stdout"] == large);
    assert_eq!(restart.name, "restart", "{restart:?}");
    assert_eq!(reader.expect("state").await.data["status"], "pending");
    assert_eq!(reader.events.comments, 0);
}

/// Much on one stream keeps nothing of the other back.
#[tokio::test]
async fn streams_take_turns() {
    let service = service(&[]).await;
    let (id, taken) = running(&service).await;
    taken.feed.begin(StepKind::Run);
    taken.feed.print(Stream::Out, &vec![b'x'; 500_000]);
    taken.feed.print(Stream::Err, b"e");
    let mut reader = Reader::open(&service, &id, None).await;
    reader.expect("state").await;
    reader.expect("step").await;
    let both = [reader.expect("output").await.place(), reader.expect("output").await.place()];
    assert!(both.contains(&"run 1 stderr".to_owned()), "{both:?}");
}

/// A job that is put back, as a shutdown does, begins anew.
#[tokio::test]
async fn what_runs_again_begins_anew() {
    let service = service(&[]).await;
    let (id, taken) = running(&service).await;
    let mut reader = Reader::open(&service, &id, None).await;
    reader.expect("state").await;
    taken.feed.begin(StepKind::Run);
    taken.feed.print(Stream::Out, b"first");
    reader.expect("step").await;
    let before = reader.expect("output").await;
    service.ledger.interrupt();
    service.ledger.finish(taken.job.id, JobReport::cancelled()).await;
    reader.expect("restart").await;
    assert_eq!(reader.expect("state").await.data["status"], "pending");
    // Who was away meanwhile is told too.
    let mut late = Reader::open(&service, &id, Some(&before.id)).await;
    late.expect("restart").await;
    assert_eq!(late.expect("state").await.data["status"], "pending");
}

#[tokio::test]
async fn what_is_refused() {
    let service = service(&[("CASEMATE_HTTP__LISTENERS", "1")]).await;
    let (id, _taken) = running(&service).await;
    let place = format!("/v1/submissions/{id}/events");
    let unknown = "/v1/submissions/6423259c-ee14-45aa-9c90-d5e989f92aa1/events";
    for (method, path, headers, status, kind) in [
        ("GET", unknown, "", 404, "unknown_submission"),
        ("GET", "/v1/submissions/x/events", "", 404, "unknown_submission"),
        ("GET", &format!("{place}?x=1"), "", 400, "malformed_request"),
        ("GET", &place, "Last-Event-ID: 7\r\n", 400, "malformed_request"),
        ("GET", &place, "Last-Event-ID: n-0-n-0-0\r\nLast-Event-ID: n-0-n-0-0\r\n", 400, "malformed_request"),
        ("POST", &place, "", 405, "unknown_method"),
        ("GET", &format!("{place}/x"), "", 404, "unknown_path"),
    ] {
        let reply = service.request(method, path, headers, b"").await;
        let document: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(
            (reply.status, &document["type"]),
            (status, &json!(format!("urn:casemate:problem:{kind}"))),
            "{path} {headers}"
        );
        assert_cors(&reply);
    }
    let mut reader = Reader::open(&service, &id, None).await;
    reader.expect("state").await;
    let reply = service.get(&place).await;
    assert_eq!((reply.status, reply.headers["retry-after"].as_str()), (503, "1"), "{reply:?}");
    assert!(reply.body.contains("Too many listeners"), "{reply:?}");
    // A place that is given back can be had; the service learns of it with the next thing that it says.
    drop(reader);
    service.ledger.cancel(id.parse().unwrap()).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while service.get(&place).await.status != 200 {
        service.ledger.finish(id.parse().unwrap(), JobReport::cancelled()).await;
        assert!(Instant::now() < deadline, "the place is not given back");
    }
}

#[tokio::test]
async fn silence_is_broken_by_comments() {
    let service = service(&[("CASEMATE_HTTP__HEARTBEAT_MS", "100")]).await;
    let (id, taken) = running(&service).await;
    let mut reader = Reader::open(&service, &id, None).await;
    reader.expect("state").await;
    let (mut buffer, since) = ([0; 4096], Instant::now());
    while reader.events.comments < 5 {
        let n = timeout(PATIENCE, reader.stream.read(&mut buffer)).await.expect("nothing comes").unwrap();
        reader.events.push(&buffer[..n]);
        assert_eq!(reader.events.next(), None);
    }
    // As often as the setting says, not more often, and not as it is without it.
    let took = since.elapsed();
    assert!((Duration::from_millis(400)..PATIENCE).contains(&took), "five comments in {took:?}");
    finish(&service, &taken, b"", b"").await;
    reader.expect("step").await;
    reader.expect("end").await;
}

/// Everybody who listens is told, and the service does not wait for him.
#[tokio::test]
async fn going_down_ends_it_with_an_event() {
    let service = service(&[]).await;
    let (id, taken) = running(&service).await;
    let waits = service.accepted(r#"{"language":"c","code":"x"}"#).await;
    let (mut ends, mut stays) = (Reader::open(&service, &id, None).await, Reader::open(&service, &waits, None).await);
    ends.expect("state").await;
    stays.expect("state").await;
    service.ledger.close();
    service.shutdown.begin();
    finish(&service, &taken, b"x", b"").await;
    service.shutdown.leave();
    let names: Vec<_> = ends.rest().await.into_iter().map(|event| event.name).collect();
    assert_eq!(names, ["step", "output", "end"]);
    assert_eq!(stays.expect("leave").await.data, json!({"reason": "shutting_down"}));
    assert_eq!(stays.rest().await, []);
    assert!(stays.events.whole);
    timeout(PATIENCE, service.served).await.expect("it does not end").unwrap();
}

#[tokio::test]
async fn his_place_is_given_to_who_needs_one() {
    let service = service(&[("CASEMATE_HTTP__CONNECTIONS", "2")]).await;
    let (id, _taken) = running(&service).await;
    let mut readers = [Reader::open(&service, &id, None).await, Reader::open(&service, &id, None).await];
    for reader in &mut readers {
        reader.expect("state").await;
    }
    assert_eq!(service.get("/healthz").await.status, 200);
    assert_eq!(readers[0].expect("leave").await.data, json!({"reason": "place_wanted"}));
    assert_eq!(readers[0].rest().await, []);
}

/// Two hundred readers of one job, beside one who takes nothing and one who is cut off in the middle.
#[tokio::test]
async fn many_readers_see_the_same() {
    let service = service(&[("CASEMATE_HTTP__HEARTBEAT_MS", "3600000"), ("CASEMATE_HTTP__LISTENERS", "202")]).await;
    let (id, taken) = running(&service).await;
    let lazy = Reader::narrow(&service, &id).await;
    let mut cut_off = Reader::open(&service, &id, None).await;
    cut_off.expect("state").await;
    let mut readers = Vec::new();
    for _ in 0..200 {
        let mut reader = Reader::open(&service, &id, None).await;
        reader.expect("state").await;
        readers.push(tokio::spawn(async move {
            let all = reader.rest().await;
            (sse::printed(&all), all.last().cloned())
        }));
    }
    taken.feed.begin(StepKind::Run);
    let mut whole = Vec::new();
    let mut print = async |n: usize| {
        let line = format!("line {n} €\n");
        // In the middle of a character, every time.
        let (first, second) = line.as_bytes().split_at(line.len() - 2);
        taken.feed.print(Stream::Out, first);
        tokio::task::yield_now().await;
        taken.feed.print(Stream::Out, second);
        whole.extend_from_slice(line.as_bytes());
    };
    for n in 0..250 {
        print(n).await;
    }
    cut_off.expect("step").await;
    cut_off.expect("output").await;
    drop(cut_off);
    let (mut n, deadline) = (250, Instant::now() + PATIENCE);
    let late = loop {
        print(n).await;
        n += 1;
        // Once it is noticed that he is gone there is a place for another.
        let mut reader = Reader::open(&service, &id, None).await;
        let mut status = [0; 12];
        reader.stream.read_exact(&mut status).await.unwrap();
        if &status == b"HTTP/1.1 200" {
            break reader;
        }
        assert!(Instant::now() < deadline, "his place is not given back");
    };
    for n in n..n + 250 {
        print(n).await;
    }
    taken.feed.end();
    finish(&service, &taken, &whole, b"").await;
    let whole = BTreeMap::from([("run 1 stdout".to_owned(), whole)]);
    for reader in readers {
        let (printed, last) = reader.await.unwrap();
        assert_eq!(last.map(|last| last.name).as_deref(), Some("end"));
        assert!(printed == whole);
    }
    drop((lazy, late));
}

/// A large output is read piece by piece after the end too; its document is not part of the end. Of those who take nothing
/// others get the room, and who was sent away learns what he misses.
#[tokio::test]
async fn large_outputs() {
    let large: Vec<u8> = "é0123456".bytes().cycle().take(9_000_000).collect();
    let service = service(&[
        ("CASEMATE_HTTP__RESULTS_BYTES", "10000000"),
        ("CASEMATE_HTTP__RATE_BYTES", "1000000"),
        ("CASEMATE_HTTP__WRITE_MS", "60000"),
    ])
    .await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (id, taken) = running(&service).await;
        taken.feed.begin(StepKind::Run);
        taken.feed.print(Stream::Out, &large);
        let [out, _] = taken.feed.end();
        assert!(out == large);
        finish(&service, &taken, &out, b"").await;
        ids.push(id);
    }
    let mut stuck = Reader::narrow(&service, &ids[0]).await;
    stuck.expect("step").await;
    let mut reader = Reader::open(&service, &ids[1], None).await;
    let all = timeout(PATIENCE, reader.rest()).await.expect("the room is not given back");
    assert!(sse::printed(&all)["run 1 stdout"] == large);
    let end = all.last().unwrap();
    assert_eq!(end.name, "end");
    assert_eq!(
        end.data,
        json!({"id": ids[1], "status": "completed", "verdict": "accepted", "location": format!("/v1/submissions/{}", ids[1])})
    );
    // It was told to leave in the middle, or what it has missed; never that it has all.
    let rest = stuck.rest().await;
    let has = sse::printed(&rest)["run 1 stdout"].len() as u64;
    let missed: u64 = rest.iter().filter_map(|event| event.data["bytes"].as_u64()).sum();
    assert!(has < large.len() as u64 && (missed == 0 || has + missed == large.len() as u64), "{has} {missed}");
    assert!(rest.last().is_none_or(|last| last.name != "end" || missed > 0), "{:?}", rest.last());
}
