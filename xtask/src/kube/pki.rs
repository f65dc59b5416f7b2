//! Keys, certificates and kubeconfigs, which live as long as the cluster.
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::node;
use crate::process::Cmd;

/// Everybody with a token: file, user and groups.
const USERS: &[(&str, &str, &str)] = &[
    ("admin", "admin", "system:masters"),
    ("kcm", "system:kube-controller-manager", ""),
    ("sched", "system:kube-scheduler", ""),
    ("proxy", "system:kube-proxy", ""),
    ("kubelet", "system:node:node1", "system:nodes"),
];

/// Certificates: file, subject and extensions.
const CERTIFICATES: &[(&str, &str, &str)] = &[
    (
        "apiserver",
        "/CN=kube-apiserver",
        "extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1,IP:172.30.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc",
    ),
    (
        "kubelet",
        "/O=system:nodes/CN=system:node:node1",
        "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=IP:172.30.0.1,DNS:node1",
    ),
    (
        "apiserver-kubelet-client",
        "/O=system:masters/CN=apiserver-kubelet-client",
        "extendedKeyUsage=clientAuth",
    ),
];

/// Makes all of it in a folder.
pub(super) fn make(folder: &Path) -> Result<()> {
    let file = |name: &str| folder.join(name);
    key(&file("ca.key"))?;
    openssl(folder)
        .args([
            "req",
            "-x509",
            "-new",
            "-key",
            "ca.key",
            "-subj",
            "/CN=np-kube",
        ])
        .args(["-days", "30", "-out", "ca.crt"])
        .args(["-addext", "basicConstraints=critical,CA:TRUE"])
        .args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        .read()?;
    for (name, subject, extensions) in CERTIFICATES {
        certificate(folder, name, subject, extensions)?;
    }
    key(&file("sa.key"))?;
    openssl(folder)
        .args(["ec", "-in", "sa.key", "-pubout", "-out", "sa.pub"])
        .read()?;
    let authority = openssl(folder)
        .args(["base64", "-A", "-in", "ca.crt"])
        .read()?;
    let mut tokens = String::new();
    for (name, user, groups) in USERS {
        let token = openssl(folder).args(["rand", "-hex", "16"]).read()?;
        tokens.push_str(&format!("{token},{user},{user},\"{groups}\"\n"));
        secret(
            &file(&format!("{name}.kubeconfig")),
            &kubeconfig(&authority, &token),
        )?;
    }
    secret(&file("tokens.csv"), &tokens)
}

/// Where the kubeconfig of a user is.
pub(super) fn kubeconfig_of(folder: &Path, user: &str) -> PathBuf {
    folder.join(format!("{user}.kubeconfig"))
}

fn certificate(folder: &Path, name: &str, subject: &str, extensions: &str) -> Result<()> {
    let file = |end: &str| format!("{name}.{end}");
    key(&folder.join(file("key")))?;
    openssl(folder)
        .args([
            "req",
            "-new",
            "-key",
            &file("key"),
            "-subj",
            subject,
            "-out",
            &file("csr"),
        ])
        .read()?;
    let all = format!("basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n{extensions}\n");
    fs::write(folder.join(file("ext")), all)?;
    openssl(folder)
        .args([
            "x509",
            "-req",
            "-in",
            &file("csr"),
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
        ])
        .args([
            "-CAcreateserial",
            "-days",
            "30",
            "-out",
            &file("crt"),
            "-extfile",
            &file("ext"),
        ])
        .read()?;
    Ok(())
}

fn key(path: &Path) -> Result<()> {
    Cmd::new("openssl")
        .args([
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
        ])
        .arg(path)
        .read()?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

fn openssl(folder: &Path) -> Cmd {
    Cmd::new("openssl").dir(folder)
}

fn secret(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

fn kubeconfig(authority: &str, token: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: np-kube, cluster: {{server: \"https://{}:6443\", certificate-authority-data: {authority}}}}}]
users: [{{name: u, user: {{token: {token}}}}}]
contexts: [{{name: np-kube, context: {{cluster: np-kube, user: u}}}}]
current-context: np-kube
",
        node::ADDRESS
    )
}
