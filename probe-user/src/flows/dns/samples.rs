//! Messages for tests, laid out by hand after RFC 1035.

/// `www.example.com A`.
pub(super) const QUESTION: &str =
    "1a2b0100000100000000000003777777076578616d706c6503636f6d0000010001";
/// Two addresses, 300 and 120 s.
pub(super) const ANSWER: &str = concat!(
    "1a2b8180000100020000000003777777076578616d706c6503636f6d0000010001",
    "c00c000100010000012c00045db8d822",
    "c00c000100010000007800045db8d823"
);
/// `api.internal.example AAAA` with EDNS.
pub(super) const QUESTION_EDNS: &str = concat!(
    "1a2c012000010000000000010361706908696e7465726e616c076578616d706c6500001c0001",
    "00002904d0000000000000"
);
/// 2001:db8::1, 5 s, with EDNS.
pub(super) const ANSWER_EDNS: &str = concat!(
    "1a2c858000010001000000010361706908696e7465726e616c076578616d706c6500001c0001",
    "c00c001c000100000005001020010db8000000000000000000000001",
    "00002904d0000000000000"
);
/// `shop.example.com`, which is `edge.cdn.example` (3600 s), which is `pop.cdn.example` (60 s): two addresses, 20 s.
pub(super) const ALIASES: &str = concat!(
    "3344818000010004000000000473686f70076578616d706c6503636f6d0000010001",
    "c00c0005000100000e10001204656467650363646e076578616d706c6500",
    "c02e000500010000003c000603706f70c033",
    "c04c00010001000000140004c0000207",
    "c04c00010001000000140004c0000208"
);
/// `nope.example.com` does not exist; the zone's SOA record is with it.
pub(super) const NXDOMAIN: &str = concat!(
    "777781830001000000010000046e6f7065076578616d706c6503636f6d0000010001",
    "c011000600010000012c0036026e73076578616d706c6503636f6d0004726f6f74076578616d706c6503636f6d00",
    "000000010000000200000003000000040000012c"
);
/// An extended response code: BADVERS.
pub(super) const BADVERS: &str = concat!(
    "010181800001000000000001076578616d706c6503636f6d0000010001",
    "00002904d0010000000000"
);

/// All of them.
pub(super) const ALL: [&str; 7] = [
    QUESTION,
    ANSWER,
    QUESTION_EDNS,
    ANSWER_EDNS,
    ALIASES,
    NXDOMAIN,
    BADVERS,
];

/// The bytes of a sample.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A header: identifier, flags, and the counts of questions and answers.
pub(super) fn header(id: u16, flags: u16, questions: u16, answers: u16) -> Vec<u8> {
    [id, flags, questions, answers, 0, 0]
        .iter()
        .flat_map(|field| field.to_be_bytes())
        .collect()
}

/// A message with one question of type A, whose name is in wire format.
pub(super) fn question(id: u16, flags: u16, name: &[u8]) -> Vec<u8> {
    let mut message = header(id, flags, 1, 0);
    message.extend_from_slice(name);
    message.extend_from_slice(&[0, 1, 0, 1]);
    message
}
