//! The files of the image.
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{
    sbom,
    shipped::{self, DOC},
    tree::Tree,
};

/// The user of the image. The agent needs root, which who runs it has to say.
pub(super) const USER: &str = "65532";

const PASSWD: &str =
    "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

pub(super) fn tree(binary: &Path, libraries: &[PathBuf], sbom: &str) -> Result<Tree> {
    let mut tree = Tree::default();
    tree.copy(binary, "usr/bin/nodeprobe", 0o755)?;
    for library in libraries {
        // At the path that the loader looks at, whatever it links to here.
        tree.copy(library, library, 0o755)?;
    }
    for package in sbom::package_names(libraries)? {
        let copyright = format!("usr/share/doc/{package}/copyright");
        let here = Path::new("/").join(&copyright);
        if here.exists() {
            tree.copy(&here, copyright, 0o644)?;
        }
    }
    tree.file("etc/passwd", 0o644, PASSWD);
    tree.file("etc/group", 0o644, GROUP);
    tree.folder("etc/nodeprobe", 0o755);
    tree.folder("tmp", 0o1777);
    tree.file(format!("{DOC}/sbom.cdx.json"), 0o644, sbom);
    shipped::add_licences(&mut tree)?;
    Ok(tree)
}
