//! What the host has on offer while attacks run: a System V segment and an abstract socket that anybody may use, with
//! nothing but namespaces between them and a job.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

/// Gone when dropped.
#[derive(Debug)]
pub struct Bait {
    segment: Option<String>,
    _socket: UnixListener,
}

impl Bait {
    /// Lays it out. The socket is called `cmtest-bait-<port>`, since several suites may run at once.
    pub fn lay(port: u16) -> Self {
        let said = Command::new("ipcmk").args(["--shmem", "4096", "--mode", "0666"]).output().expect("ipcmk");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let segment = said.rsplit(' ').next().map(|id| id.trim().to_owned()).filter(|id| id.parse::<u32>().is_ok());
        assert!(segment.is_some(), "ipcmk made no segment: {said:?}");
        let address = SocketAddr::from_abstract_name(format!("cmtest-bait-{port}")).expect("a name");
        Self { segment, _socket: UnixListener::bind_addr(&address).expect("an abstract socket") }
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        if let Some(id) = &self.segment {
            let _ = Command::new("ipcrm").args(["--shmem-id", id]).status();
        }
    }
}
