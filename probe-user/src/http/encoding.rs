//! Compression of responses by gzip, where the client accepts it.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// Level 3 of zlib: label names and values repeat so much that higher levels cost more CPU time than they save bytes.
const LEVEL: u32 = 3;

/// Compressed bodies are at most this fraction of the original in practice; a larger one makes the buffer grow.
const EXPECTED_RATIO: usize = 8;

/// Whether an `Accept-Encoding` header prefers gzip to the plain form (RFC 9110, section 12.5.3).
///
/// A quality of zero refuses an encoding, `*` stands for encodings that are not named.
pub(super) fn prefers_gzip(accept_encoding: &str) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for clause in accept_encoding.split(',') {
        let (coding, parameters) = clause.split_once(';').unwrap_or((clause, ""));
        let quality = quality(parameters);
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(quality),
            "identity" => identity = Some(quality),
            "*" => any = Some(quality),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// The quality of a clause; 1 where none is given, 0 where it is not a quality.
fn quality(parameters: &str) -> f32 {
    let given = parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    given.map_or(1.0, |value| {
        let quality = value.parse().ok();
        quality.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0)
    })
}

/// Compresses a body.
///
/// # Errors
///
/// If memory cannot be written to, which does not happen; the caller then sends the plain form.
pub(super) fn gzip(body: &[u8]) -> std::io::Result<Bytes> {
    let buffer = Vec::with_capacity(body.len() / EXPECTED_RATIO);
    let mut encoder = GzEncoder::new(buffer, Compression::new(LEVEL));
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clients_get_gzip_exactly_where_they_prefer_it() {
        for (header, expected) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("deflate, GZIP;q=0.5", true),
            ("x-gzip", true),
            ("*", true),
            ("br;q=1.0, *;q=0.1", true),
            ("identity;q=0.5, gzip;q=1.0", true),
            ("", false),
            ("identity", false),
            ("deflate, br", false),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip;q=0.3, identity", false),
            ("*;q=0", false),
            ("gzip;q=nan", false),
            ("gzip;q=7", false),
        ] {
            assert_eq!(prefers_gzip(header), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_decided_on(header in "\\PC*") {
            prefers_gzip(&header);
        }

        #[test]
        fn a_compressed_body_decompresses_to_the_original(body: Vec<u8>) {
            let compressed = gzip(&body).unwrap();
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&*compressed).read_to_end(&mut plain).unwrap();
            prop_assert_eq!(plain, body);
        }
    }
}
