//! Samples of what is in the file, as each was written when its format was made: they must be understood for ever. Changing
//! a model type changes the newest. One more optional field leaves the old one readable; for anything else the format
//! needs a step in `upgrade`. `UPDATE_SAMPLE=1` writes it anew: only for a format that nobody has yet.

use std::time::SystemTime;

use super::super::tables::{Record, decode, encode};
use super::*;

use crate::model::{
    About, Beside, Call, Calls, Checker, Collected, Compare, Elapsed, Expected, Fate, Invocation, NotCollected,
    Project, Seen, Several, SourceFile, Test, Tolerance, Watched,
};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/disk/tests/format-");

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(seconds, 5)
}

/// What the sample of a format holds; of the first, only what there was then.
fn values(format: u64) -> (Record, Job, JobReport) {
    let id: JobId = "6423259c-ee14-45aa-9c90-d5e989f92aa1".parse().unwrap();
    let job = Job { id, compile: Some(limits()), ..new("int main() {}", None).job };
    let record = Record {
        place: 7,
        owner: None,
        language: "c".into(),
        state: State::Completed,
        queued_at: at(1),
        started_at: Some(at(2)),
        completed_at: Some(at(3)),
        attempts: 1,
        key: Some("key".into()),
        size: 8,
        bytes: 9,
    };
    let report = ended(&new("x", None), 3, RECENT).report.clone().unwrap();
    if format == 1 {
        return (record, job, report);
    }
    let files = vec![SourceFile { path: "a/b.h".into(), bytes: b"\xff".to_vec() }];
    let project = Some(Project { entry: "main.c".into(), files });
    let invocation = Invocation { args: vec!["-v".into()], env: vec![("A".into(), "1".into())] };
    let about = Some(About {
        runtime: Some("crun version 1".into()),
        image: Some("gcc".into()),
        image_digest: Some("00".into()),
        streams: Streams::Separate,
        tests: false,
        runs: Vec::new(),
    });
    let mut report = JobReport { about, ..report };
    report.runs[0].evidence.elapsed = Some(Elapsed(1234));
    report.runs[0].evidence.output.lost = [1, 2];
    (record, Job { project, invocation, ..job }, report)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_sample_of_every_format_is_understood() {
    let newest = upgrade::current(upgrade::STEPS);
    for format in 1..=newest {
        let (record, job, report) = values(format);
        let sample = format!("{SAMPLES}{format}.txt");
        if format == newest && std::env::var_os("UPDATE_SAMPLE").is_some() {
            let encoded = [encode(&record), encode(&job), encode(&report)].map(|bytes| hex(&bytes.unwrap()));
            fs::write(&sample, encoded.join("\n") + "\n").unwrap();
        }
        let sample = fs::read_to_string(sample).unwrap();
        let kept: Vec<_> = sample.lines().map(unhex).collect();
        let read: Record = decode(job.id, &kept[0]).unwrap();
        assert_eq!(format!("{read:?}"), format!("{record:?}"), "format {format}");
        assert_eq!(decode::<Job>(job.id, &kept[1]).unwrap(), job, "format {format}");
        assert_eq!(decode::<JobReport>(job.id, &kept[2]).unwrap(), report, "format {format}");
    }
}

/// Fields that are younger than the newest sample.
#[test]
fn tests_of_a_submission_come_back() {
    let (_, mut job, mut report) = values(upgrade::current(upgrade::STEPS));
    let compare = Compare::Floats(Tolerance { absolute: 1e-6, relative: 0.0 });
    let expected = Some(Expected { bytes: b"\xff".to_vec(), compare });
    job.runs[0].test = Test { name: Some("a".into()), args: Some(vec!["x".into()]), expected, checked: true };
    job.collect = vec!["out".into()];
    let (language, source, compile) = ("c".into(), "x".into(), None);
    job.checker = Some(Checker { language, source, project: job.project.clone(), compile, limits: limits() });
    job.several = Some(Several { stop_on_failure: true });
    let file = Collected { path: "out".into(), bytes: b"\xff".to_vec(), size: 7, missing: Some(NotCollected::Link) };
    let about = report.about.as_mut().unwrap();
    (about.tests, about.runs) = (
        true,
        vec![
            Beside { name: Some("a".into()), files: vec![file], checker: Some(report.runs[0].clone()) },
            Beside::default(),
        ],
    );
    job.watched = Watched::Refused;
    let (name, seen, why) = ("-1".into(), vec![Seen { index: 0, mask: u64::MAX, value: u64::MAX }], "so".into());
    let call = Call { name, number: Some(-1), fate: Fate::Unknown, group: Some("a".into()), seen, why, count: 3 };
    report.runs[0].evidence.calls = Some(Calls { calls: vec![call], beyond: 1, incomplete: true, unseen: true });
    report.outcome = Outcome::OutOfTime(WallTime(5));
    report.runs[0].verdict = Verdict::WrongAnswer;
    assert_eq!(decode::<Job>(job.id, &encode(&job).unwrap()).unwrap(), job);
    assert_eq!(decode::<JobReport>(job.id, &encode(&report).unwrap()).unwrap(), report);
}

#[test]
fn output_takes_no_more_room_than_it_has_bytes() {
    let report = ended(&new("x", None), 1_000_000, RECENT).report.clone().unwrap();
    let encoded = encode(&report).unwrap().len();
    assert!((1_000_000..1_001_000).contains(&encoded), "{encoded} bytes");
}
