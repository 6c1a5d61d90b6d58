//! HTTP as nobody should send it, byte by byte over TCP: every request gets its answer, none hangs, none is our fault,
//! and the service stays well.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::{Service, service};

/// What the service answers until it closes: the status of each reply, and the last body.
async fn answers(service: &Service, bytes: &[u8]) -> (Vec<u16>, String) {
    let stream = TcpStream::connect(service.address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let mut all = Vec::new();
    // Read and written at once, since a service may answer and close before it has everything.
    let (_, ended) = tokio::join!(
        async {
            let _ = write.write_all(bytes).await;
            // Nothing more will come.
            let _ = write.shutdown().await;
        },
        tokio::time::timeout(Duration::from_secs(20), read.read_to_end(&mut all)),
    );
    assert!(ended.is_ok(), "it hangs: {}", bytes[..bytes.len().min(200)].escape_ascii());
    let text = String::from_utf8_lossy(&all).into_owned();
    let statuses = text.split("HTTP/1.").skip(1).filter_map(|reply| reply.get(2..5)?.parse().ok()).collect();
    (statuses, text.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned())
}

const BODY: &str = r#"{"code":"x"}"#;

/// A submission with these header lines and this body.
fn posted(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /submit HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}").into_bytes()
}

fn get(line: &str, headers: &str) -> Vec<u8> {
    format!("{line}\r\n{headers}\r\n").into_bytes()
}

#[tokio::test]
async fn heads() {
    let service = service(&[]).await;
    let long = "a".repeat(100_000);
    let rows: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("nothing", vec![], &[]),
        ("empty lines only", b"\r\n\r\n\r\n".to_vec(), &[]),
        ("half a request line", b"GET /healthz".to_vec(), &[]),
        ("half a head", b"GET /healthz HTTP/1.1\r\nHost: x\r\n".to_vec(), &[]),
        ("NUL bytes", b"\0\0\0\0\r\n\r\n".to_vec(), &[400]),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), &[400]),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[]),
        ("no target", get("GET", ""), &[400]),
        ("two targets", get("GET / / HTTP/1.1", ""), &[400]),
        ("another protocol", get("GET / SSH/2.0", ""), &[400]),
        ("another version", get("GET / HTTP/9.9", ""), &[400]),
        ("a version of HTTP/0.9", b"GET /\r\n".to_vec(), &[400]),
        ("a control character in the target", get("GET /a\x01b HTTP/1.1", ""), &[400]),
        ("a method of odd characters", get("G@T / HTTP/1.1", ""), &[400]),
        ("a method in lower case", get("get /healthz HTTP/1.1", ""), &[405]),
        ("a long method", get(&format!("{} /nowhere HTTP/1.1", "A".repeat(500)), ""), &[404]),
        ("a huge request line", get(&format!("GET /{long} HTTP/1.1"), ""), &[431]),
        ("a huge query", get(&format!("GET /status?id={long} HTTP/1.1"), ""), &[431]),
        ("a header without a colon", get("GET / HTTP/1.1", "bad header\r\n"), &[400]),
        ("a header without a name", get("GET / HTTP/1.1", ": x\r\n"), &[400]),
        ("a space before the colon", get("GET / HTTP/1.1", "Host : x\r\n"), &[400]),
        ("a folded header", get("GET / HTTP/1.1", "a: b\r\n  c\r\n"), &[400]),
        ("NUL in a header's value", get("GET / HTTP/1.1", "a: b\0c\r\n"), &[400]),
        ("NUL in a header's name", get("GET / HTTP/1.1", "a\0b: c\r\n"), &[400]),
        ("a bare CR in a header", get("GET / HTTP/1.1", "a: b\rc: d\r\n"), &[400]),
        ("bytes above ASCII in a header", [&b"GET /healthz HTTP/1.1\r\na: \xff\xfe\r\n\r\n"[..]].concat(), &[200]),
        ("a huge header", get("GET / HTTP/1.1", &format!("a: {long}\r\n")), &[431]),
        ("101 headers", get("GET /healthz HTTP/1.1", &"a: b\r\n".repeat(101)), &[431]),
        ("100 headers", get("GET /healthz HTTP/1.1", &"a: b\r\n".repeat(100)), &[200]),
        ("ten thousand headers", get("GET /healthz HTTP/1.1", &"a: b\r\n".repeat(10_000)), &[431]),
        ("line feeds alone", b"GET /healthz HTTP/1.1\nHost: x\n\n".to_vec(), &[200]),
        ("empty lines before", b"\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), &[200]),
        ("no Host", get("GET /healthz HTTP/1.1", ""), &[200]),
        ("HTTP/1.0", get("GET /healthz HTTP/1.0", ""), &[200]),
        ("HTTP/1.0, kept alive", get("GET /healthz HTTP/1.0", "Connection: keep-alive\r\n"), &[200]),
        ("absolute form", get("GET http://localhost/healthz HTTP/1.1", "Host: x\r\n"), &[200]),
        ("absolute form for another host", get("GET http://elsewhere.example/healthz HTTP/1.1", "Host: x\r\n"), &[421]),
        ("authority form", get("CONNECT x:443 HTTP/1.1", "Host: x:443\r\n"), &[404]),
        ("asterisk form", get("OPTIONS * HTTP/1.1", "Host: x\r\n"), &[404]),
        ("a fragment", get("GET /healthz#x HTTP/1.1", ""), &[200]),
        ("dots", get("GET /../healthz HTTP/1.1", ""), &[404]),
        ("an upgrade", get("GET /healthz HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n"), &[200]),
        ("many at once", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100), &[200; 100]),
        ("one good, one bad", [&b"GET /healthz HTTP/1.1\r\n\r\n"[..], b"\0\r\n\r\n"].concat(), &[200, 400]),
    ];
    check(&service, rows).await;
}

#[tokio::test]
async fn bodies() {
    let service = service(&[]).await;
    let chunked = "Transfer-Encoding: chunked\r\n";
    let whole = format!("Content-Length: {}\r\n", BODY.len());
    let chunk = |size: &str| format!("{size}\r\n{BODY}\r\n0\r\n\r\n");
    let extension = chunk(&format!("c;{}", "x".repeat(20_000)));
    let trailers = format!("c\r\n{BODY}\r\n0\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    let rows: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("a plain one", posted(&whole, BODY), &[202]),
        ("no length", posted("", ""), &[400]),
        ("a negative length", posted("Content-Length: -1\r\n", BODY), &[400]),
        ("a length of words", posted("Content-Length: twelve\r\n", BODY), &[400]),
        ("a length with a sign", posted("Content-Length: +12\r\n", BODY), &[400]),
        ("a length beyond 64 bits", posted("Content-Length: 99999999999999999999\r\n", BODY), &[400]),
        ("two lengths that differ", posted("Content-Length: 12\r\nContent-Length: 13\r\n", BODY), &[400]),
        ("two lengths that agree", posted(&whole.repeat(2), BODY), &[202]),
        ("a list of lengths", posted("Content-Length: 12, 13\r\n", BODY), &[400]),
        ("cut short", posted("Content-Length: 100\r\n", BODY), &[400]),
        ("length and chunks", posted(&format!("{whole}{chunked}"), &chunk("c")), &[202]),
        ("another coding", posted("Transfer-Encoding: gzip\r\n", BODY), &[400]),
        ("chunked, but not last", posted("Transfer-Encoding: chunked, gzip\r\n", BODY), &[400]),
        (
            "chunked in HTTP/1.0",
            b"POST /submit HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            &[400],
        ),
        ("chunks", posted(chunked, &chunk("c")), &[202]),
        ("a chunk with zeros before its size", posted(chunked, &chunk("000c")), &[202]),
        ("a chunk with an extension", posted(chunked, &chunk("c;a=\"b\"")), &[202]),
        ("a chunk with a long extension", posted(chunked, &extension), &[400]),
        ("a chunk without a size", posted(chunked, &chunk("")), &[400]),
        ("a chunk of a size in words", posted(chunked, &chunk("zz")), &[400]),
        ("a chunk with 0x", posted(chunked, &chunk("0xc")), &[400]),
        ("a chunk beyond 64 bits", posted(chunked, &chunk("fffffffffffffffff")), &[400]),
        ("a chunk longer than it says", posted(chunked, &chunk("5")), &[400]),
        ("a chunk that does not end", posted(chunked, "c\r\n{"), &[400]),
        ("chunks without an end", posted(chunked, &format!("c\r\n{BODY}\r\n")), &[400]),
        ("ten thousand trailers", posted(chunked, &trailers), &[400]),
        ("an expectation", posted(&format!("{whole}Expect: 100-continue\r\n"), BODY), &[100, 202]),
        ("an unknown expectation", posted(&format!("{whole}Expect: tea\r\n"), BODY), &[202]),
        ("an expectation without a body", posted("Content-Length: 0\r\nExpect: 100-continue\r\n", ""), &[400]),
        ("a body with GET", [get("GET /healthz HTTP/1.1", &whole), BODY.into()].concat(), &[200]),
        ("two submissions at once", posted(&whole, BODY).repeat(2), &[202, 202]),
        ("a body, then garbage", [posted(&whole, BODY), b"\0\0\r\n\r\n".to_vec()].concat(), &[202, 400]),
    ];
    check(&service, rows).await;
}

/// Every mismatch at once.
async fn check(service: &Service, rows: Vec<(&str, Vec<u8>, &[u16])>) {
    let mut wrong = Vec::new();
    for (what, bytes, expected) in rows {
        let began = Instant::now();
        let (statuses, body) = answers(service, &bytes).await;
        if statuses != expected {
            wrong.push(format!("{what}: {statuses:?} instead of {expected:?}: {body:?}"));
        }
        // Far below the time-outs: nothing waits for one.
        if began.elapsed() > Duration::from_secs(5) {
            wrong.push(format!("{what}: answered after {:?}", began.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(service.get("/healthz").await.status, 200);
    service.accepted(BODY).await;
}

#[tokio::test]
async fn json() {
    let service = service(&[]).await;
    let nested = |open: &str, close: &str, depth: usize| {
        format!(r#"{{"a":{}1{},"code":"x"}}"#, open.repeat(depth), close.repeat(depth))
    };
    let rows: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        // What is nobody's field is skipped, without going deeper on the stack for each level.
        ("arrays, 100 deep", nested("[", "]", 100).into(), 202, ""),
        ("arrays, 100 000 deep", nested("[", "]", 100_000).into(), 202, ""),
        ("objects, 100 000 deep", nested("{\"a\":", "}", 100_000).into(), 202, ""),
        (
            "a field of ours, 100 000 deep",
            nested("[", "]", 100_000).replace("\"a\"", "\"code\"").into(),
            400,
            "an array",
        ),
        ("open brackets", vec![b'['; 1 << 20], 400, "it must be a JSON object"),
        ("a key twice", br#"{"code":"","code":"x"}"#.to_vec(), 202, ""),
        ("a key twice, the last of them wrong", br#"{"code":"x","code":7}"#.to_vec(), 400, "field \"code\""),
        ("a hundred thousand keys", format!("{{{}\"code\":\"x\"}}", "\"k\":1,".repeat(100_000)).into(), 202, ""),
        ("bad UTF-8", b"{\"code\":\"\xff\xfe\xc0\xaf\"}".to_vec(), 202, ""),
        ("UTF-16", b"\xff\xfe{\0\"\0".to_vec(), 400, "malformed JSON"),
        ("a byte order mark", b"\xef\xbb\xbf{\"code\":\"x\"}".to_vec(), 400, "malformed JSON"),
        ("lone surrogates", br#"{"code":"\ud800\udfff\ud800"}"#.to_vec(), 202, ""),
        ("half an escape", br#"{"code":"\u12"}"#.to_vec(), 400, "malformed JSON"),
        ("an unknown escape", br#"{"code":"\x41"}"#.to_vec(), 400, "malformed JSON"),
        ("a number as text", br#"{"code":"7","input":"8"}"#.to_vec(), 202, ""),
        (
            "a text as a number",
            br#"{"code":"x","input":8}"#.to_vec(),
            400,
            "field \"input\" must be a string, not a number",
        ),
        ("a huge number", format!(r#"{{"n":{},"code":"x"}}"#, "9".repeat(100_000)).into(), 202, ""),
        ("not a number", br#"{"n":NaN,"code":"x"}"#.to_vec(), 400, "malformed JSON"),
        ("a comma too many", br#"{"code":"x",}"#.to_vec(), 400, "malformed JSON"),
        ("single quotes", b"{'code':'x'}".to_vec(), 400, "malformed JSON"),
        ("a comment", br#"{/**/"code":"x"}"#.to_vec(), 400, "malformed JSON"),
        ("a control character", b"{\"code\":\"a\x01\"}".to_vec(), 400, "control character"),
        ("NUL bytes", vec![0; 1000], 400, "malformed JSON"),
    ];
    let mut wrong = Vec::new();
    for (what, body, status, words) in rows {
        let began = Instant::now();
        let reply = service.request("POST", "/submit", "", &body).await;
        if reply.status != status || !reply.body.contains(words) || began.elapsed() > Duration::from_secs(5) {
            wrong.push(format!("{what}: {} {:?} after {:?}", reply.status, reply.body, began.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
