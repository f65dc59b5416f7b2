//! The formats in which metrics are shown.

use super::negotiate;

/// A format of the whole exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenMetrics text 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Text,
    /// Prometheus protobuf, delimited `io.prometheus.client.MetricFamily`: the one with native histograms.
    Protobuf,
    /// Our own JSON, for scripts.
    Json,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::OpenMetrics, Self::Text, Self::Protobuf, Self::Json];

    /// The format that an `Accept` header asks for.
    ///
    /// As the Prometheus client libraries do it: the supported type with the highest `q` wins, the earlier one of
    /// equals; wildcards, nothing, and anything that cannot be understood get text 0.0.4, which every scraper and
    /// human can read.
    pub fn negotiate(accept: &str) -> Self {
        negotiate::best(accept).unwrap_or(Self::Text)
    }

    /// Value of the `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            Self::Json => "application/json",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_content_type_negotiates_its_own_format() {
        for format in Format::ALL {
            assert_eq!(Format::negotiate(format.content_type()), format);
        }
    }
}
