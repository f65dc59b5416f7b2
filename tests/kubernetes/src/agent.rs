//! The agent on the node: its pod, its metrics, its records.

use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{cluster::Cluster, records, wait};

/// Where the pods of the agent are.
const NAMESPACE: &str = "nodeprobe";
/// Where the test's overlay has it write, on the node.
const LOG: &str = "/var/lib/kubelet/nodeprobe-log";

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
        self.page_at(&self.address()?, path)
    }

    /// Address of its pod.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub fn address(&self) -> Result<String> {
        let pod = self.pod()?;
        let address = pod["status"]["podIP"]
            .as_str()
            .context("it has no address")?;
        Ok(address.to_owned())
    }

    fn page_at(&self, address: &str, path: &str) -> Result<String> {
        let url = format!("http://{address}:9435{path}");
        self.cluster
            .on_node(&["curl", "-s", "-m", "10", "--fail-with-body", &url])
    }

    /// As [`Self::sum`], of an agent whose address is known, so that no API server is needed.
    ///
    /// # Errors
    ///
    /// If the agent does not answer.
    pub fn sum_at(&self, address: &str, name: &str, parts: &[&str]) -> Result<f64> {
        Ok(sum(
            &samples(&self.page_at(address, "/metrics")?, name),
            parts,
        ))
    }

    /// Samples of a metric: labels and value.
    ///
    /// # Errors
    ///
    /// If the agent does not answer.
    pub fn samples(&self, name: &str) -> Result<Vec<(String, f64)>> {
        Ok(samples(&self.page("/metrics")?, name))
    }

    /// The sum of a metric's samples whose labels have all of these parts.
    ///
    /// # Errors
    ///
    /// If the agent does not answer.
    pub fn sum(&self, name: &str, parts: &[&str]) -> Result<f64> {
        Ok(sum(&self.samples(name)?, parts))
    }

    /// Records of a log that the test's overlay writes: `flows` or `audit`.
    ///
    /// # Errors
    ///
    /// If the files are not there.
    pub fn records(&self, log: &str) -> Result<Vec<Value>> {
        let folder = self.cluster.path(LOG);
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

fn samples(page: &str, name: &str) -> Vec<(String, f64)> {
    let of_name = |line: &str| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        let is_it = labels.is_empty() || labels.starts_with('{');
        is_it.then(|| Some((labels.to_owned(), value.parse().ok()?)))?
    };
    page.lines().filter_map(of_name).collect()
}

fn sum(samples: &[(String, f64)], parts: &[&str]) -> f64 {
    let has_all = |labels: &str| parts.iter().all(|part| labels.contains(part));
    let matching = samples.iter().filter(|(labels, _)| has_all(labels));
    matching.map(|(_, value)| value).sum()
}
