//! The kits of containers that wait warm, as bytes: what a command needs beside its image to be started before its job is
//! known. Their sources are `rootfs-build/kits/`.

/// A kit: its name, and its files by name.
pub type Kit = (&'static str, &'static [(&'static str, &'static [u8])]);

/// Every kit that a language's file may name.
pub const KITS: &[Kit] = &[
    (
        "python",
        &[
            ("sitecustomize.py", include_bytes!("../../rootfs-build/kits/python/sitecustomize.py")),
            ("word.so", include_bytes!(concat!(env!("OUT_DIR"), "/word.so"))),
        ],
    ),
    ("javac", &[("Javac.java", include_bytes!("../../rootfs-build/kits/javac/Javac.java"))]),
];
