//! systemd's units in a path.

/// Suffixes of the units that have a cgroup.
const SUFFIXES: [&str; 6] = [".service", ".scope", ".slice", ".socket", ".mount", ".swap"];

/// The innermost unit of a path: how many directories its own cgroup is deep, and its name.
///
/// Slices above are left out, since units are unique without them: `ssh.service`. Units of a user's
/// manager carry the manager: `user@1000.service/firefox.service`.
pub(super) fn unit(parts: &[&str]) -> Option<(usize, String)> {
    let innermost = parts.iter().rposition(|part| is_unit(part))?;
    let name = parts[..=innermost]
        .iter()
        .enumerate()
        .filter(|(index, part)| *index == innermost || is_unit(part) && !part.ends_with(".slice"))
        .map(|(_, part)| unescape(part))
        .collect::<Vec<_>>()
        .join("/");
    Some((innermost + 1, name))
}

fn is_unit(part: &str) -> bool {
    SUFFIXES
        .iter()
        .any(|suffix| part.len() > suffix.len() && part.ends_with(suffix))
}

/// Decodes the `\xNN` that systemd writes for bytes that a unit's name cannot hold. A name that
/// would not be text stays as it is.
pub(super) fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = rest.strip_prefix(b"\\x").and_then(hex_byte);
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &rest[4..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let nibble = |digit: &u8| char::from(*digit).to_digit(16);
    let value = nibble(digits.first()?)? << 4 | nibble(digits.get(1)?)?;
    u8::try_from(value).ok()
}
