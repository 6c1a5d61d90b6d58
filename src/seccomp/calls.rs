//! System calls by name and by number. A name that is in no table is a mistake: libseccomp leaves it out of a filter in
//! silence.

use thiserror::Error;

use crate::config::nearest;

/// Name, number on x86-64, number on 64-bit ARM.
const TABLE: &str = include_str!("calls.txt");

/// The column of this machine.
const COLUMN: usize = if cfg!(target_arch = "aarch64") { 2 } else { 1 };

/// Calls through the x32 table carry this bit (syscall(2)); there is no number of the native table from there on.
const X32: u64 = 0x4000_0000;

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name; of a number that is nobody's yet, none.
    pub name: Option<&'static str>,
    /// Its number on this kind of machine; of a call that only others have, none.
    pub number: Option<u64>,
}

/// What was given is no system call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnknownCall {
    /// No table has the name.
    #[error("there is no system call {name:?}{}", suggestion(*near))]
    Name {
        /// As it was given.
        name: String,
        /// A name that is nearly the same.
        near: Option<&'static str>,
    },
    /// A number beyond the native table.
    #[error("{0:#x} is no number of the native table; calls through other tables end the caller or find nothing")]
    Number(u64),
}

impl Call {
    /// By its name or by its number on this machine.
    ///
    /// # Errors
    /// A name of no table, a number that no native call can have.
    pub fn of(text: &str) -> Result<Self, UnknownCall> {
        if let Some(number) = number_of(text) {
            if number >= X32 {
                return Err(UnknownCall::Number(number));
            }
            let name = rows().find(|(_, here)| *here == Some(number)).map(|(name, _)| name);
            return Ok(Self { name, number: Some(number) });
        }
        match rows().find(|(name, _)| *name == text) {
            Some((name, number)) => Ok(Self { name: Some(name), number }),
            None => {
                let near = nearest(text, rows().map(|(name, _)| name));
                Err(UnknownCall::Name { name: text.to_owned(), near })
            }
        }
    }

    /// `ptrace (101 on this machine)`.
    pub(super) fn shown(&self) -> String {
        match (self.name, self.number) {
            (Some(name), Some(number)) => format!("{name} ({number} on this machine)"),
            (Some(name), None) => format!("{name} (not on this machine)"),
            (None, Some(number)) => format!("{number} (no name that casemate knows)"),
            (None, None) => String::new(),
        }
    }
}

fn suggestion(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

/// A number as it is written: decimal, hexadecimal after `0x`, or negative, which the kernel sees as 64 bits.
#[must_use]
pub fn number_of(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x") {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if text.starts_with('-') { text.parse::<i64>().ok().map(i64::cast_unsigned) } else { text.parse().ok() }
}

/// The names that this machine has.
pub(super) fn here() -> impl Iterator<Item = &'static str> {
    rows().filter(|(_, number)| number.is_some()).map(|(name, _)| name)
}

/// Their names by number.
pub(super) fn numbered() -> impl Iterator<Item = (u64, &'static str)> {
    rows().filter_map(|(name, number)| Some((number?, name)))
}

fn rows() -> impl Iterator<Item = (&'static str, Option<u64>)> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split(' ');
        let name = words.next()?;
        Some((name, words.nth(COLUMN - 1)?.parse().ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_headers_of_libc() {
        for (name, number) in [
            ("read", libc::SYS_read),
            ("ptrace", libc::SYS_ptrace),
            ("openat", libc::SYS_openat),
            ("clone3", libc::SYS_clone3),
            ("io_uring_setup", libc::SYS_io_uring_setup),
            ("fchmodat2", libc::SYS_fchmodat2),
            ("mseal", libc::SYS_mseal),
        ] {
            let call = Call::of(name).unwrap();
            assert_eq!(call.number, u64::try_from(number).ok(), "{name}");
            assert_eq!(Call::of(&number.to_string()).unwrap(), call);
        }
        let numbers: Vec<u64> = rows().filter_map(|(_, number)| number).collect();
        let distinct: std::collections::BTreeSet<&u64> = numbers.iter().collect();
        assert!(numbers.len() > 300 && distinct.len() == numbers.len(), "a number stands twice");
    }

    #[test]
    fn what_is_no_call_is_told_with_what_was_meant() {
        assert_eq!(
            Call::of("ptrce").unwrap_err().to_string(),
            "there is no system call \"ptrce\"; did you mean ptrace?"
        );
        assert!(Call::of("0x40000000").unwrap_err().to_string().contains("native table"));
        assert_eq!(Call::of("499").unwrap(), Call { name: None, number: Some(499) });
        assert_eq!(Call::of("stime").unwrap().number, None, "of 32-bit machines only");
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (text, number) in [
            ("0", Some(0)),
            ("0x1F", Some(31)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("+1", None),
            ("0x", None),
            ("-", None),
            ("0x+1", None),
            ("", None),
        ] {
            assert_eq!(number_of(text), number, "{text:?}");
        }
    }
}
