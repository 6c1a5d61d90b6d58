//! Every bound of the edge: what is answered when it is reached, and that nobody else is kept out.

use std::time::{Duration, Instant};

use casemate::model::{Fault, JobId, JobReport, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::wire::{Reply, Service, assert_problem, post, report, service};

/// Far below every time-out of the defaults, far above what an answer takes on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// A connection that has sent this.
async fn sent(service: &Service, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// The next reply on a connection that stays open.
async fn reply(stream: &mut TcpStream) -> Reply {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut byte)).await;
        read.expect("an answer in time").unwrap_or_else(|error| panic!("{error} after {}", bytes.escape_ascii()));
        bytes.push(byte[0]);
    }
    let length: usize = Reply::parse(&bytes).headers["content-length"].parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Reply::parse(&[bytes, body].concat())
}

/// What still comes until the service closes.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.expect("an end");
    rest
}

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

/// A submission that ended with this output.
async fn ended(service: &Service, output: &[u8]) -> JobId {
    service.accepted(r#"{"code":"x"}"#).await;
    let id = service.ledger.take().await.unwrap().job.id;
    service.ledger.finish(id, report(Verdict::Ok, output)).await;
    id
}

#[tokio::test]
async fn what_waits_is_bounded_in_bytes() {
    let service = service(&[("CASEMATE_MAX_PENDING_BYTES", "1000")]).await;
    let body = |size: usize| format!(r#"{{"code":"{}","input":"{}"}}"#, "x".repeat(size / 2), "y".repeat(size / 2));
    // One that is larger than all is accepted while nothing waits: else it never could be.
    service.accepted(&body(2000)).await;
    let refused = service.submit(&body(2)).await;
    assert_problem(&refused, 503, "Queue is full\n");
    assert!(refused.headers["retry-after"].parse::<u64>().unwrap() >= 1);
    service.ledger.take().await.unwrap();
    service.accepted(&body(600)).await;
    assert_problem(&service.submit(&body(402)).await, 503, "Queue is full\n");
    service.accepted(&body(400)).await;
    assert_eq!(service.ledger.stats().submissions, 3);
}

#[tokio::test]
async fn ten_faults_in_a_row_are_a_reason_not_to_be_ready() {
    let service = service(&[]).await;
    let fault = || service.health.saw(&JobReport::faulted(Fault::Runtime));
    for _ in 0..9 {
        fault();
    }
    assert_eq!(service.get("/readyz").await.status, 200);
    fault();
    let reason = "Not ready: 10 jobs in a row could not be carried out; the last: the container runtime failed\n";
    assert_problem(&service.get("/readyz").await, 503, reason);
    assert_eq!(service.get("/healthz").await.status, 200);
    // Each job is a try.
    service.accepted(r#"{"code":"x"}"#).await;
    service.health.saw(&report(Verdict::ExitStatus(1), b""));
    assert_eq!(service.get("/readyz").await.body, "ok");
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_the_longest_silent() {
    let service = service(&[("CASEMATE_HTTP__CONNECTIONS", "2")]).await;
    let mut silent = sent(&service, GET).await;
    reply(&mut silent).await;
    let mut other = sent(&service, GET).await;
    reply(&mut other).await;
    let began = Instant::now();
    let mut third = sent(&service, GET).await;
    assert_eq!(reply(&mut third).await.status, 200);
    assert_eq!(rest(&mut silent).await, b"");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    other.write_all(GET).await.unwrap();
    assert_eq!(reply(&mut other).await.status, 200);
}

#[tokio::test]
async fn slow_bodies_and_heads_keep_nobody_out() {
    let service = service(&[("CASEMATE_HTTP__CONNECTIONS", "20")]).await;
    let half = format!("{}{{\"code", post("Content-Length: 100"));
    let mut slow = Vec::new();
    for n in 0..100 {
        slow.push(sent(&service, if n % 2 == 0 { half.as_bytes() } else { b"GET /status HTTP/1.1\r\nHo" }).await);
    }
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(service.get("/queue-stats").await.status, 200);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
    service.accepted(r#"{"code":"x"}"#).await;
    // Who was sent away in the middle of a body is told why.
    let said = rest(&mut slow[0]).await;
    assert_problem(&Reply::parse(&said), 408, "Request body did not arrive in time\n");
}

#[tokio::test]
async fn slow_bodies_do_not_hold_the_room_of_others() {
    let env = [
        ("CASEMATE_HTTP__BODY_BYTES", "100000"),
        ("CASEMATE_HTTP__BODIES_BYTES", "150000"),
        ("CASEMATE_HTTP__RATE_BYTES", "1000000"),
    ];
    let service = service(&env).await;
    let large = format!(r#"{{"code":"{}"}}"#, "x".repeat(99_000));
    let head = post(&format!("Content-Length: {}", large.len()));
    let mut slow = sent(&service, format!("{head}{}", &large[..90_000]).as_bytes()).await;
    // Small ones fit beside it, and nobody is sent away for them, however slow.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    service.accepted(r#"{"code":"x"}"#).await;
    let early = tokio::time::timeout(Duration::from_millis(100), slow.read_u8()).await;
    assert!(early.is_err(), "sent away without need: {early:?}");
    let began = Instant::now();
    service.accepted(&large).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_problem(&Reply::parse(&rest(&mut slow).await), 408, "Request body did not arrive in time\n");
}

#[tokio::test]
async fn bodies_that_find_no_room_are_refused() {
    let env = [("CASEMATE_HTTP__BODY_BYTES", "100000"), ("CASEMATE_HTTP__BODIES_BYTES", "100000")];
    let service = service(&[&env[..], &[("CASEMATE_HTTP__RATE_BYTES", "1")]].concat()).await;
    let large = format!(r#"{{"code":"{}"}}"#, "x".repeat(90_000));
    let head = post(&format!("Content-Length: {}\r\nConnection: close", large.len()));
    // The buffer of each is between 20 and 40 kB by now: two at least have one, and neither can have a second of its size.
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = sent(&service, format!("{head}{}", &large[..20_000]).as_bytes()).await;
        let waits = tokio::time::timeout(Duration::from_millis(100), client.read_u8()).await;
        assert!(waits.is_err(), "{waits:?}");
        clients.push(client);
    }
    for client in &mut clients {
        client.write_all(&large.as_bytes()[20_000..]).await.unwrap();
    }
    let mut replies = Vec::new();
    for client in &mut clients {
        replies.push(Reply::parse(&rest(client).await));
    }
    assert_eq!(replies[0].status, 202, "the oldest goes on");
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status != 202).collect();
    assert!(!refused.is_empty(), "{replies:?}");
    for reply in refused {
        assert_problem(reply, 503, "Too many request bodies at the moment\n");
        assert_eq!((reply.headers["retry-after"].as_str(), reply.headers["connection"].as_str()), ("1", "close"));
    }
    service.accepted(&large).await;
}

#[tokio::test]
async fn large_results_arrive_whole_byte_for_byte() {
    let service = service(&[]).await;
    let mut output = Vec::new();
    for n in 0..60_000_u32 {
        output.extend_from_slice(&n.to_le_bytes());
        output.extend_from_slice("\u{1f600}é\"\\\n\0".as_bytes());
    }
    let id = ended(&service, &output).await;
    let reply = service.get(&format!("/result?id={id}")).await;
    let expected: String = output
        .utf8_chunks()
        .map(|chunk| chunk.valid().to_owned() + &"\u{fffd}".repeat(chunk.invalid().len()))
        .collect();
    assert_eq!(reply.headers["content-length"], reply.body.len().to_string());
    assert!(reply.json()["output"] == expected.as_str());
    assert_eq!(reply.json()["status"], "completed");
}

/// A reader that has asked for the result and takes nothing: its receive buffer is small.
async fn slow_reader(service: &Service, id: JobId) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(service.address).await.unwrap();
    let request = format!("GET /result?id={id} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 17];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK\r\n");
    stream
}

#[tokio::test]
async fn slow_readers_do_not_hold_the_room_of_others() {
    let env = [("CASEMATE_HTTP__RESULTS_BYTES", "50000000"), ("CASEMATE_HTTP__RATE_BYTES", "10000000")];
    let service = service(&env).await;
    let id = ended(&service, &[b'x'; 20_000_000]).await;
    let mut slow = [slow_reader(&service, id).await, slow_reader(&service, id).await];
    let began = Instant::now();
    let reply = service.get(&format!("/result?id={id}")).await;
    assert_eq!((reply.status, reply.body.len() > 20_000_000), (200, true));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    // One of the two had to go, and one was enough.
    let mut lengths = Vec::new();
    for stream in &mut slow {
        lengths.push(rest_of_a_reply(stream).await);
    }
    lengths.sort_unstable();
    assert!(lengths[0] < 20_000_000 && lengths[1] > 20_000_000, "{lengths:?}");
}

/// Reads until nothing comes for a while.
async fn rest_of_a_reply(stream: &mut TcpStream) -> usize {
    let (mut length, mut buffer) = (0, vec![0; 1 << 20]);
    while let Ok(Ok(1..)) = tokio::time::timeout(Duration::from_secs(1), stream.readable()).await.map(|_| {
        let read = stream.try_read(&mut buffer);
        length += read.as_ref().copied().unwrap_or(0);
        match read {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(1),
            other => other,
        }
    }) {}
    length
}

#[tokio::test]
async fn results_and_requests_that_find_no_room_are_refused() {
    let env = [
        ("CASEMATE_HTTP__RESULTS_BYTES", "20000000"),
        ("CASEMATE_HTTP__RATE_BYTES", "1"),
        ("CASEMATE_HTTP__WRITE_MS", "2000"),
        ("CASEMATE_HTTP__REQUESTS", "1"),
    ];
    let service = service(&env).await;
    let id = ended(&service, &[b'x'; 20_000_000]).await;
    // Slow, but never so slow that it is cut off.
    let mut slow = slow_reader(&service, id).await;
    let slow = tokio::spawn(async move {
        let mut buffer = vec![0; 100_000];
        while slow.read_exact(&mut buffer).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let target = format!("/result?id={id}");
    let second = service.get(&target);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        // The second waits for room and is the one request that may be worked for.
        let refused = service.get("/status?id=x").await;
        assert_problem(&refused, 503, "Too many requests at the moment\n");
        assert_eq!(refused.headers["retry-after"], "1");
        assert_problem(&service.submit(r#"{"code":"x"}"#).await, 503, "Too many requests at the moment\n");
        assert_eq!((service.get("/healthz").await.status, service.get("/readyz").await.status), (200, 200));
    };
    let (refused, ()) = tokio::join!(second, meanwhile);
    assert_problem(&refused, 503, "Too many results at the moment\n");
    assert_eq!(refused.headers["retry-after"], "1");
    slow.abort();
    let reply = service.get(&target).await;
    assert!(reply.body.len() > 20_000_000, "{} {}", reply.status, reply.body.len());
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let service = service(&[("CASEMATE_HTTP__WRITE_MS", "300")]).await;
    let id = ended(&service, &[b'x'; 20_000_000]).await;
    let mut stream = slow_reader(&service, id).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(rest_of_a_reply(&mut stream).await < 20_000_000);
}

#[tokio::test]
async fn idle_connections_end_by_a_time_of_their_own() {
    let service = service(&[("CASEMATE_HTTP__IDLE_MS", "300"), ("CASEMATE_HTTP__HEADER_MS", "86400000")]).await;
    let mut fresh = sent(&service, b"").await;
    let mut used = sent(&service, GET).await;
    reply(&mut used).await;
    let mut posted = sent(&service, format!("{}{{}}", post("Content-Length: 2")).as_bytes()).await;
    assert_eq!(reply(&mut posted).await.status, 400);
    let began = Instant::now();
    for stream in [&mut fresh, &mut used, &mut posted] {
        assert_eq!(rest(stream).await, b"");
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

/// Other bounds than those that the library below has by itself.
#[tokio::test]
async fn a_head_has_bounds_that_are_settings() {
    let service = service(&[("CASEMATE_HTTP__HEADERS", "10"), ("CASEMATE_HTTP__HEADER_BYTES", "8192")]).await;
    for (headers, length, status) in [(10, 10, 200), (11, 10, 431), (10, 700, 200), (10, 900, 431)] {
        let fields = format!("x: {}\r\n", "y".repeat(length - 5)).repeat(headers);
        let mut stream = sent(&service, format!("GET /healthz HTTP/1.1\r\n{fields}\r\n").as_bytes()).await;
        assert_eq!(reply(&mut stream).await.status, status, "{headers} of {length} bytes");
    }
}

#[tokio::test]
async fn a_head_in_drops_ends_by_its_own_time() {
    let service = service(&[("CASEMATE_HTTP__HEADER_MS", "300"), ("CASEMATE_HTTP__IDLE_MS", "86400000")]).await;
    let mut stream = sent(&service, GET).await;
    reply(&mut stream).await;
    let began = Instant::now();
    let mut answer = [0];
    for byte in b"GET /healthz HTTP/1.1\r\nx-slow: ".iter().chain(std::iter::repeat(&b'x')) {
        let _ = stream.write_all(&[*byte]).await;
        let read = tokio::time::timeout(Duration::from_millis(30), stream.read(&mut answer)).await;
        if let Ok(read) = read {
            assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
            break;
        }
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn one_connection_serves_many_requests_however_they_are_cut() {
    let service = service(&[]).await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let body = r#"{"code":"x"}"#;
    let submission = format!("{}{body}", post(&format!("Content-Length: {}", body.len())));
    let all = [submission.as_bytes(), GET].concat();
    for cut in (0..all.len()).step_by(7) {
        stream.write_all(&all[..cut]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        stream.write_all(&all[cut..]).await.unwrap();
        assert_eq!(reply(&mut stream).await.status, 202, "cut at {cut}");
        assert_eq!(reply(&mut stream).await.body, "ok", "cut at {cut}");
    }
}

#[tokio::test]
async fn a_body_that_nobody_read_is_not_taken_for_a_request() {
    let service = service(&[]).await;
    let hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    for head in [post("Content-Length: 3000").replace("/submit", "/status"), post("Content-Length: 999999999")] {
        let mut stream = sent(&service, head.as_bytes()).await;
        assert!(reply(&mut stream).await.status >= 400);
        let _ = stream.write_all(hidden.as_bytes()).await;
        assert_eq!(rest(&mut stream).await, b"", "{head}");
    }
}
