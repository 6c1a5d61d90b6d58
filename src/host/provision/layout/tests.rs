//! Samples of mount tables, cut to their cgroup lines and a neighbour or two.

use super::*;

const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

const UNIFIED: &str = "\
22 27 0:20 / /proc rw,nosuid,nodev,noexec,relatime shared:14 - proc proc rw
30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
";

const TOGETHER: &str = "\
31 25 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,size=4096k,mode=755
32 31 0:27 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
36 31 0:31 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,memory
37 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,cpu,cpuacct
38 31 0:33 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime shared:18 - cgroup cgroup rw,pids
";

const DOCKER_V2: &str = "\
700 699 0:60 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
701 700 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate
";

const WSL2: &str = "\
72 60 0:28 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
73 72 0:29 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup2 rw,nsdelegate
74 72 0:30 / /sys/fs/cgroup/cpuset rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,cpuset
75 72 0:31 / /sys/fs/cgroup/cpu rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,cpu
76 72 0:32 / /sys/fs/cgroup/cpuacct rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,cpuacct
78 72 0:34 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,memory
86 72 0:42 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,pids
";

const PROC: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t0\npids\t8\t3\t1\n";

fn v1(points: [&str; 4]) -> CgroupLayout {
    let [memory, pids, cpu, cpuacct] = points.map(|point| Path::new("/sys/fs/cgroup").join(point));
    CgroupLayout::V1 { memory, pids, cpu, cpuacct }
}

#[test]
fn the_usual_hosts() {
    let unified = CgroupLayout::V2 { mount: "/sys/fs/cgroup".into() };
    let apart = v1(["memory", "pids", "cpu", "cpuacct"]);
    let cases = [
        ("hybrid", HYBRID, apart.clone()),
        ("pure v2", UNIFIED, unified),
        ("cpu and cpuacct together", TOGETHER, v1(["memory", "pids", "cpu,cpuacct", "cpu,cpuacct"])),
        ("a container on v2", DOCKER_V2, CgroupLayout::None(NoCgroup::ReadOnly)),
        ("WSL2", WSL2, apart),
        ("nothing", "22 27 0:20 / /proc rw - proc proc rw\n", CgroupLayout::None(NoCgroup::NotMounted)),
    ];
    for (name, text, want) in cases {
        assert_eq!(CgroupLayout::parse(text, ""), want, "{name}");
    }
}

#[test]
fn a_privileged_container_on_v2_may_write() {
    let text = DOCKER_V2.replace("/sys/fs/cgroup ro,", "/sys/fs/cgroup rw,");
    assert_eq!(CgroupLayout::parse(&text, ""), CgroupLayout::V2 { mount: "/sys/fs/cgroup".into() });
}

#[test]
fn a_missing_controller_is_named() {
    let without = |name: &str| {
        let ends = format!(" rw,{name}");
        HYBRID.lines().filter(|line| !line.ends_with(&ends)).collect::<Vec<_>>().join("\n")
    };
    let cases = [
        (without("pids"), "", CgroupLayout::None(NoCgroup::Lacks("pids"))),
        (without("memory"), "", CgroupLayout::None(NoCgroup::Lacks("memory"))),
        (without("memory"), PROC, CgroupLayout::None(NoCgroup::SwitchedOff("memory"))),
    ];
    for (text, cgroups, want) in cases {
        assert_eq!(CgroupLayout::parse(&text, cgroups), want);
    }
}

#[test]
fn the_whole_and_writable_mount_of_a_hierarchy_is_taken() {
    let text = format!(
        "90 1 0:32 /inner /a rw - cgroup cgroup rw,memory\n91 1 0:32 / /b ro - cgroup cgroup rw,memory\n\
         {HYBRID}92 1 0:32 / /c rw - cgroup cgroup rw,memory\n"
    );
    assert_eq!(CgroupLayout::parse(&text, ""), v1(["memory", "pids", "cpu", "cpuacct"]));
}

#[test]
fn mount_points_are_unescaped() {
    let text = r"30 23 0:26 / /odd\040place\134x rw - cgroup2 cgroup2 rw";
    assert_eq!(CgroupLayout::parse(text, ""), CgroupLayout::V2 { mount: r"/odd place\x".into() });
}

#[test]
fn directories_of_controllers_mounted_together_are_named_once() {
    let found = CgroupLayout::parse(TOGETHER, "").directories("casemate");
    let want = ["memory", "pids", "cpu,cpuacct"].map(|top| Path::new("/sys/fs/cgroup").join(top).join("casemate"));
    assert_eq!(found, want);
}
