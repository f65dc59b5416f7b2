//! Configurations of the parts.
use super::{node, state::State};

/// Addresses of pods.
pub(super) const PODS: &str = "10.78.0.0/24";
/// Addresses of services.
pub(super) const SERVICES: &str = "10.96.0.0/16";

/// A bridge, which enforces no policies.
pub(super) fn network() -> String {
    format!(
        r#"{{"cniVersion":"0.4.0","name":"np","plugins":[
 {{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,
  "ipam":{{"type":"host-local","ranges":[[{{"subnet":"{PODS}"}}]],"routes":[{{"dst":"0.0.0.0/0"}}]}}}},
 {{"type":"portmap","capabilities":{{"portMappings":true}}}}]}}
"#
    )
}

pub(super) fn containerd(state: &State) -> String {
    format!(
        r#"version = 2
root = "{}"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "/run/containerd/containerd.sock"
[ttrpc]
  address = "/run/containerd/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"#,
        state.path("containerd").display(),
        super::images::PAUSE,
    )
}

pub(super) fn kubelet(state: &State) -> String {
    let pki = state.path("pki");
    let pki = pki.display();
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {}
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: {pki}/ca.crt}}}}
authorization: {{mode: Webhook}}
tlsCertFile: {pki}/kubelet.crt
tlsPrivateKeyFile: {pki}/kubelet.key
cgroupDriver: cgroupfs
staticPodPath: /var/lib/kubelet/static
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: 20000
resolvConf: \"\"
clusterDomain: cluster.local
clusterDNS: [10.96.0.10]
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {{memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}}
nodeStatusUpdateFrequency: 2s
volumeStatsAggPeriod: 10m
",
        node::ADDRESS
    )
}

/// What the agent asks is logged, and nothing else.
pub(super) const AUDIT: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    users: [\"system:serviceaccount:nodeprobe:nodeprobe\"]
  - level: None
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_json() {
        let network: serde_json::Value = serde_json::from_str(&network()).unwrap();
        assert_eq!(
            network["plugins"][0]["ipam"]["ranges"][0][0]["subnet"],
            PODS
        );
    }

    #[test]
    fn the_configuration_of_containerd_is_toml() {
        let text = containerd(&State::place());
        assert!(text.parse::<toml::Table>().is_ok(), "{text}");
    }
}
