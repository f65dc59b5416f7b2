//! Where the container runtimes are, on the command line of every command that names containers.

use std::path::PathBuf;

use clap::Args;

use super::environment;
use crate::config::{self, Config, ConfigError, SocketKind, Sources, socket_path};

/// Sockets of runtimes.
#[derive(Args, Clone, Debug, Default)]
pub struct SocketArgs {
    /// Socket of a container runtime that is queried besides the usual ones; KIND is docker, podman, containerd or cri; may be
    /// repeated
    #[arg(long = "runtime", value_name = "KIND=SOCKET", value_parser = socket)]
    pub sockets: Vec<(SocketKind, PathBuf)>,
}

impl SocketArgs {
    /// Adds the sockets to those of a configuration.
    pub fn add_to(&self, config: &mut Config) {
        for (kind, socket) in &self.sockets {
            config.runtimes.add(*kind, socket.clone());
        }
    }
}

/// Sockets of runtimes, and a configuration that has more.
#[derive(Args, Clone, Debug, Default)]
pub struct RuntimeArgs {
    /// Sockets.
    #[command(flatten)]
    pub sockets: SocketArgs,

    /// Configuration of the agent whose `runtimes` are queried
    #[arg(long, value_name = "FILE", env = "NODEPROBE_CONFIG")]
    pub config: Option<PathBuf>,
}

impl RuntimeArgs {
    /// The configuration with the sockets of the command line.
    ///
    /// # Errors
    ///
    /// As [`config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config = config::load(&Sources {
            file: self.config.clone(),
            environment: environment(),
            arguments: Vec::new(),
        })?;
        self.sockets.add_to(&mut config);
        Ok(config)
    }
}

fn socket(text: &str) -> Result<(SocketKind, PathBuf), String> {
    let allowed = || "must be KIND=SOCKET, with docker, podman, containerd or cri for KIND";
    let (word, path) = text.split_once('=').ok_or_else(allowed)?;
    let (_, kind) = SocketKind::WORDS
        .into_iter()
        .find(|(known, _)| *known == word)
        .ok_or_else(allowed)?;
    Ok((kind, socket_path(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_told_with_its_kind() {
        let path = PathBuf::from("/run/user/1000/docker.sock");
        for text in [
            "docker=/run/user/1000/docker.sock",
            "docker=unix:///run/user/1000/docker.sock",
        ] {
            assert_eq!(
                socket(text),
                Ok((SocketKind::Docker, path.clone())),
                "{text}"
            );
        }
        for text in [
            "/run/docker.sock",
            "rkt=/run/rkt.sock",
            "docker=relative",
            "cri=",
        ] {
            assert!(socket(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sockets_of_the_command_line_come_before_those_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nodeprobe.toml");
        std::fs::write(&file, "runtimes.docker = [\"/run/b.sock\"]").unwrap();
        let args = RuntimeArgs {
            sockets: SocketArgs {
                sockets: vec![(SocketKind::Docker, "/run/a.sock".into())],
            },
            config: Some(file),
        };
        let docker = args.load().unwrap().runtimes.docker;
        let ours: Vec<_> = docker.iter().rev().take(2).rev().collect();
        assert_eq!(
            ours,
            ["/run/a.sock", "/run/b.sock"]
                .map(PathBuf::from)
                .iter()
                .collect::<Vec<_>>()
        );
    }
}
