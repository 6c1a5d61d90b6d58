//! Events as they are written: a name, the id, and one line of JSON.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Bytes;
use serde::Serialize;

use super::position::{News, Position};
use crate::http::reply;
use crate::http::v1::document::{self, Encoding};
use crate::http::v1::moment::moment;
use crate::http::v1::{PREFIX, verdict};
use crate::model::{JobId, Submission};
use crate::service::{StepAt, Stream};

/// The largest document that the last event has in it, in bytes.
const LARGEST: u64 = 64 << 10;

/// When a reader may come back who was told to leave, in milliseconds.
const AGAIN: u32 = 1000;

#[derive(Debug, Serialize)]
struct State {
    status: &'static str,
    queued_at: String,
    started_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    /// Of a run, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    step: Step,
    stream: &'static str,
    encoding: Encoding,
    data: &'a str,
}

#[derive(Debug, Serialize)]
struct Skipped {
    #[serde(flatten)]
    step: Step,
    stream: &'static str,
    bytes: u64,
}

/// Of a submission whose document is too large for an event.
#[derive(Debug, Serialize)]
struct Short {
    id: JobId,
    status: &'static str,
    verdict: Option<&'static str>,
    /// Where the document is.
    location: String,
}

impl From<StepAt> for Step {
    fn from(at: StepAt) -> Self {
        match at {
            StepAt::Compile => Self { step: "compile", number: None },
            StepAt::Run(number) => Self { step: "run", number: Some(number + 1) },
        }
    }
}

const fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Out => "stdout",
        Stream::Err => "stderr",
    }
}

/// When its run began, as positions have it.
pub fn attempt(submission: &Submission) -> u64 {
    let since = submission.started_at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Every event by its name.
pub const NAMES: &[&str] = &["state", "step", "output", "skipped", "restart", "end", "leave"];

/// What comes first: when to come back after the connection broke off.
pub fn opening() -> Bytes {
    format!("retry: {AGAIN}\n\n").into()
}

/// Nothing new: a comment.
pub const fn heartbeat() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// The last event before the connection is closed with more to tell.
pub fn leave(reason: &str) -> Bytes {
    event("leave", &serde_json::json!({ "reason": reason }), None)
}

/// What has become of its state since.
pub fn states(at: &mut Position, submission: &Submission) -> Vec<Bytes> {
    let attempt = attempt(submission);
    let mut events = Vec::new();
    if at.attempt != 0 && at.attempt != attempt {
        *at = Position { attempt, ..Position::default() };
        let detail = "what was told of it before does not count: it runs again from the beginning";
        events.push(event("restart", &serde_json::json!({ "detail": detail }), Some(at)));
    }
    at.attempt = attempt;
    if !submission.state.ended() && at.state != Some(submission.state) {
        at.state = Some(submission.state);
        let status = submission.state.as_str();
        let (queued_at, started_at) = (moment(submission.queued_at), submission.started_at.map(moment));
        events.push(event("state", &State { status, queued_at, started_at }, Some(at)));
    }
    events
}

/// What a step has printed, or that it has begun; `at` is behind it.
pub fn news(news: &News<'_>, at: &Position) -> Bytes {
    match *news {
        News::Step(step) => event("step", &Step::from(step), Some(at)),
        News::Output(step, stream, bytes) => {
            let (step, stream) = (step.into(), name(stream));
            let output = |encoding, data: &str| event("output", &Output { step, stream, encoding, data }, Some(at));
            match std::str::from_utf8(bytes) {
                Ok(text) => output(Encoding::Utf8, text),
                Err(_) => output(Encoding::Base64, &BASE64.encode(bytes)),
            }
        }
        News::Skipped(step, stream, bytes) => {
            event("skipped", &Skipped { step: step.into(), stream: name(stream), bytes }, Some(at))
        }
    }
}

/// The end: the document, or where to find it.
pub fn end(at: &mut Position, submission: &Arc<Submission>) -> Bytes {
    at.state = Some(submission.state);
    let parts = submission.report.as_ref().and_then(|_| document::parts(submission).ok());
    let small = |parts: &Vec<reply::Part>| parts.iter().map(|part| part.held(submission)).sum::<u64>() <= LARGEST;
    if let Some(parts) = parts.filter(small) {
        let document = reply::whole(Arc::clone(submission), parts);
        return written("end", String::from_utf8_lossy(&document).trim_end(), Some(at));
    }
    let verdict = submission.report.as_ref().map(|report| verdict::ending(report).verdict);
    let (id, status) = (submission.id, submission.state.as_str());
    event("end", &Short { id, status, verdict, location: format!("{PREFIX}submissions/{id}") }, Some(at))
}

fn event(name: &str, data: &impl Serialize, at: Option<&Position>) -> Bytes {
    // Strings and numbers can always be written, and JSON has no line ends of its own.
    written(name, &serde_json::to_string(data).unwrap_or_default(), at)
}

fn written(name: &str, data: &str, at: Option<&Position>) -> Bytes {
    debug_assert!(NAMES.contains(&name), "{name} is told to nobody who reads the description");
    let id = at.map(|at| format!("id: {at}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::model::{JobReport, State};

    fn submission(state: State, started: Option<u64>) -> Submission {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Submission {
            id: JobId::of(7),
            owner: None,
            language: "c".into(),
            state,
            queued_at: at(1),
            started_at: started.map(at),
            completed_at: None,
            report: None,
        }
    }

    fn told(at: &mut Position, submission: &Submission) -> String {
        states(at, submission).iter().map(|event| String::from_utf8_lossy(event).into_owned()).collect()
    }

    #[test]
    fn states_are_told_once_and_another_run_is_another() {
        let mut at = Position::default();
        let queued = submission(State::Queued, None);
        assert_eq!(
            told(&mut at, &queued),
            "event: state\nid: q-0-n-0-0\ndata: {\"status\":\"queued\",\"queued_at\":\"1970-01-01T00:00:01.000000Z\",\"started_at\":null}\n\n"
        );
        assert_eq!(told(&mut at, &queued), "");
        let running = submission(State::Running, Some(2));
        assert!(told(&mut at, &running).starts_with("event: state\nid: r-77359400-n-0-0\n"));
        (at.step, at.sent) = (Some(StepAt::Run(0)), [3, 4]);
        // It waits again, after a restart of the service.
        let again = told(&mut at, &submission(State::Pending, None));
        assert!(again.starts_with("event: restart\nid: n-0-n-0-0\n"), "{again}");
        assert!(again.contains("event: state\nid: p-0-n-0-0\n"), "{again}");
        at = "r-77359400-0-3-4".parse().unwrap();
        // It has run to its end meanwhile, another time.
        assert!(told(&mut at, &submission(State::Completed, Some(3))).starts_with("event: restart\n"));
        at = "r-77359400-0-3-4".parse().unwrap();
        assert_eq!(told(&mut at, &submission(State::Completed, Some(2))), "");
    }

    #[test]
    fn output_is_text_where_it_is_some() {
        let at = "r-1-0-3-0".parse().unwrap();
        let text = |news| String::from_utf8(super::news(&news, &at).to_vec()).unwrap();
        assert_eq!(
            text(News::Output(StepAt::Run(0), Stream::Out, "é\n\0".as_bytes())),
            "event: output\nid: r-1-0-3-0\ndata: {\"step\":\"run\",\"number\":1,\"stream\":\"stdout\",\"encoding\":\"utf-8\",\"data\":\"é\\n\\u0000\"}\n\n"
        );
        assert_eq!(
            text(News::Output(StepAt::Compile, Stream::Err, b"\xff")),
            "event: output\nid: r-1-0-3-0\ndata: {\"step\":\"compile\",\"stream\":\"stderr\",\"encoding\":\"base64\",\"data\":\"/w==\"}\n\n"
        );
        assert!(
            text(News::Skipped(StepAt::Run(1), Stream::Out, 9))
                .contains("\"number\":2,\"stream\":\"stdout\",\"bytes\":9")
        );
    }

    #[test]
    fn the_end_is_the_document_or_its_place() {
        let mut at = Position::default();
        let mut ended = submission(State::Failed, None);
        ended.report = Some(JobReport::cancelled());
        let whole = String::from_utf8(end(&mut at, &Arc::new(ended.clone())).to_vec()).unwrap();
        assert!(
            whole.starts_with("event: end\nid: f-0-n-0-0\ndata: {\"id\":\"00000000-")
                && whole.contains("\"verdict\":\"cancelled\""),
            "{whole}"
        );
        assert!(whole.ends_with("}\n\n") && whole.lines().count() == 4, "{whole}");
        ended.report = None;
        let short = String::from_utf8(end(&mut at, &Arc::new(ended)).to_vec()).unwrap();
        assert!(
            short.contains("\"verdict\":null,\"location\":\"/v1/submissions/00000000-0000-0000-0000-000000000007\""),
            "{short}"
        );
    }
}
