//! The four routes as a client uses them.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{Client, scale};

/// How an ended submission looked to a client.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The first `/status` that told of the end.
    pub status: Value,
    /// The `/result` right after it.
    pub result: Value,
}

impl Seen {
    /// `completed` or `failed`.
    pub fn state(&self) -> &str {
        self.result["status"].as_str().unwrap_or_default()
    }

    /// What it printed, and how it ended.
    pub fn output(&self) -> &str {
        self.result["output"].as_str().unwrap_or_default()
    }

    /// Milliseconds from start to end.
    pub fn execution_ms(&self) -> u64 {
        self.result["executionTime"].as_u64().unwrap_or(u64::MAX)
    }
}

/// The body of a submission.
pub fn body(language: &str, code: &str, input: Option<&str>) -> Vec<u8> {
    let mut fields = Map::new();
    fields.insert("language".to_owned(), json!(language));
    fields.insert("code".to_owned(), json!(code));
    if let Some(input) = input {
        fields.insert("input".to_owned(), json!(input));
    }
    Value::Object(fields).to_string().into_bytes()
}

impl Client {
    /// Submits and returns the id. Panics unless the reply is 202 and exactly an id.
    pub fn submit(&self, language: &str, code: &str, input: Option<&str>) -> String {
        let reply = self.post("/submit", &body(language, code, input));
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.json()["id"].as_str().unwrap_or_else(|| panic!("no id in {}", reply.text())).to_owned()
    }

    /// Submits by `POST /v1/submissions` and waits for the end; how it stands then.
    pub fn judge(&self, body: &Value) -> Value {
        self.judged(&self.hand_in(body))
    }

    /// Submits by `POST /v1/submissions`; where to ask for it.
    pub fn hand_in(&self, body: &Value) -> String {
        let reply = self.post("/v1/submissions", body.to_string().as_bytes());
        assert_eq!(reply.status, 202, "{body}: {}", reply.text());
        reply.header("location").expect("a location").to_owned()
    }

    /// Waits for the end of what is to be asked for there; how it stands then.
    pub fn judged(&self, place: &str) -> Value {
        let deadline = Instant::now() + scale::patience(Duration::from_secs(300));
        loop {
            // No longer than a request of this client may take.
            let reply = self.get(&format!("{place}?wait=5"));
            assert_eq!(reply.status, 200, "{}", reply.text());
            if !reply.json()["ended_at"].is_null() {
                return reply.json();
            }
            assert!(Instant::now() < deadline, "{}", reply.text());
        }
    }

    /// `/status` of a known id.
    pub fn status(&self, id: &str) -> Value {
        let reply = self.get(&format!("/status?id={id}"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// `/result` of a known id.
    pub fn result(&self, id: &str) -> Value {
        let reply = self.get(&format!("/result?id={id}"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// `/queue-stats`: `(queue_length, max_workers, running_jobs, submissions)`.
    pub fn stats(&self) -> [u64; 4] {
        let reply = self.get("/queue-stats");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let json = reply.json();
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("not an integer: {value} in {json}"));
        let queue = &json["queue_stats"];
        [&queue["queue_length"], &queue["max_workers"], &queue["running_jobs"], &json["submissions"]].map(number)
    }

    /// Asks for the status until `done` of it. The contract offers no event to wait for.
    pub fn until(&self, id: &str, deadline: Instant, done: impl Fn(&str) -> bool) -> Result<Value, String> {
        loop {
            let status = self.status(id);
            let state = status["status"].as_str().unwrap_or_default();
            if done(state) {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(format!("still {state:?} at the deadline"));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end and fetches the result at once.
    pub fn finish(&self, id: &str, deadline: Instant) -> Result<Seen, String> {
        let status = self.until(id, deadline, ended)?;
        Ok(Seen { status, result: self.result(id) })
    }

    /// Submits, waits and fetches.
    pub fn run(&self, language: &str, code: &str, input: Option<&str>) -> Seen {
        let id = self.submit(language, code, input);
        self.finish(&id, Instant::now() + scale::patience(Duration::from_secs(60)))
            .unwrap_or_else(|why| panic!("{id}: {why}"))
    }
}

/// Whether nothing changes any more.
pub fn ended(state: &str) -> bool {
    matches!(state, "completed" | "failed")
}
