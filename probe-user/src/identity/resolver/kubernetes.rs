//! Names of containers in pods, as an API server told them.

use std::sync::Arc;

use super::error::SourceError;
use crate::{
    identity::{Names, Pod, paths::Question},
    kubernetes::{Catalog, Named},
    model::Runtime,
};

/// Asks what is known already; nothing goes over a network.
#[derive(Debug)]
pub(super) struct Kubernetes(Arc<Catalog>);

impl Kubernetes {
    pub(super) fn new(catalog: Arc<Catalog>) -> Self {
        Self(catalog)
    }

    pub(super) fn names(&self, question: &Question) -> Result<Names, SourceError> {
        let uid = question.pod_uid.as_deref().unwrap_or_default();
        match self.0.names(uid, &question.id) {
            Named::Container(pod, name) => Ok(Names {
                runtime: Runtime::Kubernetes,
                namespace: pod.namespace.clone(),
                pod: pod.name.clone(),
                pod_uid: pod.uid.clone(),
                name,
            }),
            Named::Pod(pod) => Err(SourceError::OnlyPod(Pod {
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
            })),
            Named::Unknown => Err(SourceError::NotFound),
        }
    }
}
