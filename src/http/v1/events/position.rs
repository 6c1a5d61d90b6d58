//! How far a client has followed a submission, and what comes next: a pure function of that and of what there is. It is
//! the same for a feed and for a report, so that who comes back goes on where he was, whatever has happened meanwhile.

use std::fmt;
use std::str::FromStr;

use crate::http::printed::{Step, Stream as Which, kept};
use crate::model::{JobReport, State};
use crate::service::{Begun, StepAt, Stream};

/// Bytes of output that become one event.
pub const PIECE: usize = 8 << 10;

/// Everything that a client was told, as the id of the last event says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// When the run that it was told of began, in nanoseconds since 1970: what runs again is another one. 0 is none.
    pub attempt: u64,
    /// The last state.
    pub state: Option<State>,
    /// The last step that has begun.
    pub step: Option<StepAt>,
    /// Bytes of each of its streams.
    pub sent: [u64; 2],
}

/// What there is to tell of.
pub trait Steps {
    /// The first step that comes after this one.
    fn after(&self, at: Option<StepAt>) -> Option<StepAt>;

    /// A step, if there is such a one.
    fn step(&self, at: StepAt) -> Option<Seen<'_>>;
}

/// A step and what it has printed.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// It prints nothing more.
    pub over: bool,
    /// Of each stream the length, and the bytes where they are at hand.
    pub streams: [(u64, Option<&'a [u8]>); 2],
}

/// The next thing to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// A step has begun.
    Step(StepAt),
    /// It has printed this.
    Output(StepAt, Stream, &'a [u8]),
    /// It has printed so many bytes more, which nobody has at hand before the end.
    Skipped(StepAt, Stream, u64),
}

impl Position {
    /// The next thing, which is counted as told; nothing where there is nothing new. `first` is the stream that is looked
    /// at first.
    pub fn next<'a>(&mut self, steps: &'a (impl Steps + ?Sized), first: Stream) -> Option<News<'a>> {
        if let Some(at) = self.step
            && let Some(seen) = steps.step(at)
        {
            let later = steps.after(self.step).is_some();
            let over = seen.over || later;
            let order = if first == Stream::Out { [Stream::Out, Stream::Err] } else { [Stream::Err, Stream::Out] };
            for stream in order {
                let (length, bytes) = seen.streams[stream as usize];
                let sent = &mut self.sent[stream as usize];
                if *sent >= length {
                    continue;
                }
                let Some(bytes) = bytes else {
                    if !later {
                        // The report will have it.
                        return None;
                    }
                    let left = length - *sent;
                    *sent = length;
                    return Some(News::Skipped(at, stream, left));
                };
                let piece = piece(&bytes[usize::try_from(*sent).unwrap_or(bytes.len())..], over);
                if !piece.is_empty() {
                    *sent += piece.len() as u64;
                    return Some(News::Output(at, stream, piece));
                }
            }
            if !over {
                return None;
            }
        }
        let next = steps.after(self.step)?;
        (self.step, self.sent) = (Some(next), [0, 0]);
        Some(News::Step(next))
    }
}

impl Position {
    /// The next step, or what is left of this one, which is not to be told.
    pub fn skip(&mut self, steps: &(impl Steps + ?Sized)) -> Option<News<'static>> {
        if let Some(at) = self.step
            && let Some(seen) = steps.step(at)
        {
            for stream in [Stream::Out, Stream::Err] {
                let (length, sent) = (seen.streams[stream as usize].0, &mut self.sent[stream as usize]);
                if *sent < length {
                    let left = length - *sent;
                    *sent = length;
                    return Some(News::Skipped(at, stream, left));
                }
            }
        }
        let next = steps.after(self.step)?;
        (self.step, self.sent) = (Some(next), [0, 0]);
        Some(News::Step(next))
    }
}

/// The first bytes of these, without the beginning of a character at their end whose rest may come yet.
fn piece(bytes: &[u8], whole: bool) -> &[u8] {
    let most = &bytes[..bytes.len().min(PIECE)];
    if whole && most.len() == bytes.len() {
        return most;
    }
    let begun = (1..=most.len().min(3)).find(|back| most[most.len() - back] & 0xC0 != 0x80);
    let open = begun.filter(|back| {
        let character = std::str::from_utf8(&most[most.len() - back..]);
        character.is_err_and(|error| error.error_len().is_none())
    });
    &most[..most.len() - open.unwrap_or(0)]
}

impl Steps for [Begun] {
    fn after(&self, at: Option<StepAt>) -> Option<StepAt> {
        self.get(self.partition_point(|step| Some(step.at) <= at)).map(|step| step.at)
    }

    fn step(&self, at: StepAt) -> Option<Seen<'_>> {
        let step = &self[self.binary_search_by_key(&at, |step| step.at).ok()?];
        let streams = step.streams.each_ref().map(|stream| (stream.length, stream.bytes.as_deref()));
        Some(Seen { over: step.over, streams })
    }
}

impl Steps for JobReport {
    fn after(&self, at: Option<StepAt>) -> Option<StepAt> {
        let run = match at {
            None if self.compile.is_some() => return Some(StepAt::Compile),
            None | Some(StepAt::Compile) => 0,
            Some(StepAt::Run(number)) => number.checked_add(1)?,
        };
        (run < self.runs.len()).then_some(StepAt::Run(run))
    }

    fn step(&self, at: StepAt) -> Option<Seen<'_>> {
        let step = match at {
            StepAt::Compile => Step::Compile,
            StepAt::Run(number) => Step::Run(number),
        };
        let report = step.of(self)?;
        let streams = [Which::Out, Which::Err].map(|stream| {
            let bytes = kept(report, stream);
            (bytes.len() as u64, Some(bytes))
        });
        Some(Seen { over: true, streams })
    }
}

/// A letter for the state, when the run began (in base 16), the step (`n`, `c`, or the number of the run), and the bytes
/// of each stream.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            None => 'n',
            Some(State::Pending) => 'p',
            Some(State::Queued) => 'q',
            Some(State::Running) => 'r',
            Some(State::Completed) => 'c',
            Some(State::Failed) => 'f',
        };
        write!(f, "{state}-{:x}-", self.attempt)?;
        match self.step {
            None => f.write_str("n")?,
            Some(StepAt::Compile) => f.write_str("c")?,
            Some(StepAt::Run(number)) => write!(f, "{number}")?,
        }
        write!(f, "-{}-{}", self.sent[0], self.sent[1])
    }
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let [state, attempt, step, out, err] = text.split('-').collect::<Vec<_>>()[..] else { return Err(NoPosition) };
        let state = match state {
            "n" => None,
            "p" => Some(State::Pending),
            "q" => Some(State::Queued),
            "r" => Some(State::Running),
            "c" => Some(State::Completed),
            "f" => Some(State::Failed),
            _ => return Err(NoPosition),
        };
        let step = match step {
            "n" => None,
            "c" => Some(StepAt::Compile),
            number => Some(StepAt::Run(number.parse().map_err(|_| NoPosition)?)),
        };
        let attempt = u64::from_str_radix(attempt, 16).map_err(|_| NoPosition)?;
        let sent = [out.parse().map_err(|_| NoPosition)?, err.parse().map_err(|_| NoPosition)?];
        Ok(Self { attempt, state, step, sent })
    }
}

#[cfg(test)]
mod tests;
