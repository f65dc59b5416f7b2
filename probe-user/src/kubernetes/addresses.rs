//! Who had an address, and when.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use probe_policy::model::{Owner, Pod};

use super::pods::PodFacts;
use crate::limits;

/// How long it is remembered who had an address before.
const KEPT: Duration = Duration::from_secs(600);

/// How far the time of a flow may be from the time at which an address was somebody's: watches run behind.
const SLACK: Duration = Duration::from_secs(30);

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Namespace of the pod; empty of a node.
    pub namespace: String,
    /// The pod; empty of a node.
    pub pod: String,
    /// Its uid; empty of a node.
    pub uid: String,
    /// What the pod belongs to; of a node itself.
    pub workload: Owner,
}

impl Peer {
    /// A pod.
    pub(super) fn of_pod(pod: &Pod, facts: &PodFacts) -> Self {
        Self {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            uid: facts.uid.clone(),
            workload: facts.workload.clone(),
        }
    }

    /// A node.
    pub(super) fn of_node(name: &str) -> Self {
        Self {
            namespace: String::new(),
            pod: String::new(),
            uid: String::new(),
            workload: Owner {
                kind: "Node".to_owned(),
                name: name.to_owned(),
            },
        }
    }
}

/// One time in which somebody had an address.
#[derive(Clone, Debug)]
struct Tenancy {
    from: Duration,
    until: Option<Duration>,
    who: (String, String),
    peer: Arc<Peer>,
}

impl Tenancy {
    /// How far a time is from it.
    fn distance(&self, at: Duration) -> Duration {
        let after = self
            .until
            .map_or(Duration::ZERO, |until| at.saturating_sub(until));
        self.from.saturating_sub(at).max(after)
    }
}

/// All addresses. Times are those of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    by_address: HashMap<IpAddr, Vec<Tenancy>>,
    /// The addresses that each has now.
    of: HashMap<(String, String), Vec<IpAddr>>,
    refused: u64,
    /// When it was last looked for what is old.
    expired_at: Duration,
}

impl Addresses {
    /// Somebody, called so, has these addresses and no other ones from now on.
    pub(super) fn set(
        &mut self,
        who: (&str, &str),
        addresses: &[IpAddr],
        peer: &Arc<Peer>,
        now: Duration,
    ) {
        let who = (who.0.to_owned(), who.1.to_owned());
        let before = self.of.get(&who).cloned().unwrap_or_default();
        for address in before.iter().filter(|it| !addresses.contains(it)) {
            self.close(*address, &who, now);
        }
        for address in addresses {
            self.open(*address, &who, peer, now);
        }
        if addresses.is_empty() {
            self.of.remove(&who);
        } else {
            self.of.insert(who, addresses.to_vec());
        }
    }

    /// Somebody has no address any more.
    pub(super) fn vacate(&mut self, who: (&str, &str), now: Duration) {
        let who = (who.0.to_owned(), who.1.to_owned());
        for address in self.of.remove(&who).unwrap_or_default() {
            self.close(address, &who, now);
        }
    }

    fn open(&mut self, address: IpAddr, who: &(String, String), peer: &Arc<Peer>, now: Duration) {
        let has_room = self.by_address.len() < limits::KUBERNETES_ADDRESSES;
        if !has_room && !self.by_address.contains_key(&address) {
            self.refused += 1;
            return;
        }
        let tenancies = self.by_address.entry(address).or_default();
        if let Some(last) = tenancies.last_mut()
            && last.until.is_none()
        {
            if last.peer == *peer {
                return;
            }
            last.until = Some(now);
        }
        tenancies.push(Tenancy {
            from: now,
            until: None,
            who: who.clone(),
            peer: peer.clone(),
        });
        // Of an address that goes round quickly, the last ones are enough.
        if tenancies.len() > 8 {
            tenancies.remove(0);
        }
    }

    fn close(&mut self, address: IpAddr, who: &(String, String), now: Duration) {
        let last = self
            .by_address
            .get_mut(&address)
            .and_then(|all| all.last_mut());
        // Another one may have it by now.
        if let Some(last) = last.filter(|last| last.who == *who) {
            last.until.get_or_insert(now);
        }
    }

    /// Who had an address at a time, as far as that is known.
    pub(super) fn at(&self, address: IpAddr, at: Duration) -> Option<&Arc<Peer>> {
        let tenancies = self.by_address.get(&address.to_canonical())?;
        // The later one of two that are as near.
        let nearest = tenancies.iter().rev().min_by_key(|it| it.distance(at))?;
        (nearest.distance(at) <= SLACK).then_some(&nearest.peer)
    }

    /// Forgets who had addresses long ago. Looks at all of them, so not each time.
    pub(super) fn expire(&mut self, now: Duration) {
        if now.saturating_sub(self.expired_at) < KEPT / 10 {
            return;
        }
        self.expired_at = now;
        self.by_address.retain(|_, tenancies| {
            tenancies.retain(|it| {
                it.until
                    .is_none_or(|until| now.saturating_sub(until) < KEPT)
            });
            !tenancies.is_empty()
        });
    }

    /// Addresses that found no room.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Addresses that are known.
    pub(super) fn len(&self) -> usize {
        self.by_address.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> Arc<Peer> {
        Arc::new(Peer {
            namespace: "shop".into(),
            pod: name.into(),
            uid: name.into(),
            workload: Owner {
                kind: "Deployment".into(),
                name: name.into(),
            },
        })
    }

    #[test]
    fn an_address_that_goes_to_another_pod_is_that_of_who_had_it_then() {
        let at = Duration::from_secs;
        let address: IpAddr = [10, 0, 0, 1].into();
        let mut addresses = Addresses::default();
        let who = |addresses: &Addresses, seconds| {
            addresses
                .at(address, at(seconds))
                .map(|peer| peer.pod.clone())
        };
        addresses.set(("shop", "a"), &[address], &peer("a"), at(100));
        addresses.set(("shop", "a"), &[], &peer("a"), at(200));
        addresses.set(("shop", "b"), &[address], &peer("b"), at(300));
        assert_eq!(who(&addresses, 60), None);
        assert_eq!(who(&addresses, 80).as_deref(), Some("a"));
        assert_eq!(who(&addresses, 150).as_deref(), Some("a"));
        assert_eq!(who(&addresses, 220).as_deref(), Some("a"));
        assert_eq!(who(&addresses, 250), None);
        assert_eq!(who(&addresses, 290).as_deref(), Some("b"));
        assert_eq!(who(&addresses, 3000).as_deref(), Some("b"));
        addresses.expire(at(801));
        assert_eq!(who(&addresses, 150), None);
        assert_eq!(addresses.len(), 1);
    }

    #[test]
    fn who_comes_before_the_other_one_is_gone_has_the_address() {
        let at = Duration::from_secs;
        let address: IpAddr = [10, 0, 0, 1].into();
        let mut addresses = Addresses::default();
        addresses.set(("shop", "a"), &[address], &peer("a"), at(100));
        addresses.set(("shop", "b"), &[address], &peer("b"), at(200));
        // Said again of the first one, in between and at its end.
        addresses.set(("shop", "a"), &[], &peer("a"), at(210));
        assert_eq!(addresses.at(address, at(150)).unwrap().pod, "a");
        assert_eq!(addresses.at(address, at(205)).unwrap().pod, "b");
    }
}
