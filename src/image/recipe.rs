//! Recipes: one TOML file for an image, embedded in the binary; a file in the settings directory replaces or adds one.
//! Checked here once and completely; nothing later doubts a recipe.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::files_in;
use crate::image::digest::Digest;
use crate::image::error::RecipeError;
use crate::image::layout::{FIXED_FILES, MOUNT_POINTS};
use crate::image::leave_out::{ALWAYS, valid_pattern};

/// Raised when the same recipe gives another tree because the builder changed.
const BUILDER_VERSION: u32 = 1;

const EMBEDDED: &[(&str, &str)] = &[
    ("gcc.toml", include_str!("../../rootfs-build/images/gcc.toml")),
    ("java.toml", include_str!("../../rootfs-build/images/java.toml")),
    ("python.toml", include_str!("../../rootfs-build/images/python.toml")),
];

/// What an image is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Of the image; also the name of its file.
    pub name: String,
    /// The Debian release, by its code name.
    pub suite: String,
    /// Installed besides the essential packages, with what they depend on.
    pub packages: Vec<String>,
    /// Commands that are run in the tree once the packages are there, each a program by its absolute path and arguments.
    /// They make what can be made once instead of in every job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub make: Vec<Vec<String>>,
    /// Absolute paths that are left out with all below them; `*` and `?` stand for characters within one component.
    #[serde(default)]
    pub remove: Vec<String>,
    /// The archive's address. Without it mmdebstrap finds the archive of the suite by itself.
    #[serde(default)]
    pub mirror: Option<String>,
}

impl Recipe {
    /// A digest over the recipe and over everything in the builder that shapes the tree.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mounts: Vec<_> =
            MOUNT_POINTS.iter().map(|point| (point.path, format!("{:?}", point.kind), point.mode)).collect();
        let text = serde_json::json!([BUILDER_VERSION, self, ALWAYS, mounts, FIXED_FILES]).to_string();
        Digest::of(text.as_bytes())
    }

    fn parse(file: &str, text: &str) -> Result<Self, Vec<RecipeError>> {
        let recipe: Self = toml::from_str(text).map_err(|error| {
            vec![RecipeError::Parse { file: file.to_owned(), message: error.to_string().trim_end().to_owned() }]
        })?;
        let mut errors = Vec::new();
        let mut refuse = |field, value: &str, remedy| {
            errors.push(RecipeError::Field { file: file.to_owned(), field, value: value.to_owned(), remedy });
        };
        if !valid_name(&recipe.name) {
            refuse("name", &recipe.name, NAME);
        }
        if file.strip_suffix(".toml") != Some(&recipe.name) {
            refuse("name", &recipe.name, "it must be the name of the file without .toml");
        }
        if !valid_word(&recipe.suite, b"-.") {
            refuse("suite", &recipe.suite, "use the code name of a Debian release, such as trixie");
        }
        if recipe.packages.is_empty() {
            refuse("packages", "[]", "name at least one package");
        }
        for package in recipe.packages.iter().filter(|package| !valid_word(package, b"+-.")) {
            refuse("packages", package, "use the name of a Debian package: lower-case letters, digits, + - and .");
        }
        for command in &recipe.make {
            let program = command.first().map_or("[]", String::as_str);
            if !program.starts_with('/') {
                refuse("make", program, "begin each command with the absolute path of a program in the image");
            }
            if let Some(word) = command.iter().find(|word| word.contains(['\'', '\0'])) {
                refuse("make", word, "do without the characters ' and NUL");
            }
        }
        for pattern in recipe.remove.iter().filter(|pattern| !valid_pattern(pattern)) {
            refuse("remove", pattern, "use an absolute path without empty, . or .. components");
        }
        if let Some(mirror) = recipe.mirror.as_deref().filter(|mirror| !valid_mirror(mirror)) {
            refuse("mirror", mirror, "use an address with a scheme, such as file:/…, or leave the key away");
        }
        if errors.is_empty() { Ok(recipe) } else { Err(errors) }
    }
}

/// All recipes, by name.
#[derive(Clone, Debug)]
pub struct Recipes(BTreeMap<String, Recipe>);

impl Recipes {
    /// Ours, and over them those of `<overrides>/images/*.toml`.
    ///
    /// # Errors
    /// Everything that is wrong in any of them, at once.
    pub fn load(overrides: Option<&Path>) -> Result<Self, Vec<RecipeError>> {
        let mut recipes = BTreeMap::new();
        let mut errors = Vec::new();
        let mut add = |file: &str, text: Result<String, RecipeError>| match text
            .map_err(|error| vec![error])
            .and_then(|text| Recipe::parse(file, &text))
        {
            Ok(recipe) => drop(recipes.insert(recipe.name.clone(), recipe)),
            Err(mut found) => errors.append(&mut found),
        };
        for (file, text) in EMBEDDED {
            add(file, Ok((*text).to_owned()));
        }
        let added = files_in(overrides, "images", "toml");
        for (name, path) in added.map_err(|(dir, source)| vec![RecipeError::List { dir, source }])? {
            let file = format!("{name}.toml");
            let text = fs::read_to_string(&path).map_err(|source| RecipeError::Read { file: file.clone(), source });
            add(&file, text);
        }
        if errors.is_empty() { Ok(Self(recipes)) } else { Err(errors) }
    }

    /// The recipe of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Recipe> {
        self.0.get(name)
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Recipe> {
        self.0.values()
    }
}

/// What a name has to be.
pub(super) const NAME: &str = "use at most 32 lower-case letters, digits and hyphens, a letter first";

/// Whether an image can have this name. It becomes part of a directory's name.
pub(super) fn valid_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Lower-case letters, digits and `others`, none of the latter first: it becomes an argument of mmdebstrap, which gives
/// `-`, `,`, `~` and `?` meanings of their own.
fn valid_word(word: &str, others: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    word.len() <= 128
        && word.bytes().next().is_some_and(plain)
        && word.bytes().all(|byte| plain(byte) || others.contains(&byte))
}

/// Whether mmdebstrap takes this for an address and not for an option, a file or a line of sources.list.
pub(super) fn valid_mirror(mirror: &str) -> bool {
    mirror.starts_with(|first: char| first.is_ascii_lowercase())
        && mirror.contains(":/")
        && mirror.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(files: &[(&str, &str)]) -> Result<Recipes, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("images")).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join("images").join(name), text).unwrap();
        }
        Recipes::load(Some(dir.path()))
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn the_embedded_recipes_are_complete_without_a_settings_directory() {
        let recipes = Recipes::load(None).unwrap();
        assert_eq!(recipes.iter().map(|recipe| recipe.name.as_str()).collect::<Vec<_>>(), ["gcc", "java", "python"]);
        assert!(recipes.iter().all(|recipe| recipe.mirror.is_none()), "no recipe of ours names a host");
        assert!(Recipes::load(Some(Path::new("/nonexistent"))).is_ok());
    }

    #[test]
    fn a_file_replaces_or_adds() {
        let recipes = load(&[
            ("python.toml", "name='python'\nsuite='trixie'\npackages=['python3']"),
            ("perl.toml", "name='perl'\nsuite='trixie'\npackages=['perl']\nremove=['/opt']\nmirror='file:/srv/debian'"),
            ("notes.txt", "not a recipe"),
            (".perl.toml.swp", "not a recipe"),
        ])
        .unwrap();
        assert_eq!(recipes.get("python").unwrap().suite, "trixie");
        assert_eq!(recipes.get("perl").unwrap().mirror.as_deref(), Some("file:/srv/debian"));
        assert_eq!(recipes.iter().count(), 4);
        assert!(recipes.get("ruby").is_none());
    }

    #[test]
    fn everything_else_is_refused_by_name_and_value() {
        for (text, expected) in [
            ("name='x'\nsuite='s'\npackages=['p']\ncolour='red'", "colour"),
            ("name='x'\nsuite='s'", "packages"),
            ("name='x'\nsuite='s'\npackages='p'", "invalid type"),
            ("name='x'\nsuite='s'\npackages=[]", "packages is \"[]\""),
            ("name='y'\nsuite='s'\npackages=['p']", "name is \"y\""),
            ("name='../x'\nsuite='s'\npackages=['p']", "name is \"../x\""),
            ("name='x'\nsuite='--simulate'\npackages=['p']", "suite is \"--simulate\""),
            ("name='x'\nsuite='a/b'\npackages=['p']", "suite is \"a/b\""),
            ("name='x'\nsuite='s'\npackages=['p,q']", "packages is \"p,q\""),
            ("name='x'\nsuite='s'\npackages=['?essential']", "packages is \"?essential\""),
            ("name='x'\nsuite='s'\npackages=['./p.deb']", "packages is \"./p.deb\""),
            ("name='x'\nsuite='s'\npackages=['p']\nremove=['usr']", "remove is \"usr\""),
            ("name='x'\nsuite='s'\npackages=['p']\nremove=['/a/../b']", "remove is \"/a/../b\""),
            ("name='x'\nsuite='s'\npackages=['p']\nmirror='--help'", "mirror is \"--help\""),
            ("name='x'\nsuite='s'\npackages=['p']\nmirror='deb file:/a b c'", "mirror is"),
            ("name = ", "x.toml"),
        ] {
            let message = load(&[("x.toml", text)]).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let message = load(&[("a.toml", "name='A'\nsuite='S'\npackages=[]"), ("b.toml", "nonsense")]).unwrap_err();
        for expected in ["use at most 32", "suite is \"S\"", "packages is", "b.toml"] {
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn the_digest_covers_every_field() {
        let base = Recipes::load(None).unwrap().get("gcc").unwrap().clone();
        let changes: [fn(&mut Recipe); 5] = [
            |recipe| recipe.name.push('x'),
            |recipe| recipe.suite.push('x'),
            |recipe| recipe.packages.push("make".to_owned()),
            |recipe| recipe.remove.push("/opt".to_owned()),
            |recipe| recipe.mirror = Some("file:/srv".to_owned()),
        ];
        for change in changes {
            let mut changed = base.clone();
            change(&mut changed);
            assert_ne!(changed.digest(), base.digest());
        }
        assert_eq!(base.clone().digest(), base.digest());
    }
}
