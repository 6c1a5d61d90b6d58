//! Whoever comes back, wherever he was and whatever happened meanwhile, has the same whole in the end.

use proptest::prelude::*;

use super::*;
use crate::model::{
    Bytes, Captured, CpuTime, Enforcement, Evidence, Inodes, Limits, OpenFiles, Outcome, Pids, StepKind, StepReport,
    Verdict, WallTime,
};
use crate::service::Feed;

/// What a client has of each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Client {
    at: Position,
    has: Vec<(StepAt, [Vec<u8>; 2])>,
    skipped: u64,
}

impl Client {
    /// Takes all that there is, with the ids written down and read again in between.
    fn take(&mut self, steps: &(impl Steps + ?Sized)) {
        let mut first = Stream::Out;
        loop {
            self.at = self.at.to_string().parse().unwrap();
            match self.at.next(steps, first) {
                None => return,
                Some(News::Step(at)) => self.has.push((at, Default::default())),
                Some(News::Output(at, stream, bytes)) => {
                    assert!(!bytes.is_empty() && bytes.len() <= PIECE);
                    let last = self.has.last_mut().unwrap();
                    assert_eq!(last.0, at);
                    last.1[stream as usize].extend_from_slice(bytes);
                    first = if stream == Stream::Out { Stream::Err } else { Stream::Out };
                }
                Some(News::Skipped(_, _, bytes)) => self.skipped += bytes,
            }
        }
    }
}

fn step([stdout, stderr]: [&[u8]; 2]) -> StepReport {
    let limits = Limits {
        memory: Bytes(1),
        cpu_share: None,
        cpu_time: CpuTime(1),
        wall: WallTime(1),
        pids: Pids(1),
        open_files: OpenFiles(1),
        stack: Bytes(1),
        file_size: Bytes(1),
        output: Bytes::mib(1),
        tmp: Bytes(1),
        tmp_inodes: Inodes(1),
    };
    let output = Captured { stdout: stdout.to_vec(), stderr: stderr.to_vec(), ..Captured::default() };
    let evidence = Evidence { output, ..Evidence::default() };
    StepReport { verdict: Verdict::Ok, evidence, limits, enforcement: Enforcement::CgroupV2 }
}

fn report(compile: Option<[&[u8]; 2]>, runs: &[[Vec<u8>; 2]]) -> JobReport {
    let runs = runs.iter().map(|[out, err]| step([out, err])).collect();
    JobReport { outcome: Outcome::Ran, compile: compile.map(step), runs, about: None }
}

#[test]
fn ids_are_read_as_they_are_written() {
    for (id, at) in [
        ("n-0-n-0-0", Position::default()),
        (
            "r-1a-c-7-0",
            Position { attempt: 26, state: Some(State::Running), step: Some(StepAt::Compile), sent: [7, 0] },
        ),
        (
            "f-ffffffffffffffff-12-0-9",
            Position { attempt: u64::MAX, state: Some(State::Failed), step: Some(StepAt::Run(12)), sent: [0, 9] },
        ),
    ] {
        assert_eq!((at.to_string().as_str(), id.parse()), (id, Ok(at)));
    }
    for no in ["", "x", "r", "z-0-n-0-0", "r-0-n-0", "r-0-n-0-0-0", "r-0-x-0-0", "r-g-n-0-0", "r-0-n--1-0"] {
        assert_eq!(no.parse::<Position>(), Err(NoPosition), "{no}");
    }
}

#[test]
fn the_beginning_of_a_character_waits_for_its_rest() {
    for (bytes, whole, expected) in [
        (&b"ab"[..], false, 2),
        ("aé".as_bytes(), false, 3),
        (b"a\xc3", false, 1),
        (b"a\xc3", true, 2),
        (b"\xe2\x82", false, 0),
        (b"\xf0\x9f\x98", false, 0),
        (b"a\xf0\x9f\x98", false, 1),
        (b"a\xf0\x9f\x98\x80", false, 5),
        // No beginning of any character.
        (b"a\xff", false, 2),
        (b"a\x80\x80\x80\x80", false, 5),
        (b"\xe2\x28", false, 2),
        (b"\xed\xa0", false, 2),
        (b"", false, 0),
    ] {
        assert_eq!(piece(bytes, whole).len(), expected, "{bytes:x?} {whole}");
    }
    let long = "é".repeat(PIECE);
    assert_eq!(piece(&long.as_bytes()[1..], true).len(), PIECE - 1);
}

/// Every place in a small output, of every kind of byte: what came before and what comes after are the whole.
#[test]
fn resumed_at_every_byte() {
    let out = "aé€😀\n".bytes().chain([0xff, 0xf0, 0x9f, 0, 0xe2, 0x82]).collect::<Vec<u8>>();
    let err = "ß\u{0}x".as_bytes().to_vec();
    let whole = report(Some([b"words", b""]), &[[out.clone(), err.clone()]]);
    for (o, e) in (0..=out.len()).flat_map(|o| (0..=err.len()).map(move |e| (o, e))) {
        let at = Position { step: Some(StepAt::Run(0)), sent: [o as u64, e as u64], ..Position::default() };
        let before = [out[..o].to_vec(), err[..e].to_vec()];
        let mut client = Client { at, has: vec![(StepAt::Run(0), before)], skipped: 0 };
        client.take(&whole);
        assert_eq!(client.has, [(StepAt::Run(0), [out.clone(), err.clone()])], "{o} {e}");
    }
}

/// A reader who was too slow for one of several runs is told how much he has missed; of the last nothing is missed.
#[test]
fn what_is_not_at_hand_is_told_or_waited_for() {
    let feed = Feed::new();
    let large = vec![b'x'; 100_000];
    let mut client = Client::default();
    feed.begin(StepKind::Run);
    feed.print(Stream::Out, &large[..1000]);
    feed.look(|steps| client.take(steps));
    feed.print(Stream::Out, &large[1000..]);
    feed.end();
    feed.look(|steps| client.take(steps));
    assert_eq!((client.has.len(), client.has[0].1[0].len(), client.skipped), (1, 1000, 0));
    let mut late = client.clone();
    // The job ends with this step: nothing is missing.
    client.take(&report(None, &[[large.clone(), Vec::new()]]));
    assert_eq!((&client.has[0].1[0], client.skipped), (&large, 0));
    // It goes on with another.
    feed.begin(StepKind::Run);
    feed.print(Stream::Out, b"second");
    feed.look(|steps| late.take(steps));
    assert_eq!((late.skipped, &late.has[1].1[0][..]), (99_000, &b"second"[..]));
}

/// What happens while a client follows: of which it may miss any part, and come back.
#[derive(Clone, Debug)]
enum Event {
    Print(Stream, Vec<u8>),
    NextStep,
    Look,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let stream = prop_oneof![Just(Stream::Out), Just(Stream::Err)];
    let bytes = prop_oneof![
        any::<Vec<u8>>(),
        ".{0,40}".prop_map(String::into_bytes),
        "[é€😀]{0,9}".prop_map(String::into_bytes)
    ];
    // Cut anywhere, in the middle of characters too.
    let bytes = (bytes, any::<prop::sample::Index>()).prop_map(|(mut bytes, at)| {
        bytes.truncate(at.index(bytes.len() + 1));
        bytes
    });
    let event = prop_oneof![
        6 => (stream, bytes).prop_map(|(stream, bytes)| Event::Print(stream, bytes)),
        1 => Just(Event::NextStep),
        3 => Just(Event::Look),
    ];
    prop::collection::vec(event, 0..40)
}

proptest! {
    /// Small outputs are never skipped, whenever a client looks; and the end completes what it has.
    #[test]
    fn the_whole_whenever_one_looks(events in events(), compiled: bool) {
        let feed = Feed::new();
        let mut steps: Vec<[Vec<u8>; 2]> = vec![Default::default()];
        let (mut client, mut late) = (Client::default(), Client::default());
        feed.begin(if compiled { StepKind::Compile } else { StepKind::Run });
        for event in events {
            match event {
                Event::Print(stream, bytes) => {
                    feed.print(stream, &bytes);
                    steps.last_mut().unwrap()[stream as usize].extend(bytes);
                }
                Event::NextStep => {
                    feed.end();
                    feed.begin(StepKind::Run);
                    steps.push(Default::default());
                }
                Event::Look => feed.look(|steps| client.take(steps)),
            }
        }
        feed.end();
        let runs = &steps[usize::from(compiled)..];
        let report = report(compiled.then(|| [&steps[0][0][..], &steps[0][1]]), runs);
        client.take(&report);
        late.take(&report);
        prop_assert_eq!(&client, &late);
        prop_assert_eq!(client.skipped, 0);
        let has: Vec<_> = client.has.into_iter().map(|(_, streams)| streams).collect();
        prop_assert_eq!(has, steps);
    }
}
