//! Limits in the kernel's hands: cgroup v2 where it is delegated, else v1.
