//! A blocking HTTP/1.1 client that sends exactly the bytes it is given, one connection a request.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::scale;

/// What clients of the contract grant a request.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Where to send to.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The server's address.
    pub address: SocketAddr,
}

/// A whole reply.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// From connecting to the last byte.
    pub took: Duration,
}

impl Reply {
    /// A header by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }
}

impl Client {
    pub const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// A connection with the time-outs of a client.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let timeout = scale::patience(TIMEOUT);
        let stream = TcpStream::connect_timeout(&self.address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends these bytes and reads one reply.
    pub fn exact(&self, request: &[u8]) -> io::Result<Reply> {
        let began = Instant::now();
        let mut stream = self.connect()?;
        // A server may refuse and close before it has read all: what it said counts.
        let sent = stream.write_all(request);
        match read_reply(&mut stream, began) {
            Ok(reply) => Ok(reply),
            Err(error) => sent.and(Err(error)),
        }
    }

    /// One request with a body of a declared length.
    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Reply> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        self.exact(&[request.as_bytes(), body].concat())
    }

    /// A GET that must be answered.
    pub fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[], b"").unwrap_or_else(|error| panic!("GET {target}: {error}"))
    }

    /// A POST of JSON that must be answered.
    pub fn post(&self, target: &str, body: &[u8]) -> Reply {
        let headers = [("Content-Type", "application/json")];
        self.send("POST", target, &headers, body).unwrap_or_else(|error| panic!("POST {target}: {error}"))
    }
}

/// Reads one reply to its end.
pub fn read_reply(stream: &mut TcpStream, began: Instant) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        more(stream, &mut bytes)?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end + 4);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, head.clone()))?;
    let split = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    let headers: Vec<_> = lines.filter_map(split).collect();
    let value = |name: &str| headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
    if let Some(length) = value("content-length").and_then(|text| text.parse::<usize>().ok()) {
        while body.len() < length {
            more(stream, &mut body)?;
        }
        body.truncate(length);
    } else if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        body = unchunk(stream, body)?;
    } else if status != 204 {
        stream.read_to_end(&mut body)?;
    }
    Ok(Reply { status, headers, body, took: began.elapsed() })
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let n = stream.read(&mut buffer)?;
    if n == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.extend_from_slice(&buffer[..n]);
    Ok(())
}

fn unchunk(stream: &mut TcpStream, mut raw: Vec<u8>) -> io::Result<Vec<u8>> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = raw[at..].windows(2).position(|two| two == b"\r\n") else {
            more(stream, &mut raw)?;
            continue;
        };
        let size = String::from_utf8_lossy(&raw[at..at + line]).into_owned();
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, size.clone()))?;
        let start = at + line + 2;
        while raw.len() < start + size + 2 {
            more(stream, &mut raw)?;
        }
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&raw[start..start + size]);
        at = start + size + 2;
    }
}
