//! Rules in words, for people who did not write them.

use std::fmt::{self, Display};

use crate::model::{Block, Namespaces, Peer, Port, PortMatch, Rule};

impl Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pods { namespaces, pods } => {
                if pods.is_everything() {
                    f.write_str("all pods")?;
                } else {
                    write!(f, "pods with {pods}")?;
                }
                match namespaces {
                    Namespaces::Own(name) => write!(f, " of namespace {name}"),
                    Namespaces::Selected(all) if all.is_everything() => {
                        f.write_str(" of all namespaces")
                    }
                    Namespaces::Selected(some) => write!(f, " of namespaces with {some}"),
                }
            }
            Self::Block(block) => block.fmt(f),
            Self::Nodes(selector) if selector.is_everything() => f.write_str("all nodes"),
            Self::Nodes(selector) => write!(f, "nodes with {selector}"),
            Self::Domains(names) => write!(f, "{}", names.join(", ")),
            Self::Unknown => f.write_str("a kind of peer that is not known"),
        }
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cidr)?;
        for (index, hole) in self.except.iter().enumerate() {
            f.write_str(if index == 0 { " without " } else { " and " })?;
            write!(f, "{hole}")?;
        }
        Ok(())
    }
}

impl Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(protocol) = self.protocol {
            write!(f, "{protocol} ")?;
        }
        match &self.port {
            PortMatch::Any => f.write_str("any port"),
            PortMatch::Range(first, last) if first == last => write!(f, "{first}"),
            PortMatch::Range(first, last) => write!(f, "{first}-{last}"),
            PortMatch::Named(name) => write!(f, "\"{name}\""),
            PortMatch::Unknown => f.write_str("a kind of port that is not known"),
        }
    }
}

impl Rule {
    /// Who it is about.
    pub fn describe_peers(&self) -> String {
        match &self.peers {
            None => "anyone".to_owned(),
            Some(peers) => list(peers, "; or "),
        }
    }

    /// Which ports it is about.
    pub fn describe_ports(&self) -> String {
        match &self.ports {
            None => "any port of any protocol".to_owned(),
            Some(ports) => list(ports, ", "),
        }
    }
}

fn list(items: &[impl Display], between: &str) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Protocol, Requirement, Selector};

    #[test]
    fn a_rule_can_be_read_by_those_who_did_not_write_it() {
        let rule = Rule {
            name: None,
            action: Action::Accept,
            peers: Some(vec![
                Peer::Pods {
                    namespaces: Namespaces::Own("shop".into()),
                    pods: Selector {
                        requirements: vec![Requirement::label("app", "web")],
                    },
                },
                Peer::Block(Block {
                    cidr: "10.0.0.0/8".parse().unwrap(),
                    except: vec!["10.1.0.0/16".parse().unwrap()],
                }),
            ]),
            ports: Some(vec![
                Port {
                    protocol: Some(Protocol::Tcp),
                    port: PortMatch::Range(80, 81),
                },
                Port {
                    protocol: Some(Protocol::Udp),
                    port: PortMatch::Named("dns".into()),
                },
            ]),
            hash: 0,
        };
        assert_eq!(
            rule.describe_peers(),
            "pods with app=web of namespace shop; or 10.0.0.0/8 without 10.1.0.0/16"
        );
        assert_eq!(rule.describe_ports(), "TCP 80-81, UDP \"dns\"");
    }
}
