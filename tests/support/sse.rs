//! Server-sent events as they arrive: out of the bytes of a reply in chunks, whatever pieces they come in.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: Value,
}

impl Event {
    /// What an `output` event has printed.
    pub fn bytes(&self) -> Vec<u8> {
        let data = self.data["data"].as_str().expect("data");
        match self.data["encoding"].as_str() {
            Some("utf-8") => data.as_bytes().to_vec(),
            Some("base64") => BASE64.decode(data).expect("base64"),
            other => panic!("no encoding: {other:?}"),
        }
    }

    /// `compile`, `run 1`, …, with the stream where it has one.
    pub fn place(&self) -> String {
        let words = [&self.data["step"], &self.data["number"], &self.data["stream"]].map(|value| match value {
            Value::String(word) => word.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        });
        words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    }
}

/// A reply under way.
#[derive(Debug, Default)]
pub struct Events {
    raw: Vec<u8>,
    /// The status and header lines, once they are here.
    pub head: Option<String>,
    text: Vec<u8>,
    /// The last chunk was seen.
    pub whole: bool,
    /// Comments that came.
    pub comments: usize,
}

impl Events {
    /// More bytes from the connection.
    pub fn push(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        if self.head.is_none()
            && let Some(end) = self.raw.windows(4).position(|four| four == b"\r\n\r\n")
        {
            self.head = Some(String::from_utf8_lossy(&self.raw[..end]).to_ascii_lowercase());
            self.raw.drain(..end + 4);
        }
        while self.head.is_some() && !self.whole {
            let Some(line) = self.raw.windows(2).position(|two| two == b"\r\n") else { return };
            let size = std::str::from_utf8(&self.raw[..line]).expect("the size of a chunk");
            let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
            if self.raw.len() < line + 2 + size + 2 {
                return;
            }
            self.text.extend_from_slice(&self.raw[line + 2..line + 2 + size]);
            self.raw.drain(..line + 2 + size + 2);
            self.whole = size == 0;
        }
    }

    /// The next whole event.
    pub fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.text.windows(2).position(|two| two == b"\n\n")?;
            let block: Vec<u8> = self.text.drain(..end + 2).collect();
            let block = String::from_utf8(block).expect("UTF-8");
            let mut fields = BTreeMap::new();
            for line in block.lines().filter(|line| !line.is_empty()) {
                match line.split_once(':') {
                    Some(("", _)) => self.comments += 1,
                    Some((name, value)) => {
                        let value = value.strip_prefix(' ').unwrap_or(value);
                        assert!(fields.insert(name.to_owned(), value.to_owned()).is_none(), "twice {name}: {block:?}");
                    }
                    None => panic!("no field: {line:?}"),
                }
            }
            let Some(data) = fields.get("data") else {
                assert!(fields.keys().all(|name| name == "retry"), "an event without data: {block:?}");
                continue;
            };
            return Some(Event {
                name: fields.get("event").cloned().unwrap_or_default(),
                id: fields.get("id").cloned().unwrap_or_default(),
                data: serde_json::from_str(data).expect("JSON"),
            });
        }
    }
}

/// What all of them have printed, by step and stream.
pub fn printed<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeMap<String, Vec<u8>> {
    let mut all: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for event in events {
        match event.name.as_str() {
            "output" => all.entry(event.place()).or_default().extend(event.bytes()),
            "restart" => all.clear(),
            _ => {}
        }
    }
    all
}
