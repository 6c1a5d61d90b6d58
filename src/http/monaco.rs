//! What the four routes say in a success: the bodies, as values.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::v1::openapi::schemas;
use crate::model::{JobId, Submission};
use crate::service::Stats;

/// The reply to an accepted submission.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MonacoAccepted")]
pub struct Accepted {
    /// The submission's name.
    #[schemars(schema_with = "schemas::id_of")]
    pub id: JobId,
}

/// The reply of `/status`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MonacoStatus")]
pub struct Status {
    /// The submission's name.
    #[schemars(schema_with = "schemas::id_of")]
    id: JobId,
    /// Where it stands.
    #[schemars(schema_with = "schemas::status")]
    status: &'static str,
    /// When it was accepted.
    queued_at: String,
    /// When a worker took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<String>,
    /// From the start to the end, compilation included, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_time: Option<u64>,
}

/// What stands before the output in the reply of `/result`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MonacoBefore")]
struct Before<'a> {
    /// The submission's name.
    #[schemars(schema_with = "schemas::id_of")]
    id: JobId,
    /// Where it stands.
    #[schemars(schema_with = "schemas::status")]
    status: &'static str,
    /// The language that it was accepted with.
    language: &'a str,
}

/// What stands behind it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MonacoAfter")]
struct After {
    /// When it was accepted.
    queued_at: String,
    /// When a worker took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(flatten)]
    end: Option<End>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MonacoEnd")]
struct End {
    /// When it ended.
    completed_at: String,
    /// From the start to the end, compilation included, in milliseconds.
    execution_time: u64,
    /// The same in seconds, such as `1.5s`.
    execution_time_formatted: String,
    /// From acceptance to the end, in milliseconds.
    total_time: u64,
    /// The same in seconds, such as `1.5s`.
    total_time_formatted: String,
}

/// The form of the reply of `/result`, which is written in parts.
#[derive(Debug)]
pub struct ResultBody;

impl JsonSchema for ResultBody {
    fn schema_name() -> Cow<'static, str> {
        "MonacoResult".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let output = json!({"type": "string", "description": "What it printed, and how it ended."});
        let output = json!({"properties": {"output": output}, "required": ["output"]});
        let [before, after] = [generator.subschema_for::<Before<'static>>(), generator.subschema_for::<After>()];
        schemas::schema(json!({"allOf": [before, output, after]}))
    }
}

/// The reply of `/queue-stats`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QueueStats {
    /// What waits and runs.
    queue_stats: Counts,
    /// Every submission that was ever accepted.
    submissions: u64,
}

/// The numbers of the moment.
#[derive(Debug, Serialize, JsonSchema)]
struct Counts {
    /// Submissions in the bounded queue.
    queue_length: usize,
    /// Jobs that can run at once.
    max_workers: usize,
    /// Jobs that run.
    running_jobs: usize,
}

/// `/status` of a submission.
pub fn status(submission: &Submission) -> Status {
    Status {
        id: submission.id,
        status: submission.state.as_str(),
        queued_at: second(submission.queued_at),
        started_at: submission.started_at.map(second),
        completed_at: submission.completed_at.map(second),
        execution_time: submission.completed_at.map(|end| execution(submission, end)),
    }
}

/// `/result` of a submission: the JSON before what is inside the string of `output`, and the JSON behind it.
pub fn result(submission: &Submission) -> serde_json::Result<(Vec<u8>, Vec<u8>)> {
    let before = Before { id: submission.id, status: submission.state.as_str(), language: &submission.language };
    let after = After {
        queued_at: second(submission.queued_at),
        started_at: submission.started_at.map(second),
        end: submission.completed_at.map(|end| {
            let (execution, total) = (execution(submission, end), milliseconds(submission.queued_at, end));
            End {
                completed_at: second(end),
                execution_time: execution,
                execution_time_formatted: formatted(execution),
                total_time: total,
                total_time_formatted: formatted(total),
            }
        }),
    };
    let mut head = serde_json::to_vec(&before)?;
    head.pop();
    head.extend_from_slice(br#","output":""#);
    // The quote and the comma stand for the brace.
    let mut tail = b"\",".to_vec();
    tail.extend_from_slice(&serde_json::to_vec(&after)?[1..]);
    Ok((head, tail))
}

/// `/queue-stats`.
pub const fn queue_stats(stats: Stats) -> QueueStats {
    let counts = Counts { queue_length: stats.queued, max_workers: stats.workers, running_jobs: stats.running };
    QueueStats { queue_stats: counts, submissions: stats.submissions }
}

/// Zero for a submission that ended before it started.
fn execution(submission: &Submission, end: SystemTime) -> u64 {
    submission.started_at.map_or(0, |start| milliseconds(start, end))
}

fn milliseconds(from: SystemTime, to: SystemTime) -> u64 {
    let span = to.duration_since(from).unwrap_or(Duration::ZERO);
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

const SECOND: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// RFC 3339, UTC, whole seconds.
fn second(time: SystemTime) -> String {
    // Only a year beyond 9999 cannot be shown so.
    OffsetDateTime::from(time).format(SECOND).unwrap_or_default()
}

/// Seconds with one to three decimals.
fn formatted(milliseconds: u64) -> String {
    let decimals = format!("{:03}", milliseconds % 1000);
    let shown = decimals.trim_end_matches('0');
    format!("{}.{}s", milliseconds / 1000, if shown.is_empty() { "0" } else { shown })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Fault, JobReport, State};

    #[test]
    fn durations() {
        for (milliseconds, expected) in
            [(0, "0.0s"), (28, "0.028s"), (1000, "1.0s"), (12_340, "12.34s"), (100, "0.1s"), (61_001, "61.001s")]
        {
            assert_eq!(formatted(milliseconds), expected);
        }
    }

    #[test]
    fn the_fields_of_every_state() {
        let at = |ms: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(1_774_449_000_000 + ms);
        let id: JobId = "6423259c-ee14-45aa-9c90-d5e989f92aa1".parse().unwrap();
        let mut submission = Submission {
            id,
            owner: None,
            language: "c".into(),
            state: State::Pending,
            queued_at: at(999),
            started_at: None,
            completed_at: None,
            report: None,
        };
        let both = |submission: &Submission| {
            let (head, tail) = result(submission).unwrap();
            let result = String::from_utf8([head, tail].concat()).unwrap();
            (serde_json::to_string(&status(submission)).unwrap(), result)
        };
        let id = "6423259c-ee14-45aa-9c90-d5e989f92aa1";
        let (status, result) = both(&submission);
        assert_eq!(status, format!(r#"{{"id":"{id}","status":"pending","queuedAt":"2026-03-25T14:30:00Z"}}"#));
        assert_eq!(
            result,
            format!(
                r#"{{"id":"{id}","status":"pending","language":"c","output":"","queuedAt":"2026-03-25T14:30:00Z"}}"#
            )
        );
        (submission.state, submission.started_at) = (State::Running, Some(at(2100)));
        let (status, result) = both(&submission);
        assert!(
            status.ends_with(r#""startedAt":"2026-03-25T14:30:02Z"}"#)
                && result.ends_with(r#""startedAt":"2026-03-25T14:30:02Z"}"#)
        );
        (submission.state, submission.completed_at) = (State::Failed, Some(at(3999)));
        submission.report = Some(JobReport::faulted(Fault::Prepare));
        let (status, result) = both(&submission);
        assert!(status.ends_with(r#""completedAt":"2026-03-25T14:30:03Z","executionTime":1899}"#), "{status}");
        assert!(
            result.ends_with(
                r#""completedAt":"2026-03-25T14:30:03Z","executionTime":1899,"executionTimeFormatted":"1.899s","totalTime":3000,"totalTimeFormatted":"3.0s"}"#
            ),
            "{result}"
        );
        assert!(result.contains(r#","language":"c","output":"","queuedAt":"#), "{result}");
    }
}
