//! A configuration in words: each part, its values as they stand there, and why it is so. Made from the `Spec` itself: a
//! part that has no reason here is shown as such, and a test fails for it.

use std::fmt::Write as _;

use oci_spec::runtime::Spec;
use serde_json::Value;

use crate::model::{CODE_PATH, Limits};

/// What stands for a reason that nobody has written down.
const NO_REASON: &str = "(no reason is written down)";

/// The parts of `spec`, with those limits of the step that no field of it holds.
#[must_use]
pub fn explain(spec: &Spec, limits: &Limits) -> String {
    let Ok(value) = serde_json::to_value(spec) else { return String::new() };
    let mut page = Page(String::new());
    page.process(&value["process"]);
    page.ids(&value);
    page.namespaces(&value["linux"]["namespaces"]);
    page.files(&value);
    page.limits(&value, limits);
    page.filter(&value);
    page.absent(&value);
    page.0
}

struct Page(String);

impl Page {
    fn title(&mut self, title: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "{gap}{title}");
    }

    fn part(&mut self, what: &str, why: &str) {
        let _ = writeln!(self.0, "  {what}\n      {why}");
    }

    fn process(&mut self, process: &Value) {
        self.title("The process");
        let args: Vec<&str> = strings(&process["args"]);
        let why = match args.get(1) {
            Some(&"warm") => {
                "Process 1 is casemate's init. It starts this command at once, which then waits on file descriptor 4 for the \
                 one job that it will ever serve."
            }
            Some(&"wait") => {
                "Process 1 is casemate's init. It starts nothing before it is told to on file descriptor 4; the word may bring \
                 another command. It reports how the program ended on file descriptor 3."
            }
            _ => NO_REASON,
        };
        self.part(&format!("args: {}", args.join(" ")), why);
        self.part(
            &format!("env: {}", strings(&process["env"]).join(" ")),
            "The whole environment: nothing of the service's own is passed on.",
        );
        self.part(&format!("cwd: {}", text(&process["cwd"])), "Where the files of a job lie.");
        self.part(
            &format!("terminal: {}", process["terminal"]),
            "No terminal: nothing can be typed into the service's own, and no console is made.",
        );
        self.part(
            &format!("noNewPrivileges: {}", process["noNewPrivileges"]),
            "No setuid program and no file capability gives anything back (PR_SET_NO_NEW_PRIVS).",
        );
        let sets: Vec<String> = process["capabilities"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(set, held)| {
                let held = strings(held);
                format!("{set} {}", if held.is_empty() { "none".to_owned() } else { held.join(" ") })
            })
            .collect();
        self.part(
            &format!("capabilities: {}", sets.join(", ")),
            "Not even root of the container could do what root can.",
        );
    }

    fn ids(&mut self, value: &Value) {
        self.title("Who it is");
        let user = &value["process"]["user"];
        let groups = user["additionalGids"].as_array().map_or(0, Vec::len);
        self.part(
            &format!("user: uid {}, gid {}, {groups} further groups", user["uid"], user["gid"]),
            "An ordinary user even inside.",
        );
        for kind in ["uidMappings", "gidMappings"] {
            let maps = value["linux"][kind].as_array().into_iter().flatten();
            let maps: Vec<String> = maps
                .map(|map| {
                    format!(
                        "{} inside is {} of the service's namespace ({} id)",
                        map["containerID"], map["hostID"], map["size"]
                    )
                })
                .collect();
            self.part(
                &format!("{kind}: {}", maps.join("; ")),
                "Two subordinate ids that no other live container and no account of the host has. The files of the image \
                 belong to neither.",
            );
        }
        self.part(
            &format!("hostname: {}", text(&value["hostname"])),
            "The same for everybody: the host's name is not told.",
        );
    }

    fn namespaces(&mut self, namespaces: &Value) {
        self.title("Namespaces, each made anew for this container");
        for namespace in namespaces.as_array().into_iter().flatten() {
            let kind = text(&namespace["type"]);
            let why = match kind {
                "user" => "Its root is nobody outside.",
                "mount" => "It sees the mounts below and no others.",
                "pid" => "It sees and signals its own processes only; when process 1 ends, the kernel ends the rest.",
                "network" => "A loopback interface that is down, and no route: not even to the service's own port.",
                "ipc" => "Its own System V objects and POSIX queues, gone with it.",
                "uts" => "Its own host name.",
                "cgroup" => "The path of its cgroup is not told.",
                _ => NO_REASON,
            };
            self.part(kind, why);
        }
        self.part("(not time)", "A time namespace would change what clocks say.");
    }

    fn files(&mut self, value: &Value) {
        self.title("What it sees of files");
        let root = &value["root"];
        self.part(
            &format!("/ from {}, readonly: {}", text(&root["path"]), root["readonly"]),
            "The language's image with the init laid over it, an overlay that no other live container uses: nothing to write, \
             and no file that two jobs could lock or watch.",
        );
        for mount in value["mounts"].as_array().into_iter().flatten() {
            let (place, options) = (text(&mount["destination"]), strings(&mount["options"]));
            let bind = options.contains(&"bind");
            let why = match place {
                "/proc" if options.contains(&"subset=pid") => {
                    "Its own processes and nothing else of /proc: all the rest tells of the host. So there is nothing to mask. \
                     Read-only: some of what a process may write of itself counts for the whole machine."
                }
                "/dev" => {
                    "The few device files that a runtime makes (null, zero, full, random, urandom, tty), as the service sees them: \
                     read-only, so that no job leaves marks in their times. Only root of the container, which no process is, may \
                     write there."
                }
                "/dev/shm" => "POSIX shared memory and semaphores. Bounded, empty at the start, counted as memory.",
                "/tmp" => "Where a run can write files, with /dev/shm. Bounded, empty at the start, counted as memory.",
                "/code" if options.contains(&"rw") => {
                    "The program, with every file that it was submitted with: the service writes them from outside before the \
                     word to begin. A compile step writes its result here; a tmpfs, bounded as /tmp is."
                }
                "/code" => {
                    "The program, with every file that it was submitted with, or what its compile step has left: the service writes \
                     them from outside before the word to begin. Read-only in a run; a tmpfs, bounded as /tmp is."
                }
                _ if bind && options.contains(&"ro") => {
                    "A file of the kit by which this command can be started before its job is known, laid over one of the image."
                }
                _ => NO_REASON,
            };
            let (kind, source) = (text(&mount["type"]), text(&mount["source"]));
            let from = if bind { format!(" from {source}") } else { format!(": {kind}") };
            self.part(&format!("{place}{from} ({})", options.join(", ")), why);
        }
        let code = |mount: &Value| mount["destination"] == CODE_PATH;
        if !value["mounts"].as_array().into_iter().flatten().any(code) {
            self.part(
                "(nothing on /code)",
                "The program comes with the word to begin, and /code is the image's own, empty and read-only. A submission of \
                 several files has them there (`--files`).",
            );
        }
    }

    fn limits(&mut self, value: &Value, limits: &Limits) {
        self.title("Limits of each process");
        for limit in value["process"]["rlimits"].as_array().into_iter().flatten() {
            let kind = text(&limit["type"]);
            let why = match kind {
                "RLIMIT_CORE" if limit["hard"] == 0 => {
                    "No core file. The service itself may have no more, and crashes start no program on this host."
                }
                "RLIMIT_CORE" => "One byte: no core file, and no helper program of the host's is started for a crash.",
                "RLIMIT_CPU" => "Seconds; five above the group's limit, so that it never fires first.",
                "RLIMIT_FSIZE" => "Bytes of one file.",
                "RLIMIT_NOFILE" => "Open files.",
                "RLIMIT_NICE" => "No priority above the usual one.",
                "RLIMIT_RTPRIO" => "No real-time priority.",
                "RLIMIT_STACK" => "Bytes of the main thread's stack.",
                _ => NO_REASON,
            };
            self.part(&format!("{kind}: {}, soft and hard", limit["hard"]), why);
        }
        self.title("Limits of the whole container");
        let resources = &value["linux"]["resources"];
        let by = if resources.is_null() {
            "not in this file: on cgroup v1 the service sets it, and reads it back before the program starts"
        } else {
            "linux.resources; the service reads it back before the program starts"
        };
        let share =
            limits.cpu_share.map_or("no throttle".to_owned(), |share| format!("{} % of one processor", share.0));
        self.part(&format!("memory: {} bytes, swap included", limits.memory), by);
        self.part(&format!("processes and threads: {}, and one for the init", limits.pids.0), by);
        self.part(&format!("processor share: {share}"), by);
        self.part(
            &format!("processor time: {} s", limits.cpu_time.0 / 1_000_000),
            "The service looks at the cgroup's count and ends the container.",
        );
        self.part(&format!("wall-clock time: {} s", limits.wall), "The service's own clock; SIGKILL to process 1.");
        self.part(
            &format!("output: {} bytes kept", limits.output),
            "The service drains both streams and ends who goes on.",
        );
        if let Some(path) = value["linux"]["cgroupsPath"].as_str() {
            self.part(
                &format!("cgroupsPath: {path}"),
                "Below the subtree that was handed to the service. Never empty: crun drops limits then.",
            );
        }
    }

    fn filter(&mut self, value: &Value) {
        self.title("System calls");
        let filter = &value["linux"]["seccomp"];
        let rules = filter["syscalls"].as_array().map_or(&[][..], Vec::as_slice);
        let names = |action: &str| {
            let of = rules.iter().filter(|rule| rule["action"] == action);
            of.flat_map(|rule| strings(&rule["names"])).collect::<std::collections::BTreeSet<_>>().len()
        };
        self.part(
            &format!("default: {} {}", text(&filter["defaultAction"]), filter["defaultErrnoRet"]),
            "What no rule names looks unknown (38, ENOSYS), so that programs fall back as on an older kernel.",
        );
        self.part(
            &format!("architectures: {}", strings(&filter["architectures"]).join(" ")),
            "The native ABI alone: whoever calls through another table is ended.",
        );
        self.part(
            &format!("{} names allowed, some with certain arguments only", names("SCMP_ACT_ALLOW")),
            "`casemate seccomp show PROFILE` has each with its reason.",
        );
        self.part(
            &format!("{} names refused with EPERM", names("SCMP_ACT_ERRNO")),
            "`casemate seccomp explain SYSCALL` names the attack, and the test that shows it.",
        );
        self.part(
            "compiled once, under crun",
            "crun compiles these rules for the first container of a profile. Later ones are handed the result (annotation \
             run.oci.seccomp_bpf_data), and no rules beside it: should that not be taken, nothing would be allowed.",
        );
    }

    fn absent(&mut self, value: &Value) {
        self.title("What is not there");
        let linux = &value["linux"];
        for (name, there, why) in [
            ("hooks", value.get("hooks"), "No program of the host's runs at any point of a container's life."),
            ("devices", linux.get("devices"), "None beyond those that every runtime makes."),
            ("maskedPaths", linux.get("maskedPaths"), "Nothing is in /proc or /sys that would have to be hidden."),
            ("readonlyPaths", linux.get("readonlyPaths"), "Nothing is in /proc or /sys that could be written."),
        ] {
            let what = there.map_or_else(|| format!("{name}: none"), |value| format!("{name}: {value}"));
            self.part(&what, if there.is_some() { NO_REASON } else { why });
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;
    use crate::bundle::{Ids, Plan, Started, spec};
    use crate::language::{Ahead, Languages};
    use crate::seccomp::Profiles;

    /// One configuration, and what it was made of.
    pub(in crate::bundle) struct Made {
        pub(in crate::bundle) name: String,
        pub(in crate::bundle) spec: Spec,
        pub(in crate::bundle) limits: Limits,
        pub(in crate::bundle) profile: String,
    }

    /// The configuration of every language and step, warm and not, on cgroup v1 and v2.
    pub(in crate::bundle) fn every_spec() -> Vec<Made> {
        let mut all = Vec::new();
        for language in Languages::load(None).unwrap().iter() {
            let compile = language.compile_ahead().map(|ahead| (ahead, language.compile_limits().unwrap(), true));
            for (ahead, limits, writable) in
                compile.into_iter().chain([(language.run_ahead(), language.run_limits(), false)])
            {
                for cold in [false, true] {
                    let mut ahead = ahead.clone();
                    if cold {
                        ahead.cool();
                    }
                    for (version, cgroup) in [("v1", None), ("v2", Some("/jobs/c1"))] {
                        let step = if writable { "compile" } else { "run" };
                        all.push(Made {
                            name: format!("{} {step}{} on {version}", language.name, if cold { " cold" } else { "" }),
                            spec: one(&ahead, limits, writable, cgroup),
                            limits: limits.clone(),
                            profile: ahead.profile.clone(),
                        });
                    }
                }
            }
        }
        all
    }

    fn one(ahead: &Ahead, limits: &Limits, writable: bool, cgroup: Option<&str>) -> Spec {
        let Started { begin, argv, binds, start_up } = Started::of(ahead, Path::new("/stage/kits"));
        let plan = Plan {
            begin,
            argv,
            env: &ahead.env,
            cwd: &ahead.cwd,
            limits,
            start_up,
            core: 1,
            seccomp: Profiles::load(None).unwrap().get(&ahead.profile).unwrap().to_oci().unwrap(),
            compiled_filter: None,
            rootfs: Path::new("/stage/roots/1"),
            code: Some(Path::new("/stage/jobs/c1/code")),
            code_writable: writable,
            binds: &binds,
            ids: Ids { root: 1, job: 2 },
            cgroup,
        };
        spec(&plan).unwrap()
    }

    #[test]
    fn every_part_of_every_configuration_has_its_reason() {
        for Made { name: language, spec, limits, .. } in every_spec() {
            let said = explain(&spec, &limits);
            assert!(!said.contains(NO_REASON), "{language}:\n{said}");
            // Each value that the file has and that decides something is in the text.
            let value = serde_json::to_value(&spec).unwrap();
            for mount in value["mounts"].as_array().unwrap() {
                assert!(said.contains(mount["destination"].as_str().unwrap()), "{language}: {mount}");
                for option in strings(&mount["options"]) {
                    assert!(said.contains(option), "{language}: {option}");
                }
            }
            for limit in value["process"]["rlimits"].as_array().unwrap() {
                assert!(said.contains(&format!("{}: {}", text(&limit["type"]), limit["hard"])), "{language}: {limit}");
            }
            for namespace in value["linux"]["namespaces"].as_array().unwrap() {
                assert!(said.contains(&format!("\n  {}\n", text(&namespace["type"]))), "{language}: {namespace}");
            }
        }
    }

    #[test]
    fn what_is_new_is_not_passed_over() {
        let Made { mut spec, limits, .. } = every_spec().remove(0);
        let mut mounts = spec.mounts().clone().unwrap();
        mounts[0].set_destination("/sys".into());
        spec.set_mounts(Some(mounts));
        assert!(explain(&spec, &limits).contains(NO_REASON));
    }
}
