//! Ports of rules.

use super::{direction::Question, same};
use crate::model::{Port, PortMatch};

/// Whether a rule's ports match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortFound {
    /// One of them, or `None` for a rule that matches all.
    Yes(Option<usize>),
    No,
    /// None, and one is by a name that the destination does not have.
    NoSuchName,
}

impl Question<'_> {
    pub(super) fn port_of(&self, policy: u32, rule: usize) -> PortFound {
        let Some(ports) = self.engine.compiled.ports(self.direction, policy, rule) else {
            return PortFound::Yes(None);
        };
        if let Some(index) = ports.iter().position(|port| self.port_matches(port)) {
            return PortFound::Yes(Some(index));
        }
        let nameless = |port: &Port| {
            matches!(port.port, PortMatch::Named(_)) && self.named(port).next().is_none()
        };
        if ports.iter().any(nameless) {
            PortFound::NoSuchName
        } else {
            PortFound::No
        }
    }

    fn port_matches(&self, port: &Port) -> bool {
        let connection = self.connection;
        if !connection.protocol.is_policed() || !same(port.protocol, connection.protocol) {
            return false;
        }
        match &port.port {
            PortMatch::Any => true,
            PortMatch::Range(first, last) => (*first..=*last).contains(&connection.port),
            PortMatch::Named(_) => self.named(port).any(|(protocol, number)| {
                (protocol, number) == (connection.protocol, connection.port)
            }),
            PortMatch::Unknown => false,
        }
    }

    /// Ports of the destination's containers that have the name, which may be several and of different protocols.
    fn named<'p>(
        &'p self,
        port: &'p Port,
    ) -> impl Iterator<Item = (crate::model::Protocol, u16)> + 'p {
        let identities = &self.engine.identities.all;
        let ports = self
            .destination
            .identity
            .map(|identity| identities[identity as usize].ports.as_slice())
            .unwrap_or_default();
        let has_name = move |name: Option<&str>| matches!(&port.port, PortMatch::Named(wanted) if name == Some(wanted.as_str()));
        ports
            .iter()
            .filter(move |declared| has_name(declared.name.as_deref()))
            .filter(|declared| same(port.protocol, declared.protocol))
            .map(|declared| (declared.protocol, declared.number))
    }
}
