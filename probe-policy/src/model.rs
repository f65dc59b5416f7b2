//! A cluster as policies see it: namespaces, pods, nodes, services, and the policies themselves.

mod inventory;
mod policy;
mod protocol;
mod rule;
mod selector;

pub use inventory::{
    ANNOTATIONS, Backend, Cluster, ContainerPort, Labels, NAME_LABEL, Node, Owner, Phase, Pod,
    Service,
};
pub use policy::{Body, Direction, Invalid, Kind, NetworkPolicy, Policy, Tier, TieredPolicy};
pub use protocol::{Protocol, UnknownProtocol};
pub use rule::{Action, Block, Namespaces, Peer, Port, PortMatch, Rule};
pub use selector::{Operator, Requirement, Selector};
