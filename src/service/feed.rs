//! What a running job has printed so far, for those who want to see it while it runs. The output that is kept anyway is
//! kept here, once for all of them: who is slow, or comes late, reads it here in his own time and holds up nobody. Of a
//! step that is over the report has the output; a little of it stays here until then.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::StepKind;

/// Output of steps that are over, in bytes of all of them together, that stays for readers who come late.
const STAYS: usize = 64 << 10;

/// Which stream a piece of output came from; [`Stream::Out`] for both where they are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A step of a job, in the order in which they are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepAt {
    /// The compile step.
    Compile,
    /// The run at this place, from 0.
    Run(usize),
}

/// A step that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Which.
    pub at: StepAt,
    /// Whether all of its output has been seen.
    pub over: bool,
    /// Standard output and standard error.
    pub streams: [Printed; 2],
}

/// What is known of one stream.
#[derive(Debug, Default)]
pub struct Printed {
    /// What was kept of it, if it is still here.
    pub bytes: Option<Vec<u8>>,
    /// How many bytes that is, here or not.
    pub length: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Feed {
    steps: Mutex<Vec<Begun>>,
    changed: watch::Sender<()>,
}

impl Feed {
    /// Of a job that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self { steps: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// A step begins; runs are counted here.
    pub fn begin(&self, kind: StepKind) {
        let mut steps = self.lock();
        let runs = steps.iter().filter(|step| step.at != StepAt::Compile).count();
        let at = if kind == StepKind::Compile { StepAt::Compile } else { StepAt::Run(runs) };
        let printed = || Printed { bytes: Some(Vec::new()), length: 0 };
        steps.push(Begun { at, over: false, streams: [printed(), printed()] });
        drop(steps);
        self.tell();
    }

    /// The step under way has printed this.
    pub fn print(&self, stream: Stream, bytes: &[u8]) {
        let mut steps = self.lock();
        if let Some(printed) = steps.last_mut().map(|step| &mut step.streams[stream as usize]) {
            printed.length += bytes.len() as u64;
            printed.bytes.get_or_insert_default().extend_from_slice(bytes);
        }
        drop(steps);
        self.tell();
    }

    /// The step under way prints nothing more. What it has printed, for its report.
    pub fn end(&self) -> [Vec<u8>; 2] {
        let mut steps = self.lock();
        let Some(step) = steps.last_mut() else { return Default::default() };
        step.over = true;
        let output = [0, 1].map(|stream| step.streams[stream].bytes.take().unwrap_or_default());
        if output[0].len() + output[1].len() <= STAYS {
            for (printed, bytes) in step.streams.iter_mut().zip(&output) {
                printed.bytes = Some(bytes.clone());
            }
            let mut stays = 0;
            // The oldest go first.
            for step in steps.iter_mut().rev() {
                stays += step.streams.iter().filter_map(|printed| printed.bytes.as_ref()).map(Vec::len).sum::<usize>();
                if stays > STAYS {
                    step.streams.iter_mut().for_each(|printed| printed.bytes = None);
                }
            }
        }
        drop(steps);
        self.tell();
        output
    }

    /// A look at the steps that have begun. Nothing is printed meanwhile, so that it must be a short one.
    pub fn look<T>(&self, look: impl FnOnce(&[Begun]) -> T) -> T {
        look(&self.lock())
    }

    /// Somebody to be told of every change.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn tell(&self) {
        self.changed.send_replace(());
    }

    /// Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, Vec<Begun>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Feed {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (StepAt, bool, [(u64, Option<usize>); 2]);

    /// What is here of each step: its place, whether it is over, and of each stream the length and what is here.
    fn seen(feed: &Feed) -> Vec<Seen> {
        let printed = |printed: &Printed| (printed.length, printed.bytes.as_ref().map(Vec::len));
        let step = |step: &Begun| (step.at, step.over, [printed(&step.streams[0]), printed(&step.streams[1])]);
        feed.look(|steps| steps.iter().map(step).collect())
    }

    #[test]
    fn what_is_printed_is_here_until_the_step_is_over_and_a_little_of_it_after_that() {
        let feed = Feed::new();
        let mut told = feed.subscribe();
        feed.begin(StepKind::Compile);
        assert!(told.has_changed().unwrap());
        feed.print(Stream::Out, b"warning");
        assert_eq!(feed.end(), [b"warning".to_vec(), Vec::new()]);
        feed.begin(StepKind::Run);
        feed.print(Stream::Err, b"e");
        feed.print(Stream::Out, &[b'x'; STAYS]);
        told.mark_unchanged();
        let compile = (StepAt::Compile, true, [(7, Some(7)), (0, Some(0))]);
        let large = STAYS as u64;
        assert_eq!(seen(&feed), [compile, (StepAt::Run(0), false, [(large, Some(STAYS)), (1, Some(1))])]);
        assert_eq!(feed.end(), [vec![b'x'; STAYS], b"e".to_vec()]);
        assert!(told.has_changed().unwrap());
        // Too much to stay; what was there before does.
        assert_eq!(seen(&feed), [compile, (StepAt::Run(0), true, [(large, None), (1, None)])]);
        feed.begin(StepKind::Run);
        feed.print(Stream::Out, &[b'y'; STAYS - 3]);
        feed.end();
        let gone = (StepAt::Compile, true, [(7, None), (0, None)]);
        assert_eq!(seen(&feed)[0], gone);
        assert_eq!(seen(&feed)[2], (StepAt::Run(1), true, [(large - 3, Some(STAYS - 3)), (0, Some(0))]));
    }
}
