//! Runs every attack: as it is, where it has to be held; without anything that stops it, where it has to succeed; and,
//! where several layers stop it, with only one of them, which has to be enough.

use std::time::{Duration, Instant};

use super::bait::Bait;
use super::collection::{Attack, attacks};
use super::header::breached;
use super::languages::Languages;
use super::layers::SERVICE;
use super::pulse::Pulse;
use super::unconfined::unconfined;
use super::wrapper::Wrapper;
use crate::support::table::show;
use crate::support::{Runtime, Seen, Server, Settings, account, scale};
use crate::{needs, support::Need, under_both_runtimes};

/// One run of an attack.
struct Trial {
    attack: Attack,
    language: String,
    /// The layers that are taken away.
    without: Vec<&'static str>,
    /// How it has to go.
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// As its header says.
    Expected,
    /// Whatever else happens, not that it works.
    Stopped,
    /// That it works.
    Breach,
}

impl Trial {
    fn name(&self) -> String {
        match (&self.without[..], self.wanted) {
            ([], _) => self.attack.name.clone(),
            (without, _) => format!("{} without {}", self.attack.name, without.join(", ")),
        }
    }

    /// What is wrong with what became of its copies.
    fn mismatch(&self, seen: &[Seen]) -> Option<String> {
        if seen.iter().any(|seen| seen.output().starts_with("Internal error")) {
            return Some("the service has failed".to_owned());
        }
        let works = seen.iter().any(|seen| breached(seen.output()));
        match self.wanted {
            Wanted::Expected => {
                seen.iter().find_map(|seen| self.attack.header.expect.mismatch(seen.state(), seen.output()))
            }
            Wanted::Stopped => works.then(|| "the one layer that is left does not stop it".to_owned()),
            Wanted::Breach => (!works).then(|| "something else stops it".to_owned()),
        }
    }
}

/// What was not as it must be.
struct Wrong {
    told: String,
    /// An attack that worked and must not have: no second try takes that back.
    certain: bool,
}

/// Waits for the copies of a trial and says what is wrong with them.
fn judge(trial: &Trial, server: &Server, ids: &[String], deadline: Instant) -> Result<(), Wrong> {
    let seen: Result<Vec<Seen>, String> = ids.iter().map(|id| server.client().finish(id, deadline)).collect();
    let seen = seen.map_err(|told| Wrong { told, certain: true })?;
    let Some(wrong) = trial.mismatch(&seen) else { return Ok(()) };
    let shown = seen.iter().map(show).collect::<Vec<_>>().join("; ");
    let log: String = ids.iter().map(|id| server.log_of(id)).collect();
    let log: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    let certain = trial.wanted != Wanted::Breach && seen.iter().any(|seen| breached(seen.output()));
    Err(Wrong { told: format!("{wrong}\n      {shown}\n{}", log.join("\n")), certain })
}

/// Runs all trials, and panics with all that was not as it must be.
fn carry_out(runtime: Runtime, plan: impl Fn(&Attack) -> Vec<(Vec<&'static str>, Wanted)>) {
    needs!(Need::Sandbox(runtime));
    for confined in [true, false] {
        let mut languages = Languages::default();
        let mut trials = Vec::new();
        for attack in attacks() {
            for (without, wanted) in plan(&attack).into_iter().filter(|(w, _)| w.contains(&SERVICE) != confined) {
                let language = languages.name(&attack, &without);
                trials.push(Trial { language, attack: attack.clone(), without, wanted });
            }
        }
        if !trials.is_empty() {
            carry_out_in(runtime, confined, &languages, &trials);
        }
    }
}

/// The same of these, through one server.
fn carry_out_in(runtime: Runtime, confined: bool, languages: &Languages, trials: &[Trial]) {
    let home = account::directory("home");
    let wrapper = Wrapper::of(runtime, home.path());
    let settings =
        Settings::new(runtime).set("MAX_WORKERS", 4).set("CASEMATE_RUNTIME_PATH", wrapper.path(runtime).display());
    let (_directory, settings) = languages.write(settings);
    let (_library, settings) = match confined {
        true => (None, settings),
        false => unconfined(settings),
    };
    let server = Server::start_at(&settings, home);
    let client = server.client();
    let port = server.addresses[0].port();
    let _bait = Bait::lay(port);
    let port = port.to_string();
    let submit = |trial: &Trial| {
        let header = &trial.attack.header;
        client.submit(&trial.language, &trial.attack.source, header.port.then_some(port.as_str()))
    };
    let all = |trial: &Trial| (0..trial.attack.header.copies).map(|_| submit(trial)).collect::<Vec<_>>();
    let pulse = Pulse::of(client, client.submit("python", "print('well')", None));
    let ids: Vec<Vec<String>> = trials.iter().map(all).collect();
    let began = Instant::now();
    let deadline = began + scale::patience(Duration::from_secs(300));
    let mut bad = Vec::new();
    let mut again = Vec::new();
    for (trial, ids) in trials.iter().zip(ids) {
        match judge(trial, &server, &ids, deadline) {
            Ok(()) => {}
            Err(wrong) if wrong.certain => bad.push((trial, wrong)),
            // Time and processors are what it lacked, if anything: once more, by itself.
            Err(_) => again.push(trial),
        }
    }
    for trial in again {
        if let Err(wrong) =
            judge(trial, &server, &all(trial), Instant::now() + scale::patience(Duration::from_secs(90)))
        {
            bad.push((trial, wrong));
        }
    }
    pulse.was_quick();
    println!("{runtime:?}: {} trials in {:?}", trials.len(), began.elapsed());
    let report: String = bad.iter().map(|(trial, wrong)| format!("  {}: {}\n", trial.name(), wrong.told)).collect();
    assert!(
        bad.is_empty(),
        "{} of {} are not as they must be:\n{report}\n{}",
        bad.len(),
        trials.len(),
        wrapper.log_of_failures()
    );
    assert_eq!(client.run("python", "print('well')", None).output(), "well\n", "the next job");
}

fn every_attack_is_held(runtime: Runtime) {
    carry_out(runtime, |_| vec![(Vec::new(), Wanted::Expected)]);
}

fn every_attack_succeeds_without_what_stops_it(runtime: Runtime) {
    carry_out(runtime, |attack| {
        let all = &attack.header.stopped_by;
        if all.is_empty() { Vec::new() } else { vec![(all.clone(), Wanted::Breach)] }
    });
}

/// Where there are several, any one of them would do.
fn every_layer_is_enough(runtime: Runtime) {
    carry_out(runtime, |attack| {
        let all = &attack.header.stopped_by;
        let left = |one: &&'static str| all.iter().copied().filter(|other| other != one).collect::<Vec<_>>();
        all.iter().map(left).filter(|without| !without.is_empty()).map(|without| (without, Wanted::Stopped)).collect()
    });
}

under_both_runtimes!(every_attack_is_held, every_attack_succeeds_without_what_stops_it, every_layer_is_enough,);
