//! Reads `Accept` headers.

use super::Format;

/// The supported format with the highest quality, the first one of equals.
pub(super) fn best(accept: &str) -> Option<Format> {
    let mut best: Option<(f32, Format)> = None;
    for clause in accept.split(',') {
        let Some((quality, format)) = offer(clause) else {
            continue;
        };
        if quality > best.map_or(0.0, |(q, _)| q) {
            best = Some((quality, format));
        }
    }
    best.map(|(_, format)| format)
}

/// One clause, if it names a format of ours in a version of ours.
fn offer(clause: &str) -> Option<(f32, Format)> {
    let mut parts = clause.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    let (mut quality, mut version, mut proto, mut encoding) = (1.0, None, None, None);
    for (key, value) in parts.filter_map(|p| p.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match key.trim().to_ascii_lowercase().as_str() {
            // A quality that is none makes the clause worthless, not the best of all.
            "q" => {
                quality = value
                    .parse()
                    .ok()
                    .filter(|q| (0.0..=1.0).contains(q))
                    .unwrap_or(0.0)
            }
            "version" => version = Some(value),
            "proto" => proto = Some(value),
            "encoding" => encoding = Some(value),
            _ => {}
        }
    }
    let format = match (media_type.as_str(), version) {
        // 0.0.1 is what early scrapers ask for; they read 1.0.0 as well, and the libraries answer so.
        ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => Format::OpenMetrics,
        ("text/plain" | "text/*" | "*/*", None | Some("0.0.4")) => Format::Text,
        ("application/json", _) => Format::Json,
        ("application/vnd.google.protobuf", _)
            if proto == Some("io.prometheus.client.MetricFamily")
                && encoding == Some("delimited") =>
        {
            Format::Protobuf
        }
        _ => return None,
    };
    Some((quality, format))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What scrapers and people send.
    const PROMETHEUS_TEXT: &str = "application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS_NATIVE: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
        encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS_3: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
        encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
        text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    #[test]
    fn known_clients_get_what_they_ask_for() {
        for (accept, format) in [
            (PROMETHEUS_TEXT, Format::OpenMetrics),
            (PROMETHEUS_NATIVE, Format::Protobuf),
            (PROMETHEUS_3, Format::Protobuf),
            (BROWSER, Format::Text),
            ("*/*", Format::Text),
            ("", Format::Text),
            ("application/json", Format::Json),
            (
                "APPLICATION/OpenMetrics-Text ; Version=\"1.0.0\"",
                Format::OpenMetrics,
            ),
        ] {
            assert_eq!(Format::negotiate(accept), format, "{accept}");
        }
    }

    #[test]
    fn quality_beats_order_and_zero_means_never() {
        assert_eq!(
            Format::negotiate("text/plain;q=0.5,application/openmetrics-text;q=0.6"),
            Format::OpenMetrics
        );
        assert_eq!(
            best("application/openmetrics-text;q=0,*/*;q=0.1"),
            Some(Format::Text)
        );
        assert_eq!(best("application/openmetrics-text;q=0"), None);
        assert_eq!(best("application/openmetrics-text;q=nan"), None);
        assert_eq!(best("application/openmetrics-text;q=7"), None);
    }

    #[test]
    fn versions_and_encodings_that_we_do_not_speak_are_passed_over() {
        assert_eq!(best("text/plain;version=1.0.0"), None);
        assert_eq!(best("application/openmetrics-text;version=2.0.0"), None);
        assert_eq!(best("application/vnd.google.protobuf;encoding=text"), None);
    }

    proptest! {
        #[test]
        fn any_header_has_an_answer(accept in "\\PC*") {
            Format::negotiate(&accept);
        }
    }
}
