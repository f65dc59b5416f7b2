//! Which container was last seen at an address.
//!
//! A connection that comes to nothing has no socket at its other end, and manifests of a host without Kubernetes know no addresses
//! of pods. What sockets of containers had before tells whom it was for.

use std::{net::IpAddr, time::Duration};

use rustc_hash::FxHashMap;

use crate::{limits, model::Container};

/// How long an address is a container's after it was last seen there.
const KEPT: Duration = Duration::from_secs(600);

struct Resident {
    container: Container,
    seen: Duration,
}

/// Containers by address.
#[derive(Default)]
pub(super) struct Residents {
    by_address: FxHashMap<IpAddr, Resident>,
    refused: u64,
}

impl Residents {
    /// Notes that a container has an address. It must be the container's alone.
    pub(super) fn enter(&mut self, address: IpAddr, container: &Container, now: Duration) {
        if let Some(known) = self.by_address.get_mut(&address) {
            known.seen = now;
            if known.container.cgroup != container.cgroup {
                known.container = container.clone();
            }
            return;
        }
        if self.by_address.len() >= limits::RESIDENTS {
            self.by_address
                .retain(|_, resident| now.saturating_sub(resident.seen) < KEPT);
        }
        if self.by_address.len() >= limits::RESIDENTS {
            self.refused += 1;
            return;
        }
        let resident = Resident {
            container: container.clone(),
            seen: now,
        };
        self.by_address.insert(address, resident);
    }

    /// The container that has an address, as far as is known.
    pub(super) fn at(&self, address: IpAddr, now: Duration) -> Option<&Container> {
        let resident = self.by_address.get(&address)?;
        let is_fresh = now.saturating_sub(resident.seen) < KEPT;
        is_fresh.then_some(&resident.container)
    }

    /// Addresses that found no room.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use probe_common::id::CgroupId;

    use super::*;
    use crate::model::{Naming, Runtime};

    fn container(cgroup: u64) -> Container {
        Container {
            cgroup: CgroupId(cgroup),
            cgroup_path: String::new(),
            runtime: Runtime::Docker,
            id: None,
            namespace: String::new(),
            pod: String::new(),
            pod_uid: String::new(),
            name: "web".to_owned(),
            naming: Naming::Named,
        }
    }

    #[test]
    fn an_address_is_that_of_who_was_last_seen_there_and_not_for_ever() {
        let at = Duration::from_secs;
        let address: IpAddr = [10, 0, 0, 1].into();
        let mut residents = Residents::default();
        assert!(residents.at(address, at(1)).is_none());
        residents.enter(address, &container(7), at(10));
        residents.enter(address, &container(8), at(20));
        let cgroup = |residents: &Residents, now| residents.at(address, now).map(|it| it.cgroup);
        assert_eq!(cgroup(&residents, at(619)), Some(CgroupId(8)));
        assert_eq!(cgroup(&residents, at(620)), None);
    }

    #[test]
    fn there_is_room_for_so_many_and_the_rest_is_counted() {
        let mut residents = Residents::default();
        let addresses = (0..u32::try_from(limits::RESIDENTS).unwrap() + 3)
            .map(|n| IpAddr::from(std::net::Ipv4Addr::from_bits(n)));
        for address in addresses {
            residents.enter(address, &container(7), Duration::from_secs(1));
        }
        assert_eq!(residents.refused(), 3);
        residents.enter([1, 1, 1, 1].into(), &container(7), Duration::from_secs(700));
        assert_eq!(residents.by_address.len(), 1);
    }
}
