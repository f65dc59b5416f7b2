//! The code of a file: comments and literals blanked, so that what they say is not taken for code.

/// Replaces the inside of comments, strings and characters by spaces. Lines keep their numbers.
pub(super) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let blank = literal(rest, code.chars().next_back());
        let (taken, keep) = match blank {
            0 => (first.len_utf8(), true),
            length => (length, false),
        };
        let (part, after) = rest.split_at(taken);
        code.extend(
            part.chars()
                .map(|c| if keep || c == '\n' { c } else { ' ' }),
        );
        rest = after;
    }
    code
}

/// Length of the comment or literal that the text begins with; 0 if it begins with code.
fn literal(text: &str, before: Option<char>) -> usize {
    let to = |start: usize, end: &str| {
        let found = text[start..].find(end);
        found.map_or(text.len(), |at| start + at + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return to(2, "*/");
    }
    if text.starts_with('"') {
        return quoted(text);
    }
    // The `r` of a raw string is no end of a name.
    if text.starts_with('r') && !before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
        if text[1 + hashes..].starts_with('"') {
            return to(2 + hashes, &format!("\"{}", "#".repeat(hashes)));
        }
    }
    character(text)
}

/// Length of a string with escapes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Length of a character; a lifetime is code.
fn character(text: &str) -> usize {
    let Some(inside) = text.strip_prefix('\'') else {
        return 0;
    };
    if inside.starts_with('\\') {
        // The escaped character may itself be a quote.
        let after = inside
            .char_indices()
            .nth(2)
            .map_or(inside.len(), |(at, _)| at);
        return inside[after..].find('\'').map_or(0, |at| after + at + 2);
    }
    let mut chars = inside.chars();
    match (chars.next(), chars.next()) {
        (Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_lines_stay() {
        let text = "a // b\n/* c\nd */ e \"f\\\"g\" h r#\"i\"j\"# k";
        let words: Vec<_> = code(text)
            .lines()
            .map(|line| line.trim().to_owned())
            .collect();
        assert_eq!(words[..2], ["a", ""]);
        assert_eq!(
            words[2].split_whitespace().collect::<Vec<_>>(),
            ["e", "h", "k"]
        );
    }

    #[test]
    fn characters_are_blank_and_lifetimes_are_code() {
        assert_eq!(
            code("'{' x '\\'' '\"' &'a str")
                .split_whitespace()
                .collect::<String>(),
            "x&'astr"
        );
    }

    #[test]
    fn text_that_ends_early_is_no_panic() {
        for text in ["\"", "'", "'\\", "r#\"", "/*", "'\\n", "é'é", "r"] {
            assert_eq!(code(text).lines().count(), 1);
        }
    }
}
