//! Puts into an unpacked tree what `layout` says every image holds.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::image::digest::Digest;
use crate::image::error::UnpackError;
use crate::image::extract::{DATA, Unpacked, create, make_directory, open_beneath};
use crate::image::layout::{FIXED_FILES, Kind, MOUNT_POINTS};
use rustix::fs::{AtFlags, Mode};

/// Makes the fixed files and the mount points. The archive had none of them: `leave_out` took care of that, and a link
/// in a parent's place is an error.
pub(super) fn furnish(root: BorrowedFd<'_>, unpacked: &mut Unpacked) -> Result<(), UnpackError> {
    for (path, text) in FIXED_FILES {
        file(root, path, text.as_bytes(), DATA, unpacked)?;
    }
    for point in MOUNT_POINTS {
        match point.kind {
            Kind::File => file(root, point.path, b"", Mode::from_raw_mode(point.mode), unpacked)?,
            Kind::Directory => {
                let (parent, name) = parent(root, point.path)?;
                make_directory(parent.as_fd(), name, point.path.as_bytes())?;
                // mkdir(2) heeds the umask and knows no sticky bit everywhere.
                rustix::fs::chmodat(parent.as_fd(), name, Mode::from_raw_mode(point.mode), AtFlags::empty()).map_err(
                    |errno| UnpackError::Write {
                        operation: "set the mode of",
                        path: point.path.to_owned(),
                        source: errno.into(),
                    },
                )?;
            }
        }
    }
    Ok(())
}

fn file(
    root: BorrowedFd<'_>,
    path: &str,
    content: &[u8],
    mode: Mode,
    unpacked: &mut Unpacked,
) -> Result<(), UnpackError> {
    let (parent, name) = parent(root, path)?;
    let mut file = create(parent.as_fd(), name, mode, path.as_bytes())?;
    file.write_all(content).map_err(|source| UnpackError::Write {
        operation: "write",
        path: path.to_owned(),
        source,
    })?;
    unpacked.contents.insert(path.as_bytes()[1..].to_vec(), Digest::of(content));
    Ok(())
}

fn parent<'p>(root: BorrowedFd<'_>, path: &'p str) -> Result<(OwnedFd, &'p [u8]), UnpackError> {
    let mut parts: Vec<&[u8]> = path.as_bytes()[1..].split(|&byte| byte == b'/').collect();
    let name = parts.pop().unwrap_or_default();
    Ok((open_beneath(root, &parts, path.as_bytes())?, name))
}
