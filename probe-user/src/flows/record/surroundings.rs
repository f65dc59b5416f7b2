//! What an API server of Kubernetes adds to a flow.

/// What a pod belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkloadName<'a> {
    /// Such as `Deployment`.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// A pod that is known by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodName<'a> {
    /// Its namespace; empty of a node.
    pub namespace: &'a str,
    /// Its name; empty of a node.
    pub name: &'a str,
    /// Its uid; empty of a node.
    pub uid: &'a str,
}

/// What an API server of Kubernetes says of both ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// What the pod of the local socket belongs to.
    pub local_workload: Option<WorkloadName<'a>>,
    /// The pod or node that has the other end's address, where that is no local socket.
    pub remote_pod: Option<PodName<'a>>,
    /// What the other end's pod belongs to.
    pub remote_workload: Option<WorkloadName<'a>>,
    /// Namespace and name of the service that was asked.
    pub service: Option<(&'a str, &'a str)>,
}
