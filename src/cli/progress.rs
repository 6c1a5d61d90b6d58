//! Shows the progress of image builds: a line each that is redrawn on a terminal, plain lines where stderr is none.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::image::{Event, Progress};
use crate::model::Bytes;

/// Renders to stderr.
#[derive(Debug)]
pub(crate) struct Renderer {
    lines: MultiProgress,
    terminal: bool,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Renderer {
    /// Redraws if stderr is a terminal.
    pub(crate) fn stderr() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { lines, terminal, bars: Mutex::default() }
    }

    fn redraw(&self, image: &str, event: &Event, text: String) {
        let Ok(mut bars) = self.bars.lock() else { return };
        let bar = bars.entry(image.to_owned()).or_insert_with(|| {
            let bar = self.lines.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:8} {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(image.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if matches!(event, Event::Present | Event::Done { .. } | Event::Failed) {
            bar.finish_with_message(text);
        } else {
            bar.set_message(text);
        }
    }
}

impl Progress for Renderer {
    fn event(&self, image: &str, event: &Event) {
        if self.terminal {
            self.redraw(image, event, say(event));
        } else if !matches!(event, Event::Unpacking { .. }) {
            let subject = if image.is_empty() { "images" } else { image };
            // Nothing can be done for a reader who left.
            let _ = writeln!(std::io::stderr().lock(), "{subject}: {}", say(event));
        }
    }
}

fn say(event: &Event) -> String {
    match event {
        Event::Waiting => "another build is under way, waiting for its end".to_owned(),
        Event::Present => "there already".to_owned(),
        Event::Started => "building".to_owned(),
        Event::Step(text) => text.clone(),
        Event::Unpacking { entries, bytes } => format!("unpacking: {entries} entries, {}", mib(*bytes)),
        Event::Done { size, files, took } => {
            format!("made: {files} files, {}, in {:.1} s", mib(*size), took.as_secs_f64())
        }
        Event::Failed => "failed".to_owned(),
    }
}

/// Rounded up to whole MiB, so that no file at all is the only 0.
pub(crate) fn mib(size: Bytes) -> String {
    format!("{} MiB", size.0.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_every_event_on_one_line() {
        for (event, expected) in [
            (Event::Waiting, "another build is under way, waiting for its end"),
            (Event::Step("running apt-get update".to_owned()), "running apt-get update"),
            (Event::Unpacking { entries: 7, bytes: Bytes(1) }, "unpacking: 7 entries, 1 MiB"),
            (
                Event::Done { size: Bytes::mib(90), files: 3, took: Duration::from_millis(12_340) },
                "made: 3 files, 90 MiB, in 12.3 s",
            ),
        ] {
            assert_eq!(say(&event), expected);
        }
    }
}
