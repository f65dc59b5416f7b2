use std::{env, fs, path::Path};

use super::*;
use crate::config::{Sources, load};

#[test]
fn the_printed_configuration_is_accepted_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nodeprobe.toml");
    fs::write(&path, print_default()).unwrap();
    let printed = load(&Sources {
        file: Some(path),
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(printed, load(&Sources::default()).unwrap());
    for key in KEYS {
        assert!(
            print_default().contains(&format!("\n{} = ", split(key).1)),
            "{}",
            key.path
        );
    }
}

#[test]
fn sections_are_opened_once_and_lines_stay_short() {
    let mut seen = Vec::new();
    for line in print_default().lines() {
        assert!(line.len() <= 100, "{line}");
        if line.starts_with('[') {
            assert!(!seen.contains(&line.to_owned()), "{line} twice");
            seen.push(line.to_owned());
        }
    }
    assert!(seen.contains(&"[limits]".to_owned()));
}

/// Run with `NODEPROBE_UPDATE=1` after a change of the keys.
#[test]
fn the_reference_page_is_what_the_keys_say() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    if env::var_os("NODEPROBE_UPDATE").is_some() {
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        fs::write(&page, reference()).unwrap();
    }
    let written = fs::read_to_string(&page).unwrap_or_default();
    assert!(written == reference(), "{} is out of date", page.display());
}
