//! What a client may ask for of the limits of a step: within the operator's ceilings, and not less than a program can
//! run with.

use crate::model::{
    Bytes, CpuShare, CpuTime, Limits, LimitsPatch, LimitsWanted, Number, OpenFiles, Pids, Refusal, WallTime,
};

/// The kernel counts memory in pages (on both architectures that are supported).
const PAGE: u64 = 4096;

/// What a container takes to be made at all, with room to spare: below it crun 1.8 and runc 1.1 fail themselves, inside
/// the limits of the job, and a client could have the service at fault. runc dies at 4 MiB; crun needs 16 descriptors and
/// writes a compiled filter of up to 32 KiB to a file; what is left of it is a process of the group for a moment.
const LEAST_MEMORY: u64 = 16 << 20;
const LEAST_FILES: u64 = 32;
const LEAST_FILE: u64 = 64 << 10;
const LEAST_PROCESSES: u64 = 4;

/// The share of a step that has none, which is as much as the settings can say; the kernel refuses some larger ones.
const UNTHROTTLED: u64 = 102_400;

/// One limit, by its name on the wire.
struct Row {
    name: &'static str,
    wanted: fn(&LimitsWanted) -> Option<&Number>,
    of: fn(&Limits) -> u64,
    /// Values are within the ceiling, which lies within the field's type.
    set: fn(&mut Limits, u64),
    least: u64,
}

const ROWS: [Row; 9] = [
    Row {
        name: "wall_ms",
        wanted: |w| w.wall_ms.as_ref(),
        of: |l| l.wall.0,
        set: |l, n| l.wall = WallTime(n),
        least: 1,
    },
    Row {
        name: "cpu_ms",
        wanted: |w| w.cpu_ms.as_ref(),
        of: |l| l.cpu_time.0 / 1000,
        set: |l, n| l.cpu_time = CpuTime(n.saturating_mul(1000)),
        least: 1,
    },
    Row {
        name: "cpu_percent",
        wanted: |w| w.cpu_percent.as_ref(),
        // A step that is not throttled has all processors.
        of: |l| l.cpu_share.map_or(UNTHROTTLED, |share| share.0.into()),
        set: |l, n| l.cpu_share = n.try_into().ok().map(CpuShare),
        least: 1,
    },
    Row {
        name: "memory_bytes",
        wanted: |w| w.memory_bytes.as_ref(),
        of: |l| l.memory.0,
        set: |l, n| l.memory = Bytes(n.next_multiple_of(PAGE)),
        least: LEAST_MEMORY,
    },
    Row {
        name: "processes",
        wanted: |w| w.processes.as_ref(),
        of: |l| l.pids.0.into(),
        set: |l, n| l.pids = n.try_into().map_or(l.pids, Pids),
        least: LEAST_PROCESSES,
    },
    Row {
        name: "open_files",
        wanted: |w| w.open_files.as_ref(),
        of: |l| l.open_files.0.into(),
        set: |l, n| l.open_files = n.try_into().map_or(l.open_files, OpenFiles),
        least: LEAST_FILES,
    },
    Row {
        name: "stack_bytes",
        wanted: |w| w.stack_bytes.as_ref(),
        of: |l| l.stack.0,
        set: |l, n| l.stack = Bytes(n),
        least: 1 << 20,
    },
    Row {
        name: "file_bytes",
        wanted: |w| w.file_bytes.as_ref(),
        of: |l| l.file_size.0,
        set: |l, n| l.file_size = Bytes(n),
        least: LEAST_FILE,
    },
    Row {
        name: "output_bytes",
        wanted: |w| w.output_bytes.as_ref(),
        of: |l| l.output.0,
        set: |l, n| l.output = Bytes(n),
        least: 0,
    },
];

/// What a client may ask for of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it is for who asks for nothing; `None` where the step is not held to it.
    pub default: Option<u64>,
    /// The least that may be asked for.
    pub least: u64,
    /// The most.
    pub most: u64,
}

/// The least of each limit that may be asked for, by its name on the wire. Ceilings are the operator's.
pub fn leasts() -> impl Iterator<Item = (&'static str, u64)> {
    ROWS.iter().map(|row| (row.name, row.least))
}

/// Every limit of a step whose own are `own`.
pub(super) fn ranges(own: &Limits, ceilings: &LimitsPatch) -> Vec<Range> {
    let ceilings = ceilings.apply(own);
    let range = |row: &Row| Range {
        name: row.name,
        default: Some((row.of)(own)).filter(|_| row.name != "cpu_percent" || own.cpu_share.is_some()),
        least: row.least,
        most: (row.of)(&ceilings).max((row.of)(own)),
    };
    ROWS.iter().map(range).collect()
}

/// `own`, the limits of the language under the settings, with all that is wanted changed. A ceiling below a language's own
/// limit does not lower that: who asks for nothing is within it.
///
/// # Errors
/// [`Refusal::OutOfRange`], its field below `path`.
pub(super) fn within(
    wanted: &LimitsWanted,
    path: &str,
    own: &Limits,
    ceilings: &LimitsPatch,
) -> Result<Limits, Refusal> {
    let ceilings = ceilings.apply(own);
    let mut limits = own.clone();
    for row in &ROWS {
        let Some(wanted) = (row.wanted)(wanted) else { continue };
        let most = (row.of)(&ceilings).max((row.of)(own));
        let Some(value) = wanted.whole().filter(|value| (row.least..=most).contains(value)) else {
            let (field, least) = (format!("{path}.{}", row.name), row.least);
            return Err(Refusal::OutOfRange { field, value: wanted.to_string(), least, most });
        };
        (row.set)(&mut limits, value);
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::super::tests::limits;
    use super::*;

    fn wanted(name: &str, value: impl std::fmt::Display) -> LimitsWanted {
        serde_json::from_str(&format!(r#"{{"{name}":{value}}}"#)).unwrap()
    }

    #[test]
    fn each_limit_at_its_bounds_and_beyond() {
        let own = limits(100);
        let ceilings = LimitsPatch {
            memory_mib: Some(200),
            cpu_percent: Some(50),
            cpu_seconds: Some(20),
            wall_ms: Some(30_000),
            pids: Some(128),
            open_files: Some(100),
            stack_mib: Some(16),
            file_mib: Some(1),
            output_bytes: Some(1000),
            ..LimitsPatch::default()
        };
        // The language's own: file size above its ceiling, no share.
        for (name, least, most) in [
            ("wall_ms", 1, 30_000),
            ("cpu_ms", 1, 20_000),
            ("cpu_percent", 1, UNTHROTTLED),
            ("memory_bytes", 16 << 20, 200 << 20),
            ("processes", 4, 128),
            ("open_files", 32, 100),
            ("stack_bytes", 1 << 20, 16 << 20),
            ("file_bytes", 64 << 10, 64 << 20),
            ("output_bytes", 0, 1000),
        ] {
            for value in [least, most] {
                let row = ROWS.iter().find(|row| row.name == name).unwrap();
                let set = within(&wanted(name, value), "limits.run", &own, &ceilings).unwrap();
                assert_eq!((row.of)(&set), value, "{name}");
            }
            let beyond = [Some(most + 1), u64::checked_sub(least, 1)].into_iter().flatten();
            let beyond = beyond.map(|number| number.to_string());
            // Also what no field could hold.
            let never = ["-1", "-1.0", "64.5", "18446744073709551616", "1e400"].map(str::to_owned);
            for value in beyond.chain(never) {
                let (field, asked) = (format!("limits.run.{name}"), wanted(name, &value));
                let refused = Refusal::OutOfRange { field, value, least, most };
                assert_eq!(within(&asked, "limits.run", &own, &ceilings), Err(refused));
            }
            let same = |value: String| within(&wanted(name, value), "limits.run", &own, &ceilings).unwrap();
            assert_eq!(same(format!("{most}.0")), same(most.to_string()), "{name}");
        }
        let throttled = Limits { cpu_share: Some(CpuShare(10)), ..own.clone() };
        assert!(within(&wanted("cpu_percent", 51), "x", &throttled, &ceilings).is_err());
        assert_eq!(within(&LimitsWanted::default(), "x", &own, &ceilings), Ok(own));
    }

    #[test]
    fn memory_is_whole_pages() {
        let set = within(&wanted("memory_bytes", (20 << 20) + 1), "x", &limits(100), &LimitsPatch::default()).unwrap();
        assert_eq!(set.memory, Bytes((20 << 20) + 4096));
    }
}
