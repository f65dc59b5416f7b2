use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;
use crate::flows::record::tests::golden;

fn reader(bytes: &[u8]) -> Reader {
    Reader::new(io::Cursor::new(bytes.to_vec()), Path::new("log")).unwrap()
}

/// Numbers of the records, then other kinds and faults, and whether the end was torn.
fn read(bytes: &[u8]) -> (Vec<u64>, Vec<String>, bool) {
    let mut reader = reader(bytes);
    let (mut records, mut others) = (Vec::new(), Vec::new());
    for record in &mut reader {
        match record {
            Ok(Record::Flow(it)) => records.push(it.seq),
            Ok(Record::Loss(it)) => records.push(it.seq),
            Ok(Record::Gap(it)) => records.push(it.seq),
            Ok(Record::Balance(it)) => records.push(it.seq),
            Ok(Record::Hubble(line)) => others.push(format!("{line:?}")),
            Ok(Record::Other { kind }) => others.push(kind),
            Err(fault) => others.push(fault.to_string()),
        }
    }
    (records, others, reader.is_torn())
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The line of a flow.
fn flow() -> String {
    let log = golden();
    let flow = log.lines().find(|line| line.contains("\"flow\"")).unwrap();
    flow.to_owned()
}

#[test]
fn a_log_is_read_plain_compressed_and_in_several_parts() {
    let log = golden();
    let all = read(log.as_bytes());
    assert_eq!((all.1.len(), all.2), (0, false));
    assert_eq!(all.0, Vec::from_iter(1..=log.lines().count() as u64));
    assert_eq!(read(&compressed(log.as_bytes())), all);
    let (first, second) = log.as_bytes().split_at(log.find('\n').unwrap() + 1);
    assert_eq!(read(&[compressed(first), compressed(second)].concat()), all);
}

#[test]
fn a_broken_line_is_told_and_reading_goes_on() {
    let line = flow();
    let text = format!("{line}\n{}\n\n{{}}\n{line}\n", &line[..100]);
    let (records, faults, torn) = read(text.as_bytes());
    assert_eq!((records.len(), torn), (2, false));
    assert_eq!(faults, ["log:2: no record", "log:4: no record"]);
}

#[test]
fn a_line_that_is_too_long_is_told_and_not_kept() {
    let line = flow();
    let text = format!("{line}\n{}\n{line}\n", "x".repeat(3 * RECORD_LINE));
    let (records, faults, _) = read(text.as_bytes());
    assert_eq!(records.len(), 2);
    assert_eq!(
        faults,
        [format!("log:2: a line of more than {RECORD_LINE} bytes")]
    );
}

#[test]
fn a_later_minor_version_is_read_and_another_major_version_passed_on() {
    let line = flow();
    let minor = line.replace("flow/1.0\"", "flow/1.7\",\"a_field_of_1.7\":[1]");
    assert_eq!(read(minor.as_bytes()).0.len(), 1);
    let major = line.replace("flow/1.0", "flow/2.0");
    assert_eq!(read(major.as_bytes()).1, ["nodeprobe.flow/2.0"]);
    assert_eq!(read(b"{\"type\":\"identity\"}\n").1, ["identity"]);
}

#[test]
fn an_input_that_fails_ends_the_reading() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::TimedOut.into())
        }
    }
    let input = io::Cursor::new(b"{\"type\":\"x\"}\n".to_vec()).chain(Failing);
    let mut reader = Reader::new(input, Path::new("log")).unwrap();
    assert!(matches!(reader.next(), Some(Ok(Record::Other { .. }))));
    let fault = reader.next().unwrap().unwrap_err();
    assert_eq!(fault.to_string(), "log:2: cannot be read");
    assert!(reader.next().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_log_that_is_cut_anywhere_has_all_records_before(cut: prop::sample::Index) {
        let log = golden();
        let bytes = log.as_bytes();
        let all = read(bytes).0;
        let kept = &bytes[..cut.index(bytes.len() + 1)];
        let (records, faults, torn) = read(kept);
        let whole = kept.iter().filter(|byte| **byte == b'\n').count();
        // The last one may lack only its line break.
        let complete = kept.is_empty() || kept.ends_with(b"\n") || records.len() > whole;
        prop_assert!(records.len() == whole || records.len() == whole + 1);
        prop_assert_eq!(&records, &all[..records.len()]);
        prop_assert!(faults.is_empty());
        prop_assert_eq!(torn, !complete);
    }

    #[test]
    fn a_compressed_log_that_is_cut_anywhere_is_read_as_far_as_it_goes(cut: prop::sample::Index) {
        let log = golden();
        let all = read(log.as_bytes()).0;
        let packed = compressed(log.as_bytes());
        let (records, faults, torn) = read(&packed[..cut.index(packed.len())]);
        prop_assert_eq!(&records, &all[..records.len()]);
        prop_assert!(faults.is_empty(), "{:?}", faults);
        prop_assert!(torn || records.is_empty());
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), gzip: bool) {
        let bytes = if gzip { [&GZIP[..], &bytes].concat() } else { bytes };
        let (records, ..) = read(&bytes);
        prop_assert!(records.is_empty());
    }

    #[test]
    fn a_changed_byte_costs_two_records_at_most(at: prop::sample::Index, byte: u8) {
        let mut bytes = golden().into_bytes();
        let all = read(&bytes).0.len();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        prop_assert!(read(&bytes).0.len() + 2 >= all);
    }
}
