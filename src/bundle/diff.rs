//! What one configuration leaves open that another does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::surface::{Mounted, Surface};
use crate::seccomp::compare;

/// Lines for each of two configurations: what it leaves open and the other does not.
#[derive(Debug, Default)]
struct Open([Vec<String>; 2]);

/// Options of a mount that take something away.
const CLOSING: [&str; 5] = ["ro", "nosuid", "nodev", "noexec", "subset=pid"];

/// Both directions, in words: namespaces, ids, mounts, limits, then the filters call by call.
#[must_use]
pub fn diff(first: &Surface, second: &Surface) -> String {
    let mut open = Open::default();
    let both = [first, second];
    open.sets(both.map(|one| one.capabilities.clone()), "the capability");
    open.flags(both.map(|one| one.new_privileges), "new privileges by setuid programs and file capabilities");
    open.flags(both.map(|one| one.uid == 0), "uid 0 inside");
    open.flags(both.map(|one| one.terminal), "a terminal");
    open.flags(both.map(|one| one.root_writable), "writing to the root file system");
    open.flags(both.map(|one| one.hooks), "hooks: programs of the host's at its start or end");
    open.flags(both.map(|one| one.devices > 0), "device files beyond the usual ones");
    for kind in ["user", "mount", "pid", "network", "ipc", "uts", "cgroup"] {
        open.flags(both.map(|one| !one.namespaces.contains(kind)), &format!("the {kind} namespace of the host"));
    }
    mounts(&mut open, both);
    limits(&mut open, both.map(|one| &one.rlimits));
    if let [Some(a), Some(b)] = both.map(|one| one.group.as_ref()) {
        limits(&mut open, [a, b]);
    }
    let mut text = String::new();
    for (at, other) in [(0, 1), (1, 0)] {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{} leaves open and {} does not:", both[at].name, both[other].name);
        for line in &open.0[at] {
            let _ = writeln!(text, "  {line}");
        }
        if open.0[at].is_empty() {
            text.push_str("  nothing\n");
        }
    }
    text.push_str("\nSystem calls\n");
    text.push_str(&compare(&first.filter, &second.filter).text());
    text.push_str(&differing(both));
    text
}

/// What differs and nobody says here which of the two is wider, and at the end what was not looked at.
fn differing(both: [&Surface; 2]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut line = |what: &str, [a, b]: [&str; 2]| {
        let shown = |value: &str| if value.is_empty() { "none".to_owned() } else { value.to_owned() };
        if a != b {
            lines.push(format!("{what}: {} | {}", shown(a), shown(b)));
        }
    };
    let mut uncompared = both[1].uncompared.clone();
    let without = both.iter().filter(|one| one.group.is_none());
    uncompared.extend(without.map(|one| format!("limits of the group, which cgroup v1 has beside {}", one.name)));
    for (place, mount) in &both[0].mounts {
        let Some(there) = both[1].mounts.get(place) else { continue };
        line(&format!("{place}: kind"), [&mount.kind, &there.kind]);
        match (&mount.source, &there.source) {
            (Some(a), Some(b)) => line(&format!("{place}: source"), [a, b]),
            _ => uncompared.push(format!("the source of {place}")),
        }
        let rest = [mount, there].map(|one| {
            let open = one.options.iter().filter(|option| !CLOSING.contains(&option.as_str()));
            open.cloned().collect::<Vec<_>>().join(" ")
        });
        line(&format!("{place}: options"), [&rest[0], &rest[1]]);
    }
    match both.map(|one| one.facts.as_ref()) {
        [Some(a), Some(b)] => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                line(key, [a, b].map(|facts| facts.get(key).map_or("", String::as_str)));
            }
        }
        [a, b] => {
            let keys = a.into_iter().chain(b).flat_map(BTreeMap::keys).cloned();
            uncompared.extend(keys);
            uncompared.push("other keys of config.json, which are not known of one of the two".to_owned());
        }
    }
    let mut text = format!("\nDiffers, {} | {}, and which is wider is not said\n", both[0].name, both[1].name);
    for line in &lines {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {line}");
    }
    if lines.is_empty() {
        text.push_str("  in nothing\n");
    }
    let uncompared = if uncompared.is_empty() { "nothing".to_owned() } else { uncompared.join(", ") };
    let _ = writeln!(text, "\nnot compared: {uncompared}");
    text
}

impl Open {
    fn flags(&mut self, flags: [bool; 2], what: &str) {
        match flags {
            [true, false] => self.0[0].push(what.to_owned()),
            [false, true] => self.0[1].push(what.to_owned()),
            _ => {}
        }
    }

    fn sets(&mut self, [a, b]: [BTreeSet<String>; 2], what: &str) {
        self.0[0].extend(a.difference(&b).map(|name| format!("{what} {name}")));
        self.0[1].extend(b.difference(&a).map(|name| format!("{what} {name}")));
    }
}

fn mounts(open: &mut Open, both: [&Surface; 2]) {
    let shown = |place: &str, mount: &Mounted| {
        let access = if mount.options.contains("ro") { "read-only" } else { "" };
        format!("{place}: {} {access}", mount.kind).trim_end().to_owned()
    };
    for (at, other) in [(0, 1), (1, 0)] {
        for (place, mount) in &both[at].mounts {
            let Some(there) = both[other].mounts.get(place) else {
                open.0[at].push(shown(place, mount));
                continue;
            };
            let less =
                CLOSING.iter().filter(|option| there.options.contains(**option) && !mount.options.contains(**option));
            let less: Vec<&str> = less.copied().collect();
            if !less.is_empty() {
                open.0[at].push(format!("{place} without {}", less.join(", ")));
            }
        }
        // A mask closes something only where there is something.
        let closed = |one: &Surface| one.masked.iter().chain(&one.read_only).cloned().collect::<BTreeSet<_>>();
        let visible = |path: &String| {
            let whole =
                |place: &str| both[at].mounts.get(place).is_some_and(|mount| !mount.options.contains("subset=pid"));
            (path.starts_with("/proc/") && whole("/proc")) || (path.starts_with("/sys/") && whole("/sys"))
        };
        let unmasked: Vec<String> =
            closed(both[other]).difference(&closed(both[at])).filter(|path| visible(path)).cloned().collect();
        open.0[at].extend(unmasked.into_iter().map(|path| format!("{path}, which is masked or read-only there")));
    }
    let tmpfs = both.map(|one| {
        let bounded = |mount: &Mounted| mount.options.iter().any(|option| option.starts_with("size="));
        one.mounts
            .iter()
            .filter(|(_, mount)| mount.kind == "tmpfs" && !bounded(mount))
            .map(|(place, _)| place.clone())
            .collect()
    });
    open.sets(tmpfs, "a tmpfs without a size at");
}

/// Who has no limit leaves more open, and who has a higher one.
fn limits(open: &mut Open, both: [&BTreeMap<String, u64>; 2]) {
    let [a, b] = both.map(|one| one.keys().cloned().collect());
    open.sets([b, a], "no limit of");
    for (name, one) in both[0] {
        match both[1].get(name) {
            Some(other) if one > other => open.0[0].push(format!("{name}: {one} in place of {other}")),
            Some(other) if one < other => open.0[1].push(format!("{name}: {other} in place of {one}")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::docker_default;
    use crate::bundle::explain::tests::{Made, every_spec};
    use crate::model::{CpuShare, Limits};
    use crate::seccomp::{Policy, Profiles};

    fn ours() -> Vec<(String, Surface)> {
        let profiles = Profiles::load(None).unwrap();
        let surface = |Made { name, spec, limits, profile }: Made| {
            let filter = Policy::of(&profile, profiles.get(&profile).unwrap());
            (name, Surface::ours(&serde_json::to_value(spec).unwrap(), filter, &limits))
        };
        every_spec().into_iter().map(surface).collect()
    }

    #[test]
    fn docker_leaves_open_what_we_close_and_we_hardly_anything() {
        let docker = docker_default().unwrap();
        for (name, surface) in ours() {
            let text = diff(&surface, &docker);
            let (we, they) = text.split_once("docker-default leaves open").unwrap();
            for words in [
                "the capability NET_RAW",
                "the user namespace of the host",
                "writing to the root file system",
                "uid 0 inside",
                "no limit of memory",
                "no limit of NOFILE",
                "/sys: sysfs read-only",
                "/proc without ro, subset=pid",
            ] {
                assert!(they.contains(words), "{name}: {words} not in\n{they}");
            }
            assert!(!we.contains("capability") && !we.contains("namespace") && !we.contains("limit"), "{name}: {we}");
        }
    }

    #[test]
    fn a_configuration_does_not_differ_from_itself() {
        for (name, surface) in ours() {
            let text = diff(&surface, &surface);
            assert_eq!(text.matches("  nothing\n").count(), 2, "{name}:\n{text}");
        }
    }

    /// From a machine with the other version of cgroups too.
    #[test]
    fn what_we_write_into_a_file_does_not_differ_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let all = every_spec();
        for (Made { name, spec, limits, .. }, (_, ours)) in all.iter().zip(ours()) {
            std::fs::write(&path, serde_json::to_string(spec).unwrap()).unwrap();
            let of_file = Surface::read(&path).unwrap();
            let v1 = spec.linux().as_ref().unwrap().resources().is_none();
            let text = diff(&ours, &of_file);
            assert_eq!(text.matches(" does not:\n  nothing\n").count(), 2, "{name}:\n{text}");
            assert_eq!(text.matches(" does not: 0\n").count(), 2, "{name}:\n{text}");
            assert!(text.contains("wider is not said\n  in nothing\n"), "{name}:\n{text}");
            assert_eq!(text.contains("limits of the group, which cgroup v1 has beside"), v1, "{name}:\n{text}");
            // The same step of the other version.
            let other = all.iter().filter(|one| one.name.split(" on ").next() == name.split(" on ").next());
            for Made { spec: other, .. } in other {
                let filter = ours.filter.clone();
                let other = Surface::ours(&serde_json::to_value(other).unwrap(), filter, limits);
                let text = diff(&other, &of_file);
                assert_eq!(text.matches(" does not:\n  nothing\n").count(), 2, "{name}:\n{text}");
            }
        }
        assert_eq!(all.len(), 28, "languages, steps, made ahead or not, versions of cgroups");
    }

    #[test]
    fn a_foreign_share_is_held_against_ours() {
        let Made { spec, limits, profile, .. } = every_spec().remove(1);
        let filter = Policy::of(&profile, Profiles::load(None).unwrap().get(&profile).unwrap());
        let value = serde_json::to_value(spec).unwrap();
        let limits = Limits { cpu_share: Some(CpuShare(10)), ..limits };
        let ours = Surface::ours(&value, filter.clone(), &limits);
        for (cpu, words) in [
            (r#"{"quota": 20000}"#, "cpu (µs a second): 200000 in place of 100000"),
            (r#"{"quota": 30000, "period": 1000000}"#, "cpu (µs a second): 100000 in place of 30000"),
            (r#"{"quota": -1}"#, "no limit of cpu"),
            (r#"{"shares": 2}"#, "no limit of cpu"),
        ] {
            let mut theirs = value.clone();
            theirs["process"]["args"] = serde_json::json!(["/bin/true"]);
            theirs["linux"]["resources"] =
                serde_json::json!({"cpu": serde_json::from_str::<serde_json::Value>(cpu).unwrap()});
            let text = diff(&ours, &Surface::of("theirs", &theirs, filter.clone()));
            assert!(text.contains(words) && text.contains("no limit of memory"), "{cpu}: {words} not in\n{text}");
            // Nor is a file without any limits one of ours.
            theirs["linux"]["resources"] = serde_json::Value::Null;
            let text = diff(&ours, &Surface::of("theirs", &theirs, filter.clone()));
            assert!(text.contains("no limit of memory") && text.contains("no limit of pids"), "{text}");
        }
    }

    #[test]
    fn nothing_that_differs_passes_for_the_same() {
        let Made { spec, limits, .. } = every_spec().remove(0);
        let profiles = Profiles::load(None).unwrap();
        let filter = Policy::of("run", profiles.get("run").unwrap());
        let value = serde_json::to_value(spec).unwrap();
        let ours = Surface::ours(&value, filter.clone(), &limits);
        let mut theirs = value.clone();
        for mount in theirs["mounts"].as_array_mut().unwrap() {
            match mount["destination"].as_str().unwrap() {
                "/tmp" => {
                    mount["type"] = "bind".into();
                    mount["source"] = "/".into();
                    mount["options"] = serde_json::json!(["rbind", "nosuid", "nodev", "rw"]);
                }
                "/code" => mount["source"] = "/root".into(),
                "/dev/shm" => mount["options"] = serde_json::json!(["nosuid", "nodev", "noexec", "size=100%"]),
                _ => {}
            }
            mount["uidMappings"] = serde_json::json!([]);
        }
        for kind in ["uidMappings", "gidMappings"] {
            theirs["linux"][kind] = serde_json::json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
        }
        theirs["linux"]["sysctl"] = serde_json::json!({"net.core.somaxconn": "1"});
        theirs["linux"]["rootfsPropagation"] = "shared".into();
        theirs["linux"]["intelRdt"] = serde_json::json!({"closID": "x"});
        theirs["linux"]["resources"]["unified"] = serde_json::json!({"io.max": "x"});
        theirs["linux"]["seccomp"]["architectures"] = serde_json::json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
        theirs["process"]["user"]["additionalGids"] = serde_json::json!([0]);
        theirs["process"]["oomScoreAdj"] = (-1000).into();
        theirs["process"]["selinuxLabel"] = "x".into();
        theirs["surprise"] = true.into();
        let text = diff(&ours, &Surface::ours(&theirs, filter, &limits));
        let (_, differs) = text.split_once("and which is wider is not said\n").unwrap();
        let (differs, last) = differs.split_once("\nnot compared: ").unwrap();
        for words in [
            "/tmp: kind: tmpfs | bind",
            "/tmp: source: tmpfs | /",
            "/code: source: /stage/jobs/c1/code | /root",
            "| size=100%",
            r#"linux.uidMappings: [{"containerID":0,"hostID":1,"size":1}"#,
            r#"| [{"containerID":0,"hostID":0,"size":65536}]"#,
            "linux.gidMappings: ",
            "process.user.additionalGids: none | [0]",
            "linux.sysctl net.core.somaxconn: none | 1",
            "linux.rootfsPropagation: none | shared",
            "process.oomScoreAdj: none | -1000",
            r#""SCMP_ARCH_X86"]"#,
        ] {
            assert!(differs.contains(words), "{words} not in\n{differs}");
        }
        for key in [
            "surprise",
            "process.selinuxLabel",
            "process.env",
            "process.cwd",
            "linux.intelRdt",
            "linux.resources.unified",
            "mounts.[].uidMappings",
            "root.path",
            "ociVersion",
            "hostname",
        ] {
            assert!(last.trim_end().split(", ").any(|one| one == key), "{key} not in {last}");
        }
    }

    #[test]
    fn a_file_is_read_and_its_masks_count_only_where_there_is_something_to_mask() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let text = r#"{"ociVersion":"1.0.2","root":{"path":"r","readonly":true},"mounts":[
            {"destination":"/proc","type":"proc","source":"proc","options":["nosuid"]}],
            "process":{"noNewPrivileges":true,"user":{"uid":7},"rlimits":[{"type":"RLIMIT_NOFILE","hard":9999,"soft":1}]},
            "linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"network","path":"/x"}]}}"#;
        std::fs::write(&path, text).unwrap();
        let theirs = Surface::read(&path).unwrap();
        let docker = docker_default().unwrap();
        let text = diff(&theirs, &docker);
        for words in
            ["/proc/kcore, which is masked", "the network namespace of the host", "/proc without nodev, noexec"]
        {
            assert!(text.contains(words), "{words} not in\n{text}");
        }
        let (_, ours) = ours().remove(0);
        let text = diff(&ours, &theirs);
        assert!(!text.split("leaves open").nth(1).unwrap().contains("kcore"), "{text}");
        assert!(text.contains("NOFILE: 9999 in place of"), "{text}");
        std::fs::write(&path, "{}").unwrap();
        assert!(Surface::read(&path).unwrap_err().to_string().contains("no `process`"));
    }
}
