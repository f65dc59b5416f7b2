//! Services by their addresses, and by those of what is behind them.

use std::{collections::HashMap, mem, net::IpAddr, sync::Arc};

use probe_policy::load::Store;

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// All services. They are joined when somebody asks after a change: slices change more often than anybody asks.
#[derive(Debug, Default)]
pub(super) struct Services {
    is_stale: bool,
    by_address: HashMap<IpAddr, Arc<ServiceName>>,
    by_backend: HashMap<(IpAddr, u16), Arc<ServiceName>>,
}

impl Services {
    /// An object of a kind has changed.
    pub(super) fn note(&mut self, kind: &str) {
        self.is_stale |= matches!(kind, "Service" | "EndpointSlice" | "Endpoints");
    }

    /// The service that has an address, or something behind it there.
    pub(super) fn find(
        &mut self,
        store: &Store,
        address: IpAddr,
        port: u16,
    ) -> Option<Arc<ServiceName>> {
        if mem::take(&mut self.is_stale) {
            self.join(store);
        }
        let address = address.to_canonical();
        let found = self.by_address.get(&address);
        found
            .or_else(|| self.by_backend.get(&(address, port)))
            .cloned()
    }

    fn join(&mut self, store: &Store) {
        self.by_address.clear();
        self.by_backend.clear();
        for service in store.services() {
            let name = Arc::new(ServiceName {
                namespace: service.namespace,
                name: service.name,
            });
            for address in service.addresses {
                self.by_address.insert(address, name.clone());
            }
            for backend in service.ports.iter().flat_map(|(_, _, backends)| backends) {
                // Of several services with one pod behind them, the first by name.
                let at = self
                    .by_backend
                    .entry((backend.address, backend.port))
                    .or_insert_with(|| name.clone());
                if name < *at {
                    *at = name.clone();
                }
            }
        }
    }
}
