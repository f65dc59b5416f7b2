//! The parameters of a request.

use std::time::Duration;

use crate::{kinds::Kind, select::Fields, status::Status};

/// Pairs of a query, decoded.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
}

/// A parameter of a query, decoded.
pub(crate) fn parameter(query: &str, wanted: &str) -> Option<String> {
    pairs(query).find_map(|(name, value)| (name == wanted).then_some(value))
}

/// Whether a query asks for a watch.
pub(crate) fn is_watch(query: &str) -> bool {
    parameter(query, "watch").is_some_and(|value| truth(&value))
}

fn truth(value: &str) -> bool {
    !matches!(value, "" | "0" | "false")
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => match after {
                [high, low, after @ ..]
                    if let (Some(high), Some(low)) = (digit(*high), digit(*low)) =>
                {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// How a list relates to the version that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Match {
    NotOlderThan,
    Exact,
}

/// What a list or a watch asks for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) fields: Fields,
    /// `None` for none and for 0: any version.
    pub(crate) version: Option<u64>,
    pub(crate) version_match: Option<Match>,
    pub(crate) limit: Option<usize>,
    pub(crate) next: Option<String>,
    pub(crate) bookmarks: bool,
    pub(crate) timeout: Option<Duration>,
}

impl Options {
    /// # Errors
    ///
    /// What a server that does not know streamed lists (`WatchList`) refuses.
    pub(crate) fn new(kind: &Kind, query: &str) -> Result<Self, Status> {
        let get = |name| parameter(query, name).filter(|value| !value.is_empty());
        if get("labelSelector").is_some() {
            return Err(Status::bad_request("this stub knows no label selectors"));
        }
        let watch = is_watch(query);
        if get("sendInitialEvents").is_some() {
            let message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            return Err(Status::invalid_option("sendInitialEvents", message));
        }
        let given = get("resourceVersion");
        let next = get("continue");
        let version_match = match get("resourceVersionMatch").as_deref() {
            None => None,
            Some(_) if watch => return Err(match_forbidden("is forbidden for watch")),
            Some(_) if given.is_none() => {
                return Err(match_forbidden(
                    "is forbidden unless resourceVersion is provided",
                ));
            }
            Some("Exact") if given.as_deref() == Some("0") => {
                return Err(match_forbidden(
                    "\"Exact\" is forbidden for resourceVersion \"0\"",
                ));
            }
            Some("Exact") => Some(Match::Exact),
            Some("NotOlderThan") => Some(Match::NotOlderThan),
            Some(other) => {
                let message = format!("resourceVersionMatch: Unsupported value: \"{other}\"");
                return Err(Status::bad_request(message));
            }
        };
        if next.is_some() && given.as_deref().is_some_and(|given| given != "0") {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        Ok(Self {
            fields: Fields::new(kind, get("fieldSelector").as_deref().unwrap_or_default())?,
            version: number("resourceVersion", given)?.filter(|version| *version != 0),
            version_match,
            limit: number("limit", get("limit"))?
                .and_then(|limit| usize::try_from(limit).ok())
                .filter(|limit| *limit != 0),
            next,
            bookmarks: get("allowWatchBookmarks").is_some_and(|value| truth(&value)),
            timeout: number("timeoutSeconds", get("timeoutSeconds"))?
                .filter(|seconds| *seconds != 0)
                .map(Duration::from_secs),
        })
    }
}

fn match_forbidden(why: &str) -> Status {
    Status::invalid_option(
        "resourceVersionMatch",
        &format!("resourceVersionMatch {why}"),
    )
}

fn number(name: &str, value: Option<String>) -> Result<Option<u64>, Status> {
    let Some(value) = value else { return Ok(None) };
    match value.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_not_a_number) => {
            let message = format!("{name}: Invalid value: \"{value}\"");
            Err(Status::bad_request(message))
        }
    }
}
