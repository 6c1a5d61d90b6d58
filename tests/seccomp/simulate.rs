//! `casemate seccomp simulate` against the same filter and the same table as a live job: what it says is what the kernel
//! does (`live.rs` holds the kernel against both).

use std::collections::BTreeMap;

use casemate::seccomp::{Answer, Policy, Profiles};

use crate::filter::{ENOSYS, EPERM, expected, filter, names, numbers};
use crate::needs;
use crate::support::{Need, Runtime, Settings, command};
use crate::table::{REFUSED, UNKNOWN, filtered};

fn errno(answer: &Answer) -> Option<i32> {
    match answer {
        Answer::Allow => None,
        Answer::Errno(number) => Some(i32::try_from(*number).unwrap()),
        Answer::Other(_) | Answer::Undecided => panic!("no profile of ours answers {answer}"),
    }
}

/// Every number under every profile, and every argument of the table: as `live.rs` tries them in a job.
#[test]
fn it_says_what_the_filter_says() {
    needs!(Need::Resolver);
    let profiles = Profiles::load(None).unwrap();
    let mut asked = 0;
    for profile in names() {
        let (filter, policy) = (filter(&profile), Policy::of(&profile, profiles.get(&profile).unwrap()));
        let names = numbers(&filter);
        for number in 0..=500 {
            let name = names.get(&number).map(String::as_str);
            for args in [[u64::MAX; 6], [0; 6]] {
                let (said, wanted) = (errno(&policy.answer(name, args).answer), expected(&filter, name, args));
                assert_eq!(said, wanted, "{profile}: {number} {name:?} {args:x?}");
                asked += 1;
            }
        }
        for row in filtered() {
            for &tried in &row.tried {
                let mut args = [0; 6];
                args[..row.before.len()].copy_from_slice(row.before);
                args[row.before.len()] = tried;
                let said = errno(&policy.answer(Some(row.name), args).answer);
                assert_eq!(said, row.wanted(&profile, tried), "{profile}: {} {args:x?}", row.name);
                asked += 1;
            }
        }
    }
    assert!(asked > 4000, "{asked}");
}

/// The command itself: of each row of the table one argument of each fate.
#[test]
fn the_command_says_it_too() {
    let ask = |words: &[&str]| {
        let said = command::casemate(&Settings::new(Runtime::Crun), &[&["seccomp", "simulate"], words].concat(), b"");
        assert!(said.status.success(), "{words:?}: {said:?}");
        String::from_utf8(said.stdout).unwrap()
    };
    let word = |fate: Option<i32>| match fate {
        None => "allowed: ",
        Some(EPERM) => "EPERM: ",
        Some(ENOSYS) => "ENOSYS: ",
        Some(other) => panic!("{other}"),
    };
    for profile in ["compile", "run+java"] {
        for row in filtered() {
            let mut fates: BTreeMap<Option<i32>, u64> = BTreeMap::new();
            for &tried in &row.tried {
                fates.entry(row.wanted(profile, tried)).or_insert(tried);
            }
            for (fate, tried) in fates {
                let args: Vec<String> = row.before.iter().chain([&tried]).map(|arg| format!("{arg:#x}")).collect();
                let words: Vec<&str> = [profile, row.name].into_iter().chain(args.iter().map(String::as_str)).collect();
                let said = ask(&words);
                assert!(said.starts_with(word(fate)), "{words:?}: {said}");
            }
        }
        for group in REFUSED {
            assert!(ask(&[profile, group[0]]).starts_with("EPERM: "), "{}", group[0]);
        }
        assert!(ask(&[profile, UNKNOWN[0], "-1"]).starts_with("ENOSYS: "));
    }
}
