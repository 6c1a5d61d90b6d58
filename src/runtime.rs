//! crun and runc: the four calls that a container's life needs, and the process behind it.
