//! What a program may find out, a list for each language and step in `allowed/`. What differs from run to run, from
//! runtime to runtime or from host to host is taken out first, and by no more than it may differ.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use crate::snooper::secrets;
use crate::support::process::Process;
use crate::support::{Server, account, scale};

/// Of the lines of a list, so many must be seen: a dumper that sees nothing finds no leak.
const LEAST_SEEN: f64 = 0.6;

/// Where the stage may be.
const PLACES: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];

/// What a dump is compared with.
pub struct Host {
    release: String,
    version: String,
    memory: String,
    limits: BTreeSet<String>,
    lent: Vec<(u32, u32)>,
    own: BTreeSet<String>,
    service: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

/// The names of the namespaces that a process is in.
fn namespaces(process: &str) -> BTreeSet<String> {
    let dir = fs::read_dir(format!("/proc/{process}/ns")).expect("its namespaces");
    dir.flatten().filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect()
}

impl Host {
    pub fn of(server: &Server, service: Process) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let memory = read("/proc/meminfo");
        let kib: u64 = memory.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("MemTotal");
        Self {
            release: read("/proc/sys/kernel/osrelease"),
            version: read("/proc/sys/kernel/version"),
            memory: (kib * 1024).to_string(),
            limits: limits(service),
            lent: account::lent_ids(),
            own: namespaces("self"),
            service: namespaces(&service.id().to_string()),
            secrets: secrets(server),
        }
    }

    /// A line as the list has it; `None` for one that tells nothing.
    fn plain(&self, line: &str) -> Option<String> {
        let line = line.replace(&self.release, "<the kernel's>").replace(&self.version, "<the kernel's>");
        let (kind, fact) = line.split_once(": ").unwrap_or((&line, ""));
        let fact = match kind {
            "path" => path(fact)?,
            "clock" => clock(fact)?,
            "sysinfo" => match fact.split_once(' ')? {
                ("uptime", _) => "uptime <the host's>".to_owned(),
                ("memory", bytes) if bytes == self.memory => "memory <the host's>".to_owned(),
                _ => fact.to_owned(),
            },
            "processors" => "<the host's>".to_owned(),
            "namespace" => self.namespace(fact),
            "open" => digits_after(fact, "pipe:["),
            "interpreter" => interpreter(fact),
            "map" => library(fact).to_owned(),
            "self/mountinfo" => self.mount(fact),
            "self/uid_map" | "self/gid_map" | "self/projid_map" => id_map(fact),
            "self/cgroup" => fact.rsplit_once(':').map(|(_, path)| format!("<a hierarchy>:{path}"))?,
            "self/autogroup" => digits_after(fact, "autogroup-"),
            "self/net/unix" => fact.split_whitespace().nth(7).unwrap_or("<without a name>").to_owned(),
            "self/net/netlink" => format!("family {}", fact.split_whitespace().nth(1)?),
            "self/status" | "init/status" => status(fact)?,
            "ids" => ids(fact),
            "statfs" => statfs(fact),
            "limit" => self.limit(fact),
            _ => fact.to_owned(),
        };
        Some(format!("{kind}: {fact}").trim_end().to_owned())
    }

    fn namespace(&self, fact: &str) -> String {
        let (name, target) = fact.split_once(' ').unwrap_or((fact, ""));
        let whose = match target {
            target if self.own.contains(target) => "the host's",
            target if self.service.contains(target) => "the service's",
            target if target.contains(":[") => "its own",
            other => other,
        };
        format!("{name} {whose}")
    }

    /// Numbers of mounts and file systems say nothing; an id of the host's may be a lent one; what a device file lies in is
    /// the host's.
    fn mount(&self, fact: &str) -> String {
        let mut words: Vec<String> = fact.split(' ').map(str::to_owned).collect();
        for word in words.iter_mut().take(3) {
            "<n>".clone_into(word);
        }
        let host = words.iter().any(|word| word == "devtmpfs")
            || words.get(4).is_some_and(|at| at.starts_with("/dev/") && at != "/dev/shm");
        if host {
            return format!("{} <the host's>", words[..5].join(" "));
        }
        let (overlay, code) =
            (words.iter().any(|word| word == "overlay"), words.get(4).is_some_and(|at| at == "/code"));
        let Some(options) = words.last_mut() else { return String::new() };
        let lent = |id: u32| self.lent.iter().any(|(first, count)| id >= *first && id - first < *count);
        let each = options.split(',').filter_map(|option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "uid" | "gid" if value.parse().is_ok_and(lent) => Some(format!("{name}=<lent>")),
                "size" | "nr_inodes" if code => Some(format!("{name}=<the program's>")),
                "lowerdir" => Some(PLACES.iter().fold(option.to_owned(), |all, place| all.replace(place, "<stage>"))),
                "inode64" | "inode32" => None,
                // How overlays are made is up to the kernel's settings.
                _ if overlay && !["ro", "rw"].contains(&name) => None,
                _ => Some(option.to_owned()),
            }
        });
        *options = each.collect::<Vec<_>>().join(",");
        words.join(" ")
    }

    /// What the service was started with and hands on.
    fn limit(&self, fact: &str) -> String {
        if let Some(seconds) = fact.strip_prefix("0 ").and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok()) {
            // Stretched where the machine is slow, but for the second on top of it.
            let seconds = (seconds - 1) / scale::factor() + 1;
            return format!("0 {seconds} {seconds}");
        }
        // Under a hard limit of 0, as sudo sets it, a job cannot have the 1 that it is to have.
        if fact == format!("{RLIMIT_CORE} 0 0") && self.limits.contains(fact) {
            return format!("{RLIMIT_CORE} 1 1");
        }
        let handed_on = [RLIMIT_NPROC, RLIMIT_MEMLOCK].iter().any(|kind| fact.starts_with(&format!("{kind} ")));
        if handed_on && self.limits.contains(fact) {
            format!("{} <the service's>", fact.split(' ').next().unwrap_or_default())
        } else {
            fact.to_owned()
        }
    }
}

/// getrlimit(2), as Linux numbers them nearly everywhere.
const RLIMIT_CORE: u32 = 4;
const RLIMIT_NPROC: u32 = 6;
const RLIMIT_MEMLOCK: u32 = 8;

/// The limits of a process that are handed on, as the dumper writes them.
fn limits(service: Process) -> BTreeSet<String> {
    let table = fs::read_to_string(format!("/proc/{}/limits", service.id())).expect("its limits");
    let line = |(name, kind): (&str, u32)| {
        let values = table.lines().find_map(|line| line.strip_prefix(name))?;
        let mut values = values.split_whitespace().map(|value| if value == "unlimited" { "-1" } else { value });
        Some(format!("{kind} {} {}", values.next()?, values.next()?))
    };
    [("Max core file size", RLIMIT_CORE), ("Max processes", RLIMIT_NPROC), ("Max locked memory", RLIMIT_MEMLOCK)]
        .into_iter()
        .filter_map(line)
        .collect()
}

/// What the kernel shows to a process of its own self is the kernel's choice; of the init and of any other it counts what
/// can be had.
fn path(fact: &str) -> Option<String> {
    let at = fact.split(' ').nth(3)?;
    let mut parts = at.trim_start_matches('/').split('/');
    let (Some("proc"), Some(pid)) = (parts.next(), parts.next()) else { return Some(fact.to_owned()) };
    if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(digits_after(&digits_after(fact, "-> "), "task/"));
    }
    let words: Vec<_> = fact.split(' ').collect();
    let name: Vec<_> = parts.collect();
    // A process that hides itself is nobody's (proc(5), dumpable); its own directory is not.
    let whose = match (pid, words[1]) {
        ("1", _) => "<init>",
        (_, "1000:1000") => return (name.is_empty()).then(|| "<a process of its own>".to_owned()),
        _ => return name.is_empty().then(|| format!("<another process> {fact}")),
    };
    let had = words[2] != "--" || words.len() > 4 && !fact.ends_with("EACCES");
    // Security modules have files there that any process may read, each its own.
    (had && name.first() != Some(&"attr") && name.first() != Some(&"task") && name.first() != Some(&"net"))
        .then(|| format!("{} /proc/{whose}/{}", words[2], name.join("/")))
}

/// Versions are the image's.
fn interpreter(fact: &str) -> String {
    match fact.split_once(' ') {
        Some(("property", property))
            if property.split(' ').next().is_some_and(|name| name.contains("version"))
                && !property.starts_with("os.") =>
        {
            format!("property {}", property.split(' ').next().unwrap_or_default())
        }
        Some(("map", name)) => format!("map {}", library(name)),
        _ => ["pipe:[", "socket:[", "/proc/"].iter().fold(fact.to_owned(), |text, before| digits_after(&text, before)),
    }
}

/// Files of the image by their kind alone.
fn library(name: &str) -> &str {
    let image = ["/usr/", "/lib/", "/lib64/"].iter().any(|place| name.starts_with(place));
    let kernel = name.starts_with("[v");
    if image {
        "<the image's>"
    } else if kernel {
        "<the kernel's>"
    } else {
        name
    }
}

/// Digits right behind `before` are `<n>`.
fn digits_after(text: &str, before: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(before) {
        let (head, tail) = rest.split_at(at + before.len());
        out += head;
        let tail = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        out += "<n>";
        rest = tail;
    }
    out + rest
}

/// A clock that counts from the start of the machine tells when that was.
fn clock(fact: &str) -> Option<String> {
    let (name, seconds) = fact.split_once(' ')?;
    let Ok(seconds) = seconds.parse::<i64>() else { return Some(fact.to_owned()) };
    let up = fs::read_to_string("/proc/uptime").ok()?.split('.').next()?.parse().ok()?;
    let host = match name {
        "realtime" | "realtime_coarse" => {
            i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?
        }
        "monotonic" | "monotonic_raw" | "monotonic_coarse" | "boottime" => up,
        _ => return Some(format!("{name} its own")),
    };
    Some(format!("{name} {}", if (host - seconds).abs() < 600 { "the host's" } else { "another" }))
}

/// Ids of the service's user namespace, which are numbers of blocks.
fn id_map(fact: &str) -> String {
    let words: Vec<_> = fact.split_whitespace().collect();
    match words[..] {
        [inside, outside, count] if outside.parse().is_ok_and(|id: u32| (1..=65_536).contains(&id)) => {
            format!("{inside} <block> {count}")
        }
        _ => words.join(" "),
    }
}

/// Sizes and counts of a process are its own affair; so is what the processor is like.
fn status(fact: &str) -> Option<String> {
    let (name, value) = fact.split_once(':')?;
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    // Asleep or not, or being traced by a test.
    let counted =
        name == "State" || name.starts_with("Vm") || name.starts_with("Rss") || name.ends_with("ctxt_switches");
    let machine = ["Speculation", "x86_", "untag_mask", "Cpus_", "Mems_", "THP_", "Hugetlb", "CoreDumping"];
    if counted || machine.iter().any(|one| name.starts_with(one)) {
        return None;
    }
    Some(match name {
        "Tgid" | "Pid" | "PPid" | "NStgid" | "NSpid" | "NSpgid" | "NSsid" | "FDSize" | "Ngid" | "Threads"
        | "Kthread" => {
            format!("{name}: {}", if value.split(' ').count() == 1 { "<n>" } else { &value })
        }
        "SigQ" => format!("{name}: {}", value.split_once('/').map_or("", |(_, most)| most)),
        _ => format!("{name}: {value}"),
    })
}

/// A few processes of one's own.
fn ids(fact: &str) -> String {
    let small = |word: &str| word.parse::<u32>().is_ok_and(|n| (1..200).contains(&n));
    let words: Vec<_> = fact.split(' ').collect();
    let at = |at: usize| if small(words[at]) && at < 8 { "<n>" } else { words[at] };
    (0..words.len()).map(at).collect::<Vec<_>>().join(" ")
}

/// How large the image's own file system is, and that of the host's device files, is the host's affair.
fn statfs(fact: &str) -> String {
    let words: Vec<_> = fact.split(' ').collect();
    if words[0] == "/code" && words[2] == "1021994" {
        return format!(
            "{} type {} size <the program's> inodes <the program's> {}",
            words[0],
            words[2],
            words[7..].join(" ")
        );
    }
    if words[0] == "/dev/null" {
        return format!("{} type {} <the host's>", words[0], words[2]);
    }
    fact.to_owned()
}

/// A list.
pub struct Allowed {
    path: PathBuf,
    lines: BTreeSet<String>,
}

impl Allowed {
    pub fn of(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/isolation/allowed/{name}.txt"));
        let lines = fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
        Self { path, lines }
    }

    /// What is wrong with a dump, a line for each.
    pub fn compare(&self, host: &Host, dump: &str) -> String {
        let seen: BTreeSet<String> = dump.lines().filter_map(|line| host.plain(line)).collect();
        let name = self.path.file_name().unwrap_or_default().display();
        let mut wrong = String::new();
        for secret in &host.secrets {
            for line in dump.lines().filter(|line| line.contains(secret.as_str())) {
                let _ = writeln!(wrong, "{name}: {secret:?} in {line}");
            }
        }
        if env::var_os("UPDATE_SNOOP").is_some_and(|value| value == "1") {
            let all: Vec<_> = self.lines.union(&seen).cloned().collect();
            fs::write(&self.path, all.join("\n") + "\n").expect("the list");
            return wrong;
        }
        for line in seen.difference(&self.lines) {
            let _ = writeln!(wrong, "{name}: not on the list: {line}");
        }
        let kinds = |lines: &BTreeSet<String>| -> BTreeSet<String> {
            lines.iter().filter_map(|line| line.split_once(':')).map(|(kind, _)| kind.to_owned()).collect()
        };
        let blind: Vec<_> = kinds(&self.lines).difference(&kinds(&seen)).cloned().collect();
        let part = seen.intersection(&self.lines).count() as f64 / self.lines.len().max(1) as f64;
        if !blind.is_empty() || part < LEAST_SEEN {
            let _ = writeln!(wrong, "{name}: the dump is not whole: nothing of {blind:?}, {part:.2} of the list");
        }
        wrong
    }
}
