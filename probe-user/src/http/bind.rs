//! Opens the listening socket, or says what to do.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// The agent cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else does.
    #[error(
        "cannot listen on {address}: another process does; find it with `ss -ltnp 'sport = :{}'` and stop it, or \
         choose another address with --listen ADDR:PORT",
        address.port()
    )]
    InUse {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// No interface has it.
    #[error(
        "cannot listen on {address}: no interface has this address; `ip address` lists those of this host, \
         0.0.0.0 and [::] stand for all of them"
    )]
    NotOurs {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// Not allowed.
    #[error(
        "cannot listen on {address}: not permitted; ports below 1024 need CAP_NET_BIND_SERVICE, choose another one \
         with --listen ADDR:PORT"
    )]
    Denied {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}; choose another address with --listen ADDR:PORT")]
    Other {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

/// Opens the listening socket. Port 0 takes a free one.
///
/// # Errors
///
/// If the address cannot be had.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { address },
            io::ErrorKind::AddrNotAvailable => BindError::NotOurs { address },
            io::ErrorKind::PermissionDenied => BindError::Denied { address },
            _ => BindError::Other { address, source },
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_the_remedy() {
        let first = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = first.local_addr().unwrap();
        let fault = bind(address).await.unwrap_err().to_string();
        assert!(
            fault.contains(&address.to_string()) && fault.contains("--listen"),
            "{fault}"
        );
        assert!(
            fault.contains(&format!("sport = :{}", address.port())),
            "{fault}"
        );
    }

    #[tokio::test]
    async fn an_address_of_another_host_is_not_ours() {
        // Documentation range of RFC 5737.
        let fault = bind(([192, 0, 2, 1], 0).into()).await.unwrap_err();
        assert!(matches!(fault, BindError::NotOurs { .. }), "{fault}");
    }
}
