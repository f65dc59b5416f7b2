//! What a path means.

use crate::kinds::Kind;

/// Objects, or one of them.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) kind: &'static Kind,
    pub(crate) version: &'static str,
    /// Of the path; absent for all namespaces.
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
}

impl Target {
    /// As switches and discovery name it: `v1/pods`, `networking.k8s.io/v1/networkpolicies`.
    pub(crate) fn resource(&self) -> String {
        format!(
            "{}/{}",
            self.kind.api_version(self.version),
            self.kind.plural
        )
    }
}

/// A path.
#[derive(Debug)]
pub(crate) enum Route {
    /// `/version`
    Version,
    /// `/healthz` and its like.
    Health,
    /// `/api`
    Core,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1` and `/apis/GROUP/VERSION`, without the first word.
    Resources(String),
    Objects(Target),
    Nothing,
}

impl Route {
    pub(crate) fn new(path: &str) -> Self {
        let words: Vec<_> = path.split('/').filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["version"] => Self::Version,
            ["healthz" | "livez" | "readyz"] => Self::Health,
            ["api"] => Self::Core,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::Group(group.to_owned()),
            ["api", version] => Self::Resources(version.to_owned()),
            ["apis", group, version] => Self::Resources(format!("{group}/{version}")),
            ["api", version, ref rest @ ..] => objects("", version, rest),
            ["apis", group, version, ref rest @ ..] => objects(group, version, rest),
            _ => Self::Nothing,
        }
    }
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Route {
    let (namespace, plural, name) = match *rest {
        [plural] => (None, plural, None),
        [plural, name] => (None, plural, Some(name)),
        ["namespaces", namespace, plural] => (Some(namespace), plural, None),
        ["namespaces", namespace, plural, name] => (Some(namespace), plural, Some(name)),
        _ => return Route::Nothing,
    };
    let Some((kind, version)) = Kind::of_path(group, version, plural) else {
        return Route::Nothing;
    };
    // One object needs its namespace; kinds without namespaces have none.
    let reachable = match namespace {
        Some(_) => kind.namespaced,
        None => name.is_none() || !kind.namespaced,
    };
    if !reachable {
        return Route::Nothing;
    }
    Route::Objects(Target {
        kind,
        version,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
    })
}
