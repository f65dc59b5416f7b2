//! The rows for people: grouped, aligned, short, remedies below what they remedy.

use std::iter;

use super::{Check, Facts, State, VERSION};

/// How the table looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) colour: bool,
    /// Columns.
    pub(super) width: usize,
}

const BOLD: &str = "1";
const DIM: &str = "2";

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.into()
        }
    }

    fn state(self, state: State) -> String {
        let code = match state {
            State::Ok => "32",
            State::Degraded => "33",
            State::Missing => "1;31",
            State::Unknown => "35",
        };
        self.paint(code, &format!("{:<8}", state.name()))
    }
}

pub(super) fn render(facts: &Facts, checks: &[Check], style: Style) -> String {
    let host = &facts.host;
    let mut out = format!(
        "{}  {}, Linux {} {}\n",
        style.paint(BOLD, &format!("nodeprobe {VERSION}")),
        host.name,
        host.release,
        host.machine
    );
    let names = checks
        .iter()
        .map(|check| check.name.chars().count())
        .max()
        .unwrap_or(0);
    let mut area = "";
    for check in checks {
        if check.area != area {
            area = check.area;
            out.push_str(&format!("\n{}\n", style.paint(BOLD, &area.to_uppercase())));
        }
        row(&mut out, check, names, style);
    }
    out.push_str(&format!("\n{}\n", summary(checks, style)));
    out
}

fn row(out: &mut String, check: &Check, names: usize, style: Style) {
    let indent = 2 + 8 + 2 + names + 2;
    let room = style.width.saturating_sub(indent).max(20);
    let name = format!("{:<names$}", check.name);
    let details = wrap(&check.detail, room);
    let mut details = details.iter();
    let first = details.next().map_or("", String::as_str);
    out.push_str(&format!(
        "  {}  {name}  {first}\n",
        style.state(check.state)
    ));
    for line in details {
        out.push_str(&format!("{:indent$}{line}\n", ""));
    }
    for (i, line) in check
        .remedy
        .iter()
        .flat_map(|r| wrap(r, room.saturating_sub(3)))
        .enumerate()
    {
        let mark = if i == 0 { "-> " } else { "   " };
        out.push_str(&format!(
            "{:indent$}{}\n",
            "",
            style.paint(DIM, &format!("{mark}{line}"))
        ));
    }
}

fn summary(checks: &[Check], style: Style) -> String {
    let probes = |states: &[State]| {
        let these = checks
            .iter()
            .filter(|check| check.area == Check::PROBES && states.contains(&check.state));
        let names: Vec<_> = these.map(|check| check.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let broken = probes(&[State::Missing, State::Unknown]);
    let less = probes(&[State::Degraded]);
    let mut lines = Vec::new();
    if let Some(names) = &broken {
        let text = format!("Cannot run, or not for sure: {names}.");
        lines.push(style.paint("1;31", &text));
    } else {
        lines.push(style.paint("1;32", "All enabled probes can run."));
    }
    if let Some(names) = less {
        lines.push(style.paint("33", &format!("Works with less: {names}.")));
    }
    lines.join(" ")
}

/// Breaks text between words; a word that is longer than a line stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let len = |text: &str| text.chars().count();
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if len(line) + 1 + len(word) <= width => {
                line.extend(iter::once(" ").chain(iter::once(word)));
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_works_with_less_can_run() {
        let check = |name, state| Check::new(Check::PROBES, name, state, "");
        let style = Style {
            colour: false,
            width: 80,
        };
        let less = check("scheduler", State::Degraded);
        assert_eq!(
            summary(std::slice::from_ref(&less), style),
            "All enabled probes can run. Works with less: scheduler."
        );
        assert_eq!(
            summary(&[less, check("syscalls", State::Missing)], style),
            "Cannot run, or not for sure: syscalls. Works with less: scheduler."
        );
    }

    #[test]
    fn text_breaks_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
