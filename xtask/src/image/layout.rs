//! An OCI image layout in a tar archive, with the file beside it that `docker load` of old looks
//! for.
use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use super::root::USER;
use crate::{
    shipped::{self, LICENCES, SUMMARY, VERSION},
    tree::Tree,
};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Packs an image of one layer.
pub(super) fn archive(root: &Tree, architecture: &str, time: u64) -> Result<Vec<u8>> {
    let plain = root.archive(Vec::new(), time)?;
    let layer = compressed(&plain)?;
    let config = config(&shipped::sha256(&plain), architecture, time).to_string();

    let mut blobs = Blobs::default();
    let config = blobs.add(CONFIG, config.into_bytes());
    let layer = blobs.add(LAYER, layer);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    });
    let manifest = blobs.add(MANIFEST, manifest.to_string().into_bytes());

    let mut tree = blobs.0;
    let index = index(&manifest, architecture).to_string();
    tree.file("index.json", 0o644, index);
    tree.file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#);
    let docker = json!([{
        "Config": config.path(),
        "RepoTags": [format!("nodeprobe:{VERSION}")],
        "Layers": [layer.path()],
    }]);
    tree.file("manifest.json", 0o644, docker.to_string());
    tree.archive(Vec::new(), time)
}

fn compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    // Its header has neither name nor time.
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn config(diff: &str, architecture: &str, time: u64) -> Value {
    let created = shipped::timestamp(time);
    json!({
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": USER,
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ["/usr/bin/nodeprobe"],
            "Cmd": ["agent"],
            "WorkingDir": "/",
            "ExposedPorts": {"9435/tcp": {}},
            "Labels": {
                "org.opencontainers.image.title": "nodeprobe",
                "org.opencontainers.image.description": SUMMARY,
                "org.opencontainers.image.version": VERSION,
                "org.opencontainers.image.licenses": LICENCES,
                "org.opencontainers.image.created": created,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{diff}")]},
        "history": [{"created": created, "created_by": "cargo xtask image"}],
    })
}

fn index(manifest: &Blob, architecture: &str) -> Value {
    let mut descriptor = manifest.descriptor();
    descriptor["platform"] = json!({"architecture": architecture, "os": "linux"});
    descriptor["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/library/nodeprobe:{VERSION}"),
        "org.opencontainers.image.ref.name": format!("nodeprobe:{VERSION}"),
    });
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor],
    })
}

/// Files that are called after their content.
#[derive(Default)]
struct Blobs(Tree);

struct Blob {
    kind: &'static str,
    digest: String,
    size: usize,
}

impl Blobs {
    fn add(&mut self, kind: &'static str, content: Vec<u8>) -> Blob {
        let blob = Blob {
            kind,
            digest: shipped::sha256(&content),
            size: content.len(),
        };
        self.0.file(blob.path(), 0o644, content);
        blob
    }
}

impl Blob {
    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest)
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.kind,
            "digest": format!("sha256:{}", self.digest),
            "size": self.size,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, io::Read as _};

    use super::*;

    fn files(archive: &[u8]) -> HashMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                (entry.path().unwrap().display().to_string(), content)
            })
            .collect()
    }

    fn image() -> Vec<u8> {
        let mut root = Tree::default();
        root.file("usr/bin/nodeprobe", 0o755, "program");
        archive(&root, "amd64", 0).unwrap()
    }

    #[test]
    fn every_reference_leads_to_a_blob_of_that_digest_and_size() {
        let files = files(&image());
        let read = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            let content = &files[&format!("blobs/{}", digest.replace(':', "/"))];
            assert_eq!(digest, format!("sha256:{}", shipped::sha256(content)));
            assert_eq!(descriptor["size"], content.len());
            content
        };
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let manifest: Value = serde_json::from_slice(read(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(read(&manifest["config"])).unwrap();
        let mut layer = Vec::new();
        flate2::read::GzDecoder::new(read(&manifest["layers"][0]).as_slice())
            .read_to_end(&mut layer)
            .unwrap();
        let diff = format!("sha256:{}", shipped::sha256(&layer));
        assert_eq!(config["rootfs"]["diff_ids"][0], diff);
    }

    #[test]
    fn docker_finds_the_same_blobs() {
        let files = files(&image());
        let docker: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        for path in [&docker[0]["Config"], &docker[0]["Layers"][0]] {
            assert!(files.contains_key(path.as_str().unwrap()), "{path}");
        }
    }

    #[test]
    fn the_same_files_give_the_same_image() {
        assert_eq!(image(), image());
    }
}
