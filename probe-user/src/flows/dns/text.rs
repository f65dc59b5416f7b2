//! Names, types and response codes as text.

use domain::base::{
    ToName,
    iana::{OptRcode, Rtype},
};

/// A type of record by its mnemonic, such as `AAAA`, or `TYPE65300`.
pub fn kind_name(kind: u16) -> String {
    match Rtype::from_int(kind).to_mnemonic_str() {
        Some(mnemonic) => mnemonic.to_owned(),
        None => format!("TYPE{kind}"),
    }
}

/// A response code by its mnemonic, such as `NXDOMAIN`, or `RCODE12`.
///
/// Codes beyond 15 are those of RFC 6891: 16 is `BADVERS`.
pub fn rcode_name(rcode: u16) -> String {
    // Not `checked_from_int`, which refuses all but 0 and multiples of 4096 in domain 0.12.3.
    let known = (rcode <= 0x0fff).then(|| OptRcode::masked_from_int(rcode));
    match known.and_then(OptRcode::to_mnemonic_str) {
        Some(mnemonic) => mnemonic.to_owned(),
        None => format!("RCODE{rcode}"),
    }
}

/// A name in lower case and without the dot at its end; that of the root is `.`.
///
/// Printable ASCII is written as it is; a dot, space or backslash inside a label has a backslash before it, and all
/// other bytes are `\DDD` in decimal. So different names have different texts, none longer than 1,012 bytes.
pub(super) fn name_text(name: &impl ToName) -> String {
    let mut text = String::with_capacity(name.compose_len().into());
    for label in name.iter_labels().filter(|label| !label.is_root()) {
        if !text.is_empty() {
            text.push('.');
        }
        label.iter().for_each(|byte| push_byte(&mut text, byte));
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

fn push_byte(text: &mut String, byte: u8) {
    let digit = |value: u8| char::from(b'0' + value % 10);
    match byte {
        b'.' | b'\\' | b' ' => text.extend(['\\', char::from(byte)]),
        0x21..0x7f => text.push(char::from(byte.to_ascii_lowercase())),
        _ => text.extend(['\\', digit(byte / 100), digit(byte / 10), digit(byte)]),
    }
}

#[cfg(test)]
mod tests {
    use domain::base::Name;

    use super::*;

    fn text(wire: &[u8]) -> String {
        name_text(&Name::from_slice(wire).unwrap())
    }

    #[test]
    fn known_numbers_have_mnemonics_and_others_a_number() {
        assert_eq!(kind_name(1), "A");
        assert_eq!(kind_name(28), "AAAA");
        assert_eq!(kind_name(5), "CNAME");
        assert_eq!(kind_name(65), "HTTPS");
        assert_eq!(kind_name(255), "ANY");
        assert_eq!(kind_name(65_300), "TYPE65300");
        assert_eq!(rcode_name(0), "NOERROR");
        assert_eq!(rcode_name(2), "SERVFAIL");
        assert_eq!(rcode_name(3), "NXDOMAIN");
        assert_eq!(rcode_name(12), "RCODE12");
        assert_eq!(rcode_name(16), "BADVERS");
        assert_eq!(rcode_name(4_000), "RCODE4000");
        assert_eq!(rcode_name(4_096), "RCODE4096");
    }

    #[test]
    fn a_name_is_lower_case_without_its_last_dot() {
        assert_eq!(text(b"\x03wWw\x07EXAMPLE\x00"), "www.example");
        assert_eq!(text(b"\x00"), ".");
    }

    #[test]
    fn bytes_that_would_confuse_are_escaped() {
        assert_eq!(
            text(b"\x03a.b\x02\\ \x03\xc3\xa4\x00\x00"),
            r"a\.b.\\\ .\195\164\000"
        );
        assert_eq!(text(b"\x02\n\x7f\x00"), r"\010\127");
    }
}
