//! Turns a registry into bytes.

mod collector;
mod json;
mod native;
mod text;

use prometheus_client::encoding::{
    prometheus_protobuf,
    text::{encode_eof, encode_registry},
};

use super::{Format, SharedRegistry};

/// An encoder refused the metrics.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// As text.
    #[error("cannot write the metrics as text; this is a bug, please report it")]
    Text(#[from] std::fmt::Error),
    /// As protobuf.
    #[error("cannot write the metrics as protobuf; this is a bug, please report it")]
    Protobuf(#[from] prometheus_protobuf::EncodeError),
    /// As JSON.
    #[error("cannot write the metrics as json; this is a bug, please report it")]
    Json(#[from] serde_json::Error),
}

/// Renders everything. JSON is a look, the other formats are scrapes: only they let retired series go.
pub(super) fn render(metrics: &SharedRegistry, format: Format) -> Result<Vec<u8>, RenderError> {
    if format == Format::Json {
        return Ok(json::encode(&metrics.lock())?);
    }
    let mut encoder = prometheus_client::registry::Registry::default();
    encoder.register_collector(Box::new(metrics.clone()));
    if format == Format::Protobuf {
        return Ok(prometheus_protobuf::encode_to_vec(&encoder)?);
    }
    let mut raw = String::new();
    encode_registry(&mut raw, &encoder)?;
    if format == Format::OpenMetrics {
        encode_eof(&mut raw)?;
        return Ok(text::canonical_bounds(&raw).into_bytes());
    }
    Ok(text::to_0_0_4(&text::canonical_bounds(&raw)).into_bytes())
}

#[cfg(test)]
mod tests;
