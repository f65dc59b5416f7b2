//! What is asked of which API server.

use std::{env, path::PathBuf};

use super::Scope;
use crate::config::{Config, KubernetesNames};

/// Where the API server is and what is asked of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A file that says where it is and who asks; without one it is the service account of our own pod.
    pub kubeconfig: Option<PathBuf>,
    /// Name of our own node.
    pub node: String,
    /// Whose pods are watched.
    pub scope: Scope,
    /// Whether policies are watched.
    pub policies: bool,
    /// Whether Events are written.
    pub events: bool,
    /// Labels of pods that are kept.
    pub labels: Vec<String>,
    /// Annotations of pods that are kept.
    pub annotations: Vec<String>,
}

impl Settings {
    /// What the configuration asks for, where we are; `None` where nothing is asked.
    pub fn of(config: &Config) -> Option<Self> {
        // Every container of a pod has this, whether or not it may ask.
        let in_pod = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let wanted = &config.kubernetes;
        let scope = match wanted.names {
            KubernetesNames::Auto if wanted.policies => Scope::Cluster,
            KubernetesNames::Auto if in_pod || wanted.kubeconfig.is_some() => Scope::Node,
            KubernetesNames::Auto | KubernetesNames::Off => return None,
            KubernetesNames::Node => Scope::Node,
            KubernetesNames::Cluster => Scope::Cluster,
        };
        Some(Self {
            kubeconfig: wanted.kubeconfig.clone(),
            node: config.node.clone(),
            scope,
            policies: wanted.policies,
            events: wanted.events,
            labels: wanted.labels.clone(),
            annotations: wanted.annotations.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_ask_for_the_cluster_and_nothing_asks_for_nothing() {
        let mut config = Config::default();
        let of = |config: &Config| Settings::of(config).map(|it| it.scope);
        config.kubernetes.kubeconfig = Some("/k".into());
        assert_eq!(of(&config), Some(Scope::Node));
        config.kubernetes.policies = true;
        assert_eq!(of(&config), Some(Scope::Cluster));
        config.kubernetes.names = KubernetesNames::Off;
        assert_eq!(of(&config), None);
    }
}
