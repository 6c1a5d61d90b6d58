//! Seccomp profiles: a strict format of our own, turned into what an OCI runtime reads.
