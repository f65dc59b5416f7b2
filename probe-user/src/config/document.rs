//! The configuration as text: the default file and the reference page, both made from the keys.

use super::{Config, KEYS, Key, OnReload};

/// Width of comments.
const WIDTH: usize = 96;

/// The documented default configuration, a file that the agent accepts and that changes nothing.
pub fn print_default() -> String {
    let default = Config::default();
    let mut out = String::from(
        "# Configuration of nodeprobe, with its defaults. Keys that are left out keep them.\n\
         # The environment (NODEPROBE_...) stands above this file, the command line above both.\n",
    );
    let mut open = "";
    for key in KEYS {
        let (section, name) = split(key);
        if section != open {
            out.push_str(&format!("\n[{section}]\n"));
            open = section;
        }
        out.push('\n');
        wrap(&mut out, key.help);
        wrap(
            &mut out,
            &format!("Allowed: {}.{}", key.allowed, reload_note(key)),
        );
        assign(&mut out, name, &(key.show)(&default));
    }
    out
}

/// Writes a key with its value; a list that is too long for a line has one value a line.
fn assign(out: &mut String, name: &str, value: &str) {
    let line = format!("{name} = {value}\n");
    let list = value.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match list {
        Some(list) if line.len() > WIDTH => {
            let values = list.split(", ").map(|value| format!("    {value},\n"));
            out.push_str(&format!("{name} = [\n{}]\n", values.collect::<String>()));
        }
        _ => out.push_str(&line),
    }
}

/// The reference page, in Markdown.
pub fn reference() -> String {
    let default = Config::default();
    let mut out = String::from(
        "# Configuration\n\n\
         `nodeprobe agent --config FILE` reads a TOML file. Every key has a default, so an empty file is fine, \
         and\n`nodeprobe agent --print-config` prints a file with all of them. Unknown keys are refused; all \
         faults are\nreported at once. The command line stands above the environment, the environment above the \
         file.\n\nIn a variable and in `--set KEY=VALUE` a value is plain text (`--set log.level=debug`), or stands there as in \
         the file:\n`--set 'runtimes.docker=[\"/run/docker.sock\"]'`.\n\nSIGHUP reads the file again and applies what is marked; changes of other keys are logged and \
         wait for a\nrestart. A faulty file changes nothing.\n\n\
         This page is made from `probe-user/src/config/keys.rs`.\n",
    );
    for key in KEYS {
        let rows = [
            ("default", format!("`{}`", (key.show)(&default))),
            ("allowed", key.allowed.into()),
            ("environment", format!("`{}`", key.variable())),
            (
                "SIGHUP",
                if key.on_reload == OnReload::Applied {
                    "applied"
                } else {
                    "restart"
                }
                .into(),
            ),
        ];
        out.push_str(&format!(
            "\n## `{}`\n\n{}\n\n| | |\n|---|---|\n",
            key.path, key.help
        ));
        for (name, value) in rows {
            out.push_str(&format!("| {name} | {value} |\n"));
        }
    }
    out
}

fn split(key: &Key) -> (&'static str, &'static str) {
    key.path.rsplit_once('.').unwrap_or(("", key.path))
}

fn reload_note(key: &Key) -> &'static str {
    match key.on_reload {
        OnReload::Applied => " Applied on SIGHUP.",
        OnReload::Restart => "",
    }
}

/// Writes a comment, broken between words.
fn wrap(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            line.push('\n');
            out.push_str(&line);
            line.replace_range(.., "#");
        }
        line.push(' ');
        line.push_str(word);
    }
    line.push('\n');
    out.push_str(&line);
}

#[cfg(test)]
mod tests;
