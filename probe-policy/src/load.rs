//! From the texts of manifests to a cluster.
//!
//! Defaults are those of the API server and validation is as strict. One bad document hides no other one, and a policy that is
//! not valid stays in the cluster as such, because verdicts that it could change are unknown.

mod documents;
mod finding;
mod labels;
mod meta;
mod network;
mod pods;
mod ports;
mod read;
mod selector;
mod services;
mod store;
mod tiered;

use std::collections::BTreeMap;

use serde_json::Value;

pub use finding::{Finding, Place, Severity};
pub use store::{Item, Put, Store};

use crate::model::{Cluster, Labels, Node, Pod, Policy};
use meta::Meta;
use read::{Context, Field};
use services::{Slice, Unjoined};

/// Namespace of objects that name none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Collects the objects of many files.
#[derive(Debug)]
pub struct Loader {
    namespace: String,
    objects: BTreeMap<Key, (Place, Object)>,
    findings: Vec<Finding>,
    skipped: BTreeMap<String, u64>,
}

/// Kind (with what tells kinds of one name apart), namespace, name.
type Key = (&'static str, String, String);

#[derive(Clone, Debug, PartialEq)]
enum Object {
    Namespace(Labels),
    Node(Node),
    Pod(Pod),
    Policy(Policy),
    Service(Unjoined),
    Slice(Slice),
}

/// What came of all texts.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All that could be used, in an order that does not depend on the order of the files.
    pub cluster: Cluster,
    /// All that is wrong, in the order of files and documents.
    pub findings: Vec<Finding>,
    /// Objects of kinds that are of no concern here, by kind.
    pub skipped: BTreeMap<String, u64>,
}

impl Loaded {
    /// Whether something is wrong that an API server would have refused.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }
}

impl Default for Loader {
    fn default() -> Self {
        Self::new(DEFAULT_NAMESPACE)
    }
}

impl Loader {
    /// Of objects that name no namespace, it is `namespace`.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            objects: BTreeMap::new(),
            findings: Vec::new(),
            skipped: BTreeMap::new(),
        }
    }

    /// Takes all objects of a text of YAML documents, or of JSON. The name is for messages, and of two objects that are the same
    /// that of the later name in byte order wins.
    pub fn add(&mut self, name: &str, text: &str) {
        for document in documents::split(text) {
            let place = Place {
                file: name.to_owned(),
                document: document.number,
            };
            match document.value() {
                Ok(Value::Null) => {}
                Ok(value) => self.add_value(&place, &value),
                Err(message) => self.findings.push(Finding::error(place, "", message)),
            }
        }
    }

    /// Takes an object, or a list of some, that has been read already.
    pub fn add_value(&mut self, place: &Place, value: &Value) {
        let mut context = Context::new(place.clone());
        let field = Field::root(value);
        match field.get("kind").map(|kind| kind.value.as_str()) {
            Some(Some(kind)) if kind.ends_with("List") && field.get("items").is_some() => {
                let one = kind.strip_suffix("List").unwrap_or_default();
                self.take_list(&mut context, &field, one);
            }
            Some(Some(kind)) => self.take(&mut context, &field, kind),
            Some(None) => context.error("kind", "has to be text"),
            None => context.error(
                "kind",
                "is missing: this is no Kubernetes object; it needs `apiVersion` and `kind`",
            ),
        }
        self.findings.append(&mut context.findings);
    }

    /// Items of a `<Kind>List` need not repeat its version and kind.
    fn take_list(&mut self, context: &mut Context, list: &Field<'_>, kind: &str) {
        let version = list.text(context, "apiVersion").unwrap_or_default();
        for item in list.items(context, "items").unwrap_or_default() {
            if let (Some(map), false) = (item.value.as_object(), kind.is_empty())
                && !map.contains_key("kind")
            {
                let mut whole = map.clone();
                whole.insert("kind".into(), kind.into());
                whole.entry("apiVersion").or_insert_with(|| version.into());
                let value = Value::Object(whole);
                let item = Field {
                    value: &value,
                    path: item.path,
                };
                self.take(context, &item, kind);
                continue;
            }
            let own = item.get("kind").and_then(|kind| kind.value.as_str());
            match own {
                Some(own) => self.take(context, &item, own),
                None => context.error(&item.path, "has no `kind`"),
            }
        }
    }

    fn take(&mut self, context: &mut Context, field: &Field<'_>, kind: &str) {
        let version = field.text(context, "apiVersion").unwrap_or_default();
        let Some(read) = reader(version, kind) else {
            if is_other_version(version, kind) {
                context.error(
                    &field.at("apiVersion"),
                    format!("`{version}` is no version of {kind} that is understood"),
                );
            }
            *self.skipped.entry(kind.to_owned()).or_default() += 1;
            return;
        };
        let Some(meta) = Meta::read(context, field, &self.namespace) else {
            return;
        };
        if let Some((key, object)) = read(context, field, &meta) {
            self.keep(context, key, object);
        }
    }

    fn keep(&mut self, context: &mut Context, key: Key, object: Object) {
        let place = context.place.clone();
        if let Some((other, _)) = self.objects.get(&key) {
            let ((older, newer), wins) = if *other > place {
                ((&place, other), false)
            } else {
                ((other, &place), true)
            };
            let (kind, namespace, name) = &key;
            let message = format!(
                "{kind} {namespace}/{name} is in {older} as well, of which {newer} is used"
            );
            context.warn("metadata.name", message);
            if !wins {
                return;
            }
        }
        self.objects.insert(key, (place, object));
    }

    /// All objects together.
    pub fn finish(mut self) -> Loaded {
        let objects = self.objects.into_iter();
        let cluster = assemble(objects.map(|(key, (_, object))| (key, object)));
        self.findings.sort_by(|a, b| a.place.cmp(&b.place));
        Loaded {
            cluster,
            findings: self.findings,
            skipped: self.skipped,
        }
    }
}

/// A cluster of its objects, which come in their order.
fn assemble(objects: impl Iterator<Item = (Key, Object)>) -> Cluster {
    let mut cluster = Cluster::default();
    let (mut services, mut slices) = (Vec::new(), Vec::new());
    for ((_, _, name), object) in objects {
        match object {
            Object::Namespace(labels) => drop(cluster.namespaces.insert(name, labels)),
            Object::Node(node) => drop(cluster.nodes.insert(name, node)),
            Object::Pod(pod) => cluster.pods.push(pod),
            Object::Policy(policy) => cluster.policies.push(policy),
            Object::Service(service) => services.push(service),
            Object::Slice(slice) => slices.push(slice),
        }
    }
    cluster.services = services::join(services, &slices);
    cluster
}

type Reader = fn(&mut Context, &Field<'_>, &Meta) -> Option<(Key, Object)>;

/// What reads objects of a kind.
fn reader(version: &str, kind: &str) -> Option<Reader> {
    Some(match (version, kind) {
        ("networking.k8s.io/v1", "NetworkPolicy") => network::read,
        ("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy") => tiered::cluster,
        ("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy") => tiered::admin,
        ("policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy") => tiered::baseline,
        ("v1", "Pod") => pods::pod,
        ("v1", "ReplicationController")
        | ("apps/v1", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet") => pods::workload,
        ("batch/v1", "Job" | "CronJob") => pods::workload,
        ("v1", "Namespace") => |_, _, meta| {
            let key = ("Namespace", String::new(), meta.name.clone());
            Some((key, Object::Namespace(meta.labels.clone())))
        },
        ("v1", "Node") => services::node,
        ("v1", "Service") => services::service,
        ("discovery.k8s.io/v1" | "discovery.k8s.io/v1beta1", "EndpointSlice") => services::slice,
        ("v1", "Endpoints") => services::endpoints,
        _ => return None,
    })
}

/// Whether another version of the kind would be understood, so that to skip it is no small thing.
fn is_other_version(version: &str, kind: &str) -> bool {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    match kind {
        "NetworkPolicy" => ["networking.k8s.io", "extensions", ""].contains(&group),
        "ClusterNetworkPolicy" | "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy" => true,
        "Pod" | "Namespace" | "Node" => group.is_empty(),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" => {
            ["apps", "extensions"].contains(&group)
        }
        "CronJob" | "Job" => group == "batch",
        "EndpointSlice" => group == "discovery.k8s.io",
        _ => false,
    }
}
