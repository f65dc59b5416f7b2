//! Asks an API server once what could be read of it, for `nodeprobe doctor`.

use std::{sync::Arc, time::Duration};

use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
};
use tokio::time::timeout;

use super::{
    Settings,
    catalog::Catalog,
    connect, reason,
    resources::{self, Resource},
    watch::offered,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a resource can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readable {
    /// It can.
    Yes,
    /// The server does not have it.
    Absent,
    /// It cannot, for this reason.
    No(String),
}

/// What can be read of all that would be watched, by resource.
///
/// # Errors
///
/// Why nobody can be asked at all.
pub async fn readable(settings: &Settings) -> Result<Vec<(&'static str, Readable)>, String> {
    let catalog = Arc::new(Catalog::new(settings));
    let client = connect::connect(settings, &catalog)
        .await
        .map_err(|error| reason(&*error))?;
    let mut found = Vec::new();
    for resource in resources::wanted(settings.scope, settings.policies) {
        let answer = timeout(PATIENCE, read(&client, resource)).await;
        let answer = answer.unwrap_or_else(|_| Readable::No("no answer in 5 s".to_owned()));
        found.push((resource.plural, answer));
    }
    Ok(found)
}

async fn read(client: &Client, resource: &'static Resource) -> Readable {
    let (of, version) = match offered(client, resource).await {
        Ok(Some(found)) => found,
        Ok(None) => return Readable::Absent,
        Err(error) => return Readable::No(reason(&error)),
    };
    let objects: Api<DynamicObject> = Api::all_with(client.clone(), &of.api(version));
    match objects.list(&ListParams::default().limit(1)).await {
        Ok(_) => Readable::Yes,
        Err(error) => Readable::No(reason(&error)),
    }
}
