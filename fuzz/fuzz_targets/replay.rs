//! Any bytes as a flow log, ours or Hubble's, plain or compressed.
#![no_main]

use std::{io::Cursor, path::Path};

use libfuzzer_sys::fuzz_target;
use probe_user::flows::Reader;

fuzz_target!(|bytes: &[u8]| {
    let input = Cursor::new(bytes.to_vec());
    let Ok(reader) = Reader::new(input, Path::new("fuzz")) else {
        return;
    };
    for record in reader {
        _ = record.map(|record| format!("{record:?}").len());
    }
});
