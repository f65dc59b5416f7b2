//! The agent on the node: its pod, its metrics, its records.

use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{cluster::Cluster, records, wait};

/// Where the pods of the agent are.
const NAMESPACE: &str = "nodeprobe";

/// The agent, by the pod that runs now.
#[derive(Debug)]
pub struct Agent<'a> {
    cluster: &'a Cluster,
}

impl<'a> Agent<'a> {
    /// Of a cluster. Waits until it is ready.
    pub fn ready(cluster: &'a Cluster) -> Self {
        let agent = Self { cluster };
        wait::within(180, "the agent is ready", || {
            let pod = agent.pod()?;
            let is_ready = pod["status"]["containerStatuses"][0]["ready"] == true;
            let is_leaving = !pod["metadata"]["deletionTimestamp"].is_null();
            Ok((is_ready && !is_leaving).then_some(()))
        });
        agent
    }

    /// Its pod.
    ///
    /// # Errors
    ///
    /// If there is not exactly one.
    pub fn pod(&self) -> Result<Value> {
        let list = self.cluster.get(&["pods", "-n", NAMESPACE])?;
        match list["items"].as_array().map(Vec::as_slice) {
            Some([pod]) => Ok(pod.clone()),
            other => bail!("{} pods of the agent", other.map_or(0, <[Value]>::len)),
        }
    }

    /// What a GET of a page gives.
    ///
    /// # Errors
    ///
    /// If the agent does not answer.
    pub fn page(&self, path: &str) -> Result<String> {
        let pod = self.pod()?;
        let address = pod["status"]["podIP"].as_str().context("it has no address")?;
        let url = format!("http://{address}:9435{path}");
        self.cluster
            .on_node(&["curl", "-s", "-m", "10", "--fail-with-body", &url])
    }

    /// Samples of a metric: labels and value.
    ///
    /// # Errors
    ///
    /// If the agent does not answer.
    pub fn samples(&self, name: &str) -> Result<Vec<(String, f64)>> {
        let page = self.page("/metrics")?;
        let samples = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            let is_it = labels.is_empty() || labels.starts_with('{');
            is_it.then(|| Some((labels.to_owned(), value.parse().ok()?)))?
        });
        Ok(samples.collect())
    }

    /// The sum of a metric's samples whose labels have all of these parts.
    ///
    /// # Errors
    ///
    /// If the agent does not answer.
    pub fn sum(&self, name: &str, parts: &[&str]) -> Result<f64> {
        let samples = self.samples(name)?;
        let matching = samples
            .iter()
            .filter(|(labels, _)| parts.iter().all(|part| labels.contains(part)));
        Ok(matching.map(|(_, value)| value).sum())
    }

    /// Records of a log that the test's overlay writes: `flows` or `audit`.
    ///
    /// # Errors
    ///
    /// If the files are not there.
    pub fn records(&self, log: &str) -> Result<Vec<Value>> {
        let pod = self.pod()?;
        let uid = pod["metadata"]["uid"].as_str().context("it has no uid")?;
        let folder = self.cluster.path(&format!(
            "/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/log"
        ));
        let mut files: Vec<_> = fs::read_dir(&folder)
            .with_context(|| format!("read {}", folder.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().contains(log))
            .collect();
        files.sort();
        let mut all = Vec::new();
        for file in files {
            all.extend(records::read(&fs::read_to_string(file)?));
        }
        Ok(all)
    }

    /// What it wrote to its log.
    ///
    /// # Errors
    ///
    /// If kubectl fails.
    pub fn log(&self) -> Result<String> {
        self.cluster
            .kubectl(&["logs", "-n", NAMESPACE, "daemonset/nodeprobe", "--tail=-1"])
    }
}
