//! Rows of programs and what must come of them. All rows are submitted at once, and every mismatch is listed: one run
//! tells everything that is wrong.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::{Seen, Server, scale, shape};

type Check = Box<dyn Fn(&Seen) -> Result<(), String>>;

enum Expect {
    Exactly { state: &'static str, output: String },
    Parts { state: &'static str, start: String, within: Vec<String>, end: String },
    Checked(Check),
    Nothing,
}

/// One program, its input, and what must come of it.
pub struct Row {
    name: String,
    language: &'static str,
    code: String,
    input: Option<String>,
    expect: Expect,
    measures: bool,
}

/// A row; say what must come of it with one of its methods.
pub fn row(name: impl Into<String>, language: &'static str, code: impl Into<String>) -> Row {
    Row { name: name.into(), language, code: code.into(), input: None, expect: Expect::Nothing, measures: false }
}

impl Row {
    /// What reaches standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<String>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// `completed` with exactly this output.
    #[must_use]
    pub fn completes(mut self, output: impl Into<String>) -> Self {
        self.expect = Expect::Exactly { state: "completed", output: output.into() };
        self
    }

    /// `failed` with exactly this output.
    #[must_use]
    pub fn fails(mut self, output: impl Into<String>) -> Self {
        self.expect = Expect::Exactly { state: "failed", output: output.into() };
        self
    }

    /// `failed` with an output of these parts.
    #[must_use]
    pub fn fails_with(mut self, start: &str, within: &[&str], end: &str) -> Self {
        let within = within.iter().map(ToString::to_string).collect();
        self.expect = Expect::Parts { state: "failed", start: start.to_owned(), within, end: end.to_owned() };
        self
    }

    /// Whatever this says.
    #[must_use]
    pub fn check(mut self, check: impl Fn(&Seen) -> Result<(), String> + 'static) -> Self {
        self.expect = Expect::Checked(Box::new(check));
        self
    }

    /// `completed`, and the output, trimmed, is a number of this range.
    #[must_use]
    pub fn prints_between(self, low: f64, high: f64) -> Self {
        self.check(move |seen| {
            let number = seen.output().trim().parse::<f64>();
            let fits = seen.state() == "completed" && number.is_ok_and(|n| (low..=high).contains(&n));
            if fits { Ok(()) } else { Err(format!("wanted a number from {low} to {high}, {}", show(seen))) }
        })
    }

    /// It measures processor time, which says nothing where time is stretched: there the row is left out.
    #[must_use]
    pub const fn measures(mut self) -> Self {
        self.measures = true;
        self
    }

    fn mismatch(&self, seen: &Seen) -> Option<String> {
        match &self.expect {
            Expect::Exactly { state, output } if seen.state() == *state && seen.output() == output => None,
            Expect::Exactly { state, output } => {
                Some(format!("wanted {state} {}\n      {}", brief(output), show(seen)))
            }
            Expect::Parts { state, start, within, end } => {
                let text = seen.output();
                let fits = seen.state() == *state && text.starts_with(start) && text.ends_with(end);
                let fits = fits && within.iter().all(|part| text.contains(part));
                (!fits).then(|| format!("wanted {state} {start:?} … {within:?} … {end:?}\n      {}", show(seen)))
            }
            Expect::Checked(check) => check(seen).err(),
            Expect::Nothing => Some("the row says nothing of what must come of it".to_owned()),
        }
    }
}

/// How an ending reads in a list of mismatches.
pub fn show(seen: &Seen) -> String {
    format!("got {} {}", seen.state(), brief(seen.output()))
}

/// A text, cut in the middle when it is long.
pub fn brief(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= 1200 {
        return format!("{text:?}");
    }
    let (head, tail): (String, String) = (chars[..300].iter().collect(), chars[chars.len() - 300..].iter().collect());
    format!("{head:?} … {tail:?} ({} bytes)", text.len())
}

/// Rows that go to one server.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub fn of(rows: impl IntoIterator<Item = Row>) -> Self {
        Self { rows: rows.into_iter().filter(|row| !row.measures || scale::factor() == 1).collect() }
    }

    /// Submits every row, waits for every end, and panics with all that was not as it must be.
    pub fn run(self, server: &Server) {
        let client = server.client();
        let ids: Vec<_> = self.rows.iter().map(|r| client.submit(r.language, &r.code, r.input.as_deref())).collect();
        let deadline = Instant::now() + scale::patience(Duration::from_secs(60 + 5 * self.rows.len() as u64));
        let (mut report, mut bad) = (String::new(), 0);
        for (row, id) in self.rows.iter().zip(&ids) {
            let mut wrong = Vec::new();
            match client.finish(id, deadline) {
                Ok(seen) => {
                    wrong.extend(row.mismatch(&seen));
                    wrong.extend(shape::ended(id, row.language, &seen));
                }
                Err(why) => wrong.push(why),
            }
            if !wrong.is_empty() {
                bad += 1;
                let _ = writeln!(report, "  {} {}: {}", row.language, row.name, wrong.join("\n      "));
                report += &server.log_of(id);
            }
        }
        assert!(bad == 0, "{bad} of {} rows are not as they must be:\n{report}", self.rows.len());
    }
}
