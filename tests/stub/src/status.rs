//! Refusals: the object `Status` as API servers write it.

use serde_json::{Value, json};

use crate::route::Target;

/// Who the client is in messages.
const USER: &str = "system:serviceaccount:nodeprobe:nodeprobe";

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// A path that the server lacks.
    pub(crate) fn no_such_path() -> Self {
        Self {
            details: Some(json!({})),
            ..Self::new(
                404,
                "NotFound",
                "the server could not find the requested resource",
            )
        }
    }

    pub(crate) fn no_such_object(target: &Target, name: &str) -> Self {
        let mut details = details(target);
        details["name"] = name.into();
        Self {
            details: Some(details),
            ..Self::new(
                404,
                "NotFound",
                format!("{} \"{name}\" not found", target.kind.qualified()),
            )
        }
    }

    pub(crate) fn exists(target: &Target, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", target.kind.qualified());
        Self::new(409, "AlreadyExists", message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    pub(crate) fn media_type(kind: &str) -> Self {
        let message = format!("the body of the request was in an unknown format: {kind}");
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// A version that is compacted.
    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {asked} ({oldest})");
        Self::new(410, "Expired", message)
    }

    pub(crate) fn continue_expired() -> Self {
        Self::new(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result.",
        )
    }

    /// A version that is still to come.
    pub(crate) fn too_large(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        Self {
            details: Some(json!({
                "causes": [{
                    "reason": "ResourceVersionTooLarge",
                    "message": "Too large resource version",
                }],
                "retryAfterSeconds": 1,
            })),
            ..Self::new(504, "Timeout", message)
        }
    }

    /// Options that do not go together.
    pub(crate) fn invalid_option(field: &str, message: &str) -> Self {
        let message = format!("{field}: Forbidden: {message}");
        Self {
            details: Some(json!({
                "group": "meta.k8s.io",
                "kind": "ListOptions",
                "causes": [{
                    "reason": "FieldValueForbidden",
                    "message": &message,
                    "field": field,
                }],
            })),
            ..Self::new(
                422,
                "Invalid",
                format!("ListOptions.meta.k8s.io \"\" is invalid: {message}"),
            )
        }
    }

    pub(crate) fn forbidden(target: &Target, verb: &str) -> Self {
        let kind = target.kind;
        let place = match &target.namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        let name = match &target.name {
            Some(name) => format!(" \"{name}\""),
            None => String::new(),
        };
        let message = format!(
            "{}{name} is forbidden: User \"{USER}\" cannot {verb} resource \"{}\" in API group \"{}\" {place}",
            kind.qualified(),
            kind.plural,
            kind.group,
        );
        Self {
            details: Some(details(target)),
            ..Self::new(403, "Forbidden", message)
        }
    }

    /// What a test asked for.
    pub(crate) fn refused(code: u16, target: &Target, verb: &str) -> Self {
        match code {
            401 => Self::unauthorized(),
            403 => Self::forbidden(target, verb),
            404 => Self::no_such_path(),
            429 => Self {
                details: Some(json!({"retryAfterSeconds": 1})),
                ..Self::new(
                    429,
                    "TooManyRequests",
                    "Too many requests, please try again later.",
                )
            },
            500 => Self::new(
                500,
                "InternalError",
                "Internal error occurred: etcdserver: request timed out",
            ),
            503 => Self::new(
                503,
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => Self::new(
                504,
                "Timeout",
                "request did not complete within the allotted timeout",
            ),
            code => Self::new(
                code,
                "",
                format!(
                    "an error on the server ({code}) has prevented the request from succeeding"
                ),
            ),
        }
    }

    /// The object.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body
    }
}

fn details(target: &Target) -> Value {
    let mut details = json!({"kind": target.kind.plural});
    if !target.kind.group.is_empty() {
        details["group"] = target.kind.group.into();
    }
    if let Some(name) = &target.name {
        details["name"] = name.as_str().into();
    }
    details
}
