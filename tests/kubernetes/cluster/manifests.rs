//! What is shipped is taken by a real API server.

use std::path::Path;

#[test]
fn the_api_server_takes_every_overlay() {
    let Some(cluster) = super::cluster() else {
        return;
    };
    let overlays = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes/overlays");
    for name in ["least-privilege", "names", "policy-audit", "privileged"] {
        let overlay = overlays.join(name);
        let apply = [
            "apply",
            "--dry-run=server",
            "-k",
            &overlay.to_string_lossy(),
        ];
        let said = cluster.kubectl(&apply).unwrap();
        assert!(said.contains("daemonset.apps/nodeprobe"), "{name}: {said}");
    }
}
