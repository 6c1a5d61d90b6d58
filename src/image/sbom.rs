//! The list of an image's packages as SPDX 2.3 in JSON, for whoever matches them with known holes. Made from the manifest,
//! which has what dpkg said when the tree was made. Of an imported image: what the lists that it brought say, and what its
//! configuration says of versions, for much of what such images are for is in no list.

use serde_json::{Value, json};

use crate::image::images::Image;
use crate::image::manifest::{Manifest, Package, Source};

/// The SPDX document of `image` (SPDX specification 2.3, JSON; package URLs of the type `deb`).
#[must_use]
pub fn spdx(image: &Image) -> Value {
    let (manifest, digest) = (image.manifest(), image.digest.to_string());
    let root = "SPDXRef-image";
    let ecosystem = manifest.source.as_ref().and_then(|source| source.ecosystem.as_deref()).unwrap_or("deb/debian");
    let supplier = match ecosystem.rsplit('/').next().unwrap_or_default() {
        "debian" => "Debian",
        other => other,
    };
    let mut packages = vec![json!({
        "SPDXID": root,
        "name": format!("casemate-{}", image.name),
        "versionInfo": digest,
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "comment": origin(manifest),
    })];
    let mut relationships = vec![related("SPDXRef-DOCUMENT", "DESCRIBES", root)];
    for package in &manifest.packages {
        let id = format!("SPDXRef-deb-{}", plain(&format!("{}-{}", package.name, package.architecture)));
        relationships.push(related(root, "CONTAINS", &id));
        packages.push(json!({
            "SPDXID": id,
            "name": package.name,
            "versionInfo": package.version,
            "supplier": format!("Organization: {supplier}"),
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl(ecosystem, package),
            }],
        }));
    }
    for (name, variable, version) in manifest.source.iter().flat_map(versions) {
        let id = format!("SPDXRef-env-{}", plain(&name));
        relationships.push(related(root, "CONTAINS", &id));
        packages.push(json!({
            "SPDXID": id,
            "name": name,
            "versionInfo": version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "comment": format!("in no list of packages; the image's configuration says {variable}={version}"),
        }));
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("casemate image {}", image.name),
        "documentNamespace": format!("urn:casemate:image:{}:{digest}", image.name),
        "creationInfo": {
            "created": manifest.built_at,
            "creators": [concat!("Tool: casemate-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    })
}

/// What the image was made from.
fn origin(manifest: &Manifest) -> String {
    let Some(source) = &manifest.source else { return format!("recipe {}", manifest.recipe) };
    let name = source.name.as_deref().unwrap_or("an image without a name");
    format!("imported from {name} ({}), id sha256:{}", source.platform, source.id)
}

/// What variables such as `PYTHON_VERSION` say: a name, the variable, and the version.
fn versions(source: &Source) -> impl Iterator<Item = (String, &str, &str)> {
    let said = source.env.iter().filter_map(|variable| variable.split_once('='));
    let name = |variable: &str| Some(variable.strip_suffix("_VERSION")?.to_ascii_lowercase().replace('_', "-"));
    let fine = |text: &str| !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic());
    said.filter(move |(variable, version)| fine(variable) && fine(version))
        .filter_map(move |(variable, version)| Some((name(variable)?, variable, version)))
}

fn related(from: &str, how: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to})
}

/// Of an identifier only letters, digits, full stop and hyphen (SPDX 2.3, 3.2).
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}

/// The package URL, its type and namespace given; in a version everything but unreserved characters and the colon is written in hexadecimal.
fn purl(ecosystem: &str, package: &Package) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b if b.is_ascii_alphanumeric() || b"-._~:".contains(&b) => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            })
            .collect()
    };
    format!("pkg:{ecosystem}/{}@{}?arch={}", encode(&package.name), encode(&package.version), package.architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_its_url() {
        let package = |name: &str, version: &str| Package {
            name: name.to_owned(),
            architecture: "amd64".to_owned(),
            version: version.to_owned(),
        };
        let plus = purl("deb/debian", &package("libstdc++6", "1:2.36.1-8+deb11u2~x"));
        assert_eq!(plus, "pkg:deb/debian/libstdc%2B%2B6@1:2.36.1-8%2Bdeb11u2~x?arch=amd64");
        assert_eq!(plain("libstdc++6-amd64"), "libstdc--6-amd64");
    }
}
