//! The kernel's version, on which rules of Docker's depend.

use std::str::FromStr;

/// `major.minor`, as Docker's profiles have it in `minKernel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kernel {
    major: u32,
    minor: u32,
}

impl Kernel {
    /// The one that runs here; 0.0, before everything, where its release does not begin with a version.
    pub(super) fn running() -> Self {
        let release = rustix::system::uname();
        release.release().to_str().ok().and_then(of_release).unwrap_or(Self { major: 0, minor: 0 })
    }
}

/// The first two numbers of `uname -r`.
fn of_release(release: &str) -> Option<Kernel> {
    let number = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse().ok()
    };
    let (major, rest) = release.split_once('.')?;
    Some(Kernel { major: number(major)?, minor: number(rest)? })
}

impl FromStr for Kernel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("minKernel is {text:?}, which is no version: write 4.8");
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (major, minor) = text.split_once('.').filter(|(a, b)| digits(a) && digits(b)).ok_or_else(wrong)?;
        Ok(Self { major: major.parse().map_err(|_| wrong())?, minor: minor.parse().map_err(|_| wrong())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_not_text() {
        let of = |text: &str| Kernel::from_str(text).unwrap();
        assert!(of("4.8") < of("4.18") && of("4.18") < of("10.0") && of("5.0") == of("5.0"));
        for text in ["4", "4.8.1", "", "4.", ".8", "+4.8", "4.8-rc1", "99999999999.0"] {
            assert!(Kernel::from_str(text).unwrap_err().contains("no version"), "{text:?}");
        }
        for (release, version) in [("6.18.44-fc-v782", "6.18"), ("5.10-rc3", "5.10"), ("4.8.0", "4.8")] {
            assert_eq!(of_release(release), Some(of(version)), "{release}");
        }
        assert_eq!(of_release("linux"), None);
        assert!(Kernel::running() >= of("4.8"), "what casemate needs is newer");
    }
}
