//! `casemate serve` as a child: started on a home of its own, watched until it listens, ended with its log at hand.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::guard::Guard;
use super::machine::Place;
use super::{Client, Runtime, Settings, account, scale};

/// A cold start probes every limit for real, on a machine that may be busy.
const START: Duration = Duration::from_secs(30);
/// More than running jobs are given to finish in.
const STOP: Duration = Duration::from_secs(30);

/// A running server. Dropping it ends it; the log is printed when the test is failing.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    guard: Guard,
    /// Every address that it said it listens on.
    pub addresses: Vec<SocketAddr>,
    home: Option<TempDir>,
    logs: TempDir,
    _place: Place,
}

/// A start that did not end in listening.
#[derive(Debug)]
pub struct NotStarted {
    /// Its exit status; `None` when it was still running at the deadline.
    pub status: Option<ExitStatus>,
    /// Everything it printed.
    pub log: String,
}

impl Server {
    /// The server with default settings under `runtime` that all tests of this process share.
    pub fn shared(runtime: Runtime) -> &'static Self {
        static SERVERS: [OnceLock<Server>; 2] = [OnceLock::new(), OnceLock::new()];
        SERVERS[runtime as usize].get_or_init(|| Self::start(&Settings::new(runtime)))
    }

    /// Starts and waits until it listens. Panics with its log when it does not.
    pub fn start(settings: &Settings) -> Self {
        Self::start_in(settings, Place::shared())
    }

    /// The same for a test that has the machine for itself.
    pub fn start_in(settings: &Settings, place: Place) -> Self {
        match Self::try_start(settings, place) {
            Ok(server) => server,
            Err(failed) => panic!("the server did not start ({:?}); its log:\n{}", failed.status, failed.log),
        }
    }

    /// Starts on the home that another one has left.
    pub fn start_at(settings: &Settings, home: TempDir) -> Self {
        match Self::try_start_at(settings, &[], Place::shared(), home) {
            Ok(server) => server,
            Err(failed) => panic!("the server did not start again ({:?}); its log:\n{}", failed.status, failed.log),
        }
    }

    /// Starts and waits until it listens or ends.
    pub fn try_start(settings: &Settings, place: Place) -> Result<Self, NotStarted> {
        Self::try_start_with(settings, &[], place)
    }

    /// The same with arguments of the command line.
    pub fn try_start_with(settings: &Settings, arguments: &[&str], place: Place) -> Result<Self, NotStarted> {
        Self::try_start_at(settings, arguments, place, account::directory("home"))
    }

    /// The same on this home.
    pub fn try_start_at(
        settings: &Settings,
        arguments: &[&str],
        place: Place,
        home: TempDir,
    ) -> Result<Self, NotStarted> {
        let logs = account::directory("log");
        let log = fs::File::create(logs.path().join("log")).expect("a file for the log");
        let mut command = settings.command(home.path());
        command.arg("serve").args(arguments).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a second handle of the log")).stderr(log);
        let mut child = command.spawn().expect("the binary under test");
        let guard = Guard::over(child.id(), place.file(), &[home.path(), logs.path()]);
        let deadline = Instant::now() + scale::patience(START);
        let (addresses, status) = loop {
            // Asked before the log is read, so that the last words of one that ended are not missed.
            let ended = child.try_wait().expect("the state of the server");
            let addresses = listening(&read(&logs));
            if !addresses.is_empty() || ended.is_some() || Instant::now() > deadline {
                break (addresses, ended);
            }
            thread::sleep(Duration::from_millis(5));
        };
        let mut server = Self { child: Some(child), guard, addresses, home: Some(home), logs, _place: place };
        if server.addresses.is_empty() || status.is_some() {
            let log = server.log();
            server.end(Signal::SIGKILL);
            return Err(NotStarted { status, log });
        }
        // The second address is announced right after the first; without IPv6 there is none to wait for.
        let patience = if TcpListener::bind("[::1]:0").is_ok() { 500 } else { 0 };
        let second = Instant::now() + scale::patience(Duration::from_millis(patience));
        while server.addresses.len() < 2 && Instant::now() < second {
            thread::sleep(Duration::from_millis(5));
            server.addresses = listening(&server.log());
        }
        Ok(server)
    }

    /// A client of its first address.
    pub fn client(&self) -> Client {
        Client::new(self.addresses[0])
    }

    /// The process that was started: the outer one.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// The directory that it keeps everything in.
    pub fn home(&self) -> &Path {
        self.home.as_ref().expect("a server that was not left").path()
    }

    /// Ends it with `signal`; the home stays for another one.
    pub fn leave(mut self, signal: Signal) -> TempDir {
        self.end(signal);
        self.home.take().expect("a server that was not left")
    }

    /// Everything it has printed.
    pub fn log(&self) -> String {
        read(&self.logs)
    }

    /// The lines of the log that name `id`.
    pub fn log_of(&self, id: &str) -> String {
        self.log().lines().filter(|line| line.contains(id)).map(|line| format!("      {line}\n")).collect()
    }

    /// SIGTERM, and its exit status.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.end(Signal::SIGTERM)
    }

    /// `signal` to the outer process, and its exit status. SIGKILL follows when it does not end.
    pub fn end(&mut self, signal: Signal) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        let _ = kill(pid, signal);
        let deadline = Instant::now() + scale::patience(STOP);
        let status = loop {
            match child.try_wait().expect("the state of the server") {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        self.guard.dismiss();
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.child.is_none() || self.end(Signal::SIGTERM).is_some();
        if !ended && !thread::panicking() {
            panic!("the server did not end after SIGTERM; its log:\n{}", self.log());
        }
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            println!("--- the last lines of the server's log");
            println!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

fn read(logs: &TempDir) -> String {
    String::from_utf8_lossy(&fs::read(logs.path().join("log")).unwrap_or_default()).into_owned()
}

/// The addresses of all whole lines that announce one, in either form of the log.
fn listening(log: &str) -> Vec<SocketAddr> {
    let whole = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
    let announced = whole.lines().filter(|line| line.contains("[HTTP]"));
    let announced = announced.filter_map(|line| line.split("listening on http://").nth(1));
    announced.filter_map(|rest| rest.split(['"', '\r', '\n']).next()?.trim().parse().ok()).collect()
}
