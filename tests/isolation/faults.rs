//! System calls of a launch fail, one at a time: of the service, of what it forks, of the runtime and of the init. The program
//! does not start then, and the caller is told that it was us; or it was a call that the launch can do without, and the
//! program finds itself confined as always. Nothing is left, and the next job is well.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::allowed::{Allowed, Host};
use crate::injector::Injector;
use crate::support::process::Process;
use crate::support::soak::Watch;
use crate::support::{Runtime, Seen, Server, Settings};
use crate::{needs, program, support::Need};

/// Says all that it finds: also that it is confined.
const PROGRAM: &str = program!("snoop/snoop.c");

/// What crun does not take away of its own when it cannot.
const BY_THE_RUNTIME: [&str; 2] = ["runtime umount2 /tmp/", "runtime unlink /tmp/"];

/// crun 1.8 goes on when it cannot set the flags of the last bind mount, which is `/code`: it can then be written to.
const GONE_ON_WITHOUT: [&str; 2] = ["runtime mount /proc/self/fd/#", "/code rw,nosuid,nodev,relatime"];

/// A program that the kernel does not execute is the program's own affair, whatever the reason.
const NOT_EXECUTABLE: (&str, &str) = ("init execve /code/solution (1)", "\nexit status 126");

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The job was ended by us.
    Told,
    /// The job ran, confined.
    DoneWithout,
    /// The call was not made this time.
    NotMade,
}

struct Walk {
    server: Server,
    host: Host,
    watch: Watch,
    before: BTreeMap<&'static str, u64>,
}

impl Walk {
    fn begin(runtime: Runtime) -> Self {
        let settings = Settings::new(runtime).set("MAX_WORKERS", 1).set("CASEMATE_LAUNCH_MS", 2000);
        let settings = settings.set("CASEMATE_POOL__LEAST", 0).set("CASEMATE_POOL__MOST", 0);
        // After many faults in a row the service would run its self-test, whose containers are not the job's.
        let settings = settings.set("CASEMATE_UNREADY_AFTER", 10_000);
        let settings = settings.limit(&["c"], "RUN", "CPU_PERCENT", 0).limit(&["c"], "RUN", "WALL_MS", 5000);
        let server = Server::start(&settings);
        let host = Host::of(&server, Process::child_of(server.pid()));
        let watch = Watch::over(&server);
        let mut walk = Self { server, host, watch, before: BTreeMap::new() };
        // The compiler has its turn now: what follows is a launch for the run alone.
        for _ in 0..2 {
            assert_eq!(walk.wrong(&walk.job()), "", "before anything fails");
        }
        walk.before = walk.watch.counts();
        walk
    }

    fn job(&self) -> Seen {
        let client = self.server.client();
        let id = client.submit("c", PROGRAM, None);
        client.finish(&id, Instant::now() + Duration::from_secs(60)).unwrap_or_else(|why| panic!("{why}"))
    }

    /// What a program that ran has to say against its confinement.
    fn wrong(&self, seen: &Seen) -> String {
        if seen.state() != "completed" {
            return format!("it ended with {}", seen.result);
        }
        Allowed::of("c").compare(&self.host, seen.output())
    }

    /// One call fails; what is wrong with what comes of it.
    fn step(&mut self, injector: &mut Injector, call: &str) -> Result<Outcome, String> {
        let (failed, seen) = injector.fail(call, || self.job());
        let told = seen.output().starts_with("Internal error: ") || NOT_EXECUTABLE == (call, seen.output());
        if !told {
            let wrong = self.wrong(&seen);
            let [made, seen] = GONE_ON_WITHOUT;
            if !(wrong.is_empty() || call.starts_with(made) && wrong.contains(seen) && wrong.lines().count() == 3) {
                return Err(wrong);
            }
        }
        if BY_THE_RUNTIME.iter().any(|of_its| call.starts_with(of_its)) {
            self.before = self.watch.counts();
        }
        let left = self.watch.more_than(&self.before, Duration::from_secs(1));
        if !left.is_empty() {
            // Told once.
            self.before = self.watch.counts();
            return Err(format!("left behind: {left:?}"));
        }
        Ok(if told {
            Outcome::Told
        } else if failed {
            Outcome::DoneWithout
        } else {
            Outcome::NotMade
        })
    }
}

/// Of calls that are made many times some will do. No step of a launch are the check of the standard library's that a
/// descriptor is open (F_GETFD in builds with assertions), and how the runtime is loaded, which can only fail as a whole.
fn worth_it(call: &str) -> bool {
    let (name, number) = call.rsplit_once(" (").unwrap_or((call, ""));
    let number: u32 = number.trim_end_matches(')').parse().expect("how often");
    let check = name.contains(" fcntl ") && name.ends_with(" 1");
    let loaded = name.starts_with("runtime ")
        && ["/lib", "/usr/lib", "/etc/ld.so"].iter().any(|at| name.contains(&format!(" {at}")));
    !check && !loaded && (number <= 2 || number.is_multiple_of(5))
}

/// Every `every`-th call of a launch fails; with `CMTEST_EVERY_CALL=1` each, which takes minutes.
fn calls_of_a_launch_fail_once(runtime: Runtime, every: usize, least: usize) {
    needs!(Need::Sandbox(runtime), Need::Root, Need::Python);
    if cfg!(not(target_arch = "x86_64")) {
        return; // The tracer knows the registers of no other.
    }
    let mut walk = Walk::begin(runtime);
    let mut injector = Injector::over(&walk.server);
    let calls: Vec<_> = injector.record(|| drop(walk.job())).into_iter().filter(|call| worth_it(call)).collect();
    let every = if std::env::var_os("CMTEST_EVERY_CALL").is_some_and(|value| value == "1") { 1 } else { every };
    let began = Instant::now();
    let (mut outcomes, mut wrong) = (BTreeMap::<Outcome, Vec<&str>>::new(), String::new());
    for call in calls.iter().step_by(every) {
        let at = Instant::now();
        let done = walk.step(&mut injector, call);
        println!("{:?} {call}: {done:?}", at.elapsed());
        match done {
            Ok(outcome) => outcomes.entry(outcome).or_default().push(call),
            Err(why) => wrong += &format!("{call}: {why}\n"),
        }
    }
    println!("{runtime:?}: {} calls of {} in {:?}", calls.len().div_ceil(every), calls.len(), began.elapsed());
    assert!(wrong.is_empty(), "{wrong}");
    let told = outcomes.get(&Outcome::Told).map_or(0, Vec::len);
    assert!(told >= least, "only {told} calls made a job end by us");
    drop(injector);
    assert_eq!(walk.wrong(&walk.job()), "", "after everything has failed");
}

mod under_crun {
    #[test]
    fn slow_calls_of_a_launch_fail_once() {
        super::calls_of_a_launch_fail_once(crate::support::Runtime::Crun, 3, 30);
    }
}

mod under_runc {
    #[test]
    fn slow_calls_of_a_launch_fail_once() {
        super::calls_of_a_launch_fail_once(crate::support::Runtime::Runc, 10, 20);
    }
}
