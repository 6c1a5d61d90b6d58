//! Somebody who follows a submission over a connection of his own: `GET /v1/submissions/{id}/events`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::Client;
use super::sse::{Event, Events};

/// A reader of events.
pub struct Reader {
    stream: TcpStream,
    events: Events,
}

impl Reader {
    /// From the beginning, or from behind the event of this id.
    pub fn open(client: Client, id: &str, last: Option<&str>) -> Self {
        let mut stream = client.connect().expect("a connection");
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let request = format!("GET /v1/submissions/{id}/events HTTP/1.1\r\nHost: x\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).expect("a request");
        // Longer than any step of these tests is silent for.
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
        Self { stream, events: Events::default() }
    }

    /// Events up to the first one for which `last` holds, each with the moment at which it came.
    pub fn until(&mut self, last: impl Fn(&Event) -> bool) -> Vec<(Instant, Event)> {
        let (mut seen, mut buffer) = (Vec::new(), [0; 64 << 10]);
        loop {
            while let Some(event) = self.events.next() {
                let done = last(&event);
                seen.push((Instant::now(), event));
                if done {
                    return seen;
                }
            }
            match self.stream.read(&mut buffer).expect("events") {
                0 => panic!("the end after {seen:?}"),
                n => self.events.push(&buffer[..n]),
            }
        }
    }

    /// All up to the end of the submission, with which the reply ends too.
    pub fn all(mut self) -> Vec<Event> {
        let events = self.until(|event| event.name == "end").into_iter().map(|(_, event)| event).collect();
        let mut buffer = [0; 64 << 10];
        loop {
            match self.stream.read(&mut buffer).expect("the end of the reply") {
                0 => break,
                n => self.events.push(&buffer[..n]),
            }
        }
        assert_eq!((self.events.next(), self.events.whole), (None, true), "behind the end");
        events
    }
}
