//! Archives of images, made here: layers as tar streams, and around them what `docker save` wrote before and after it
//! changed its form, and OCI layouts. The same bytes every time.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

/// Of every entry, in seconds since 1970.
pub const MTIME: u64 = 1_600_000_000;

/// A layer under way: a tar stream with names that no tar program would write, if need be.
#[derive(Clone, Debug, Default)]
pub struct Layer(Vec<u8>);

impl Layer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn directory(self, path: &str) -> Self {
        self.entry(path, EntryType::Directory, 0o755, "", b"")
    }

    pub fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(path, EntryType::Regular, 0o644, "", content)
    }

    pub fn program(self, path: &str, content: &[u8]) -> Self {
        self.entry(path, EntryType::Regular, 0o755, "", content)
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Symlink, 0o777, target, b"")
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Link, 0o644, target, b"")
    }

    /// Any entry; long names as GNU tar writes them.
    pub fn entry(mut self, path: &str, kind: EntryType, mode: u32, link: &str, content: &[u8]) -> Self {
        for (name, kind) in [(path, EntryType::GNULongName), (link, EntryType::GNULongLink)] {
            if name.len() > 100 {
                self = self.raw("././@LongLink", kind, 0, "", format!("{name}\0").as_bytes());
            }
        }
        self.raw(&path[..path.len().min(100)], kind, mode, &link[..link.len().min(100)], content)
    }

    /// Records that go before the next entry (pax(1)).
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            // The length counts its own digits.
            let rest = key.len() + value.len() + 3;
            let length = (rest..).find(|all| rest + all.to_string().len() == *all).expect("a length");
            data.extend_from_slice(format!("{length} {key}=").as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.raw("pax", EntryType::XHeader, 0o644, "", &data)
    }

    /// A whole tree of the disk, but for what it has of other kinds than files, directories and links.
    pub fn tree(self, root: &Path) -> Self {
        let mut builder = tar::Builder::new(self.0);
        builder.follow_symlinks(false);
        builder.append_dir_all(".", root).expect("a tree");
        // Without the two blocks that end an archive, for more may follow.
        let mut bytes = builder.into_inner().expect("a stream");
        bytes.truncate(bytes.len() - 1024);
        Self(bytes)
    }

    /// The stream, ended.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.clone();
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }

    fn raw(mut self, path: &str, kind: EntryType, mode: u32, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(MTIME);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }
}

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    Plain,
    Gzip,
    Zstd,
}

impl Packed {
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(bytes).expect("memory");
                encoder.finish().expect("memory")
            }
            Self::Zstd => compress_to_vec(bytes, CompressionLevel::Fastest),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// What an image says of itself.
#[derive(Clone, Debug)]
pub struct Image {
    pub name: Option<String>,
    pub architecture: String,
    pub env: Vec<String>,
    pub command: Vec<String>,
    pub layers: Vec<(Layer, Packed)>,
}

impl Image {
    /// For this machine, of these layers, none compressed.
    pub fn of(layers: impl IntoIterator<Item = Layer>) -> Self {
        Self {
            name: Some("example:1".to_owned()),
            architecture: architecture().to_owned(),
            env: vec!["PATH=/usr/local/bin:/usr/bin:/bin".to_owned(), "EXAMPLE_VERSION=1.2.3".to_owned()],
            command: vec!["tool".to_owned(), "-v".to_owned()],
            layers: layers.into_iter().map(|layer| (layer, Packed::Plain)).collect(),
        }
    }

    /// All layers compressed so.
    pub fn packed(mut self, packed: Packed) -> Self {
        self.layers.iter_mut().for_each(|(_, with)| *with = packed);
        self
    }

    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The configuration, whose digest is the image's id.
    pub fn config(&self) -> Vec<u8> {
        let digests: Vec<String> =
            self.layers.iter().map(|(layer, _)| format!("sha256:{}", sha256(&layer.bytes()))).collect();
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "created": "2020-09-13T12:26:40Z",
            "config": {"Env": self.env, "Cmd": self.command, "Labels": {"maintainer": "nobody"}},
            "rootfs": {"type": "layers", "diff_ids": digests},
            "history": [],
        });
        config.to_string().into_bytes()
    }

    /// As `docker save` did before version 25: a directory for each layer.
    pub fn docker(&self) -> Archive {
        let (mut archive, config) = (Archive::default(), self.config());
        let name = format!("{}.json", sha256(&config));
        let mut layers = Vec::new();
        for (index, (layer, packed)) in self.layers.iter().enumerate() {
            let file = format!("{index:064x}/layer.tar");
            archive.put(&file, packed.pack(&layer.bytes()));
            archive.put(&format!("{index:064x}/VERSION"), b"1.0".to_vec());
            layers.push(file);
        }
        archive.put(&name, config);
        let tags = self.name.as_ref().map(|name| vec![name]);
        archive.json("manifest.json", &json!([{"Config": name, "RepoTags": tags, "Layers": layers}]));
        archive.json("repositories", &json!({}));
        archive
    }

    /// As an OCI layout.
    pub fn oci(&self) -> Archive {
        let mut archive = Archive::default();
        let descriptor = self.add_to(&mut archive);
        archive.layout(&[descriptor]);
        archive
    }

    /// As `docker save` since version 25: an OCI layout with the older manifest beside it.
    pub fn both(&self) -> Archive {
        let mut archive = self.oci();
        let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes));
        let layers: Vec<String> =
            self.layers.iter().map(|(layer, packed)| blob(&packed.pack(&layer.bytes()))).collect();
        let config = blob(&self.config());
        archive.json("manifest.json", &json!([{"Config": config, "RepoTags": [self.name], "Layers": layers}]));
        archive
    }

    /// Adds the blobs, and returns the descriptor of the manifest.
    pub fn add_to(&self, archive: &mut Archive) -> Value {
        let config = archive.blob("application/vnd.oci.image.config.v1+json", self.config());
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|(layer, packed)| archive.blob(packed.media_type(), packed.pack(&layer.bytes())))
            .collect();
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
        let mut descriptor = archive.blob(kind, manifest.to_string().into_bytes());
        descriptor["platform"] = json!({"os": "linux", "architecture": self.architecture});
        if let Some(name) = &self.name {
            descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        }
        descriptor
    }
}

/// Files of an archive.
#[derive(Clone, Debug, Default)]
pub struct Archive(pub Vec<(String, Vec<u8>)>);

impl Archive {
    /// One more file, or another content for one.
    pub fn put(&mut self, name: &str, content: Vec<u8>) {
        match self.0.iter_mut().find(|(there, _)| there == name) {
            Some((_, old)) => *old = content,
            None => self.0.push((name.to_owned(), content)),
        }
    }

    pub fn json(&mut self, name: &str, value: &Value) {
        self.put(name, value.to_string().into_bytes());
    }

    /// A blob of an OCI layout, and its descriptor.
    pub fn blob(&mut self, media_type: &str, content: Vec<u8>) -> Value {
        let (digest, size) = (sha256(&content), content.len());
        self.put(&format!("blobs/sha256/{digest}"), content);
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size})
    }

    /// What makes an OCI layout of the blobs.
    pub fn layout(&mut self, manifests: &[Value]) {
        self.json("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}));
        self.json("index.json", &json!({"schemaVersion": 2, "manifests": manifests}));
    }

    /// The file whose name ends so.
    pub fn name(&self, end: &str) -> String {
        self.0.iter().map(|(name, _)| name).find(|name| name.ends_with(end)).expect("such a file").clone()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let all = self.0.iter().fold(Layer::new(), |tar, (name, content)| tar.file(name, content));
        all.bytes()
    }
}

/// In lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// This machine's, as images have it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
