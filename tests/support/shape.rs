//! What holds for the replies about every submission, whatever it did: which fields, in which formats, and how the
//! times fit together. Each function lists what it found wrong.

use serde_json::Value;

use super::Seen;

/// Fields of `/status` in each state.
pub fn status_fields(state: &str) -> &'static [&'static str] {
    match state {
        "pending" | "queued" => &["id", "queuedAt", "status"],
        "running" => &["id", "queuedAt", "startedAt", "status"],
        _ => &["completedAt", "executionTime", "id", "queuedAt", "startedAt", "status"],
    }
}

/// Fields of `/result` in each state.
pub fn result_fields(state: &str) -> &'static [&'static str] {
    match state {
        "pending" | "queued" => &["id", "language", "output", "queuedAt", "status"],
        "running" => &["id", "language", "output", "queuedAt", "startedAt", "status"],
        _ => &[
            "completedAt",
            "executionTime",
            "executionTimeFormatted",
            "id",
            "language",
            "output",
            "queuedAt",
            "startedAt",
            "status",
            "totalTime",
            "totalTimeFormatted",
        ],
    }
}

/// Whether `reply` has all fields of its state and, of those that belong to later states, none. Fields of our own are
/// allowed beside them; the program and its input never are.
pub fn fields(what: &str, reply: &Value, of: fn(&str) -> &'static [&'static str]) -> Vec<String> {
    let Some(object) = reply.as_object() else { return vec![format!("{what} is no object: {reply}")] };
    let wanted = of(object.get("status").and_then(Value::as_str).unwrap_or_default());
    let missing = wanted.iter().filter(|field| !object.contains_key(**field)).map(|f| format!("{what} lacks {f}"));
    let early = of("completed").iter().filter(|f| !wanted.contains(f) && object.contains_key(**f));
    let early = early.map(|f| format!("{what} has {f} too early"));
    let echoed =
        ["code", "input"].into_iter().filter(|f| object.contains_key(*f)).map(|f| format!("{what} echoes {f}"));
    let null = object.iter().filter(|(_, value)| value.is_null()).map(|(f, _)| format!("{what} has a null {f}"));
    missing.chain(early).chain(echoed).chain(null).collect()
}

/// Everything that must be true of an ended submission.
pub fn ended(id: &str, language: &str, seen: &Seen) -> Vec<String> {
    let (status, result) = (&seen.status, &seen.result);
    let mut wrong = fields("/status", status, status_fields);
    wrong.extend(fields("/result", result, result_fields));
    for field in ["id", "status", "queuedAt", "startedAt", "completedAt", "executionTime"] {
        if status[field] != result[field] {
            wrong.push(format!("{field}: /status says {}, /result says {}", status[field], result[field]));
        }
    }
    if result["id"] != id || result["language"] != language {
        wrong.push(format!("id {} and language {} are not those submitted", result["id"], result["language"]));
    }
    wrong.extend(times(result));
    wrong
}

fn times(result: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut second = |field: &str| {
        let seconds = result[field].as_str().and_then(parse_time);
        if seconds.is_none() {
            wrong.push(format!("{field} is not like 2026-01-02T03:04:05Z: {}", result[field]));
        }
        seconds.unwrap_or_default()
    };
    let (queued, started, completed) = (second("queuedAt"), second("startedAt"), second("completedAt"));
    let (execution, total) = (result["executionTime"].as_i64(), result["totalTime"].as_i64());
    let (Some(execution), Some(total)) = (execution, total) else {
        wrong.push(format!("times are no integers: {} {}", result["executionTime"], result["totalTime"]));
        return wrong;
    };
    if !(queued <= started && started <= completed && 0 <= execution && execution <= total) {
        wrong.push(format!("out of order: {queued} {started} {completed}, {execution} of {total} ms"));
    }
    // Each time is cut to the second, so a difference of two is off by less than one.
    for (name, span, ms) in
        [("executionTime", completed - started, execution), ("totalTime", completed - queued, total)]
    {
        if (span * 1000 - ms).abs() > 1000 {
            wrong.push(format!("{name} is {ms} ms, the times are {span} s apart"));
        }
        let text = result[format!("{name}Formatted")].as_str().unwrap_or_default();
        if parse_formatted(text) != Some(ms) {
            wrong.push(format!("{name}Formatted {text:?} is not {ms} ms in seconds with one to three decimals"));
        }
    }
    wrong
}

/// Seconds since 1970 of an RFC 3339 time in UTC with whole seconds and `Z`.
pub fn parse_time(text: &str) -> Option<i64> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if shape != "0000-00-00T00:00:00Z" {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    // Days from the civil calendar, counting years from March so that the leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?)
}

/// Milliseconds of `1.0s`, `0.028s`.
pub fn parse_formatted(text: &str) -> Option<i64> {
    let (whole, decimals) = text.strip_suffix('s')?.split_once('.')?;
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return None;
    }
    Some(whole.parse::<i64>().ok()? * 1000 + format!("{decimals:0<3}").parse::<i64>().ok()?)
}
