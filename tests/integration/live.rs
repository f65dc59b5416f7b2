//! The live table on a terminal.

use std::time::Instant;

use anyhow::Result;
use rustix::process::Signal;
use tests::{
    cgroup::Cgroup,
    guard::Process,
    lock::alone,
    nodeprobe::{command, free_port},
    skip::unless_available,
    terminal::Terminal,
    wait::{LONG, poll},
    workload::Workload,
};

#[test]
fn the_live_table_shows_a_cgroup_and_gives_the_terminal_back() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("live")) else {
        return Ok(());
    };
    let _load = Workload::new()?.start(&cgroup, "steady --per-second 500 --seconds 300")?;
    let mut terminal = Terminal::open()?;
    let before = terminal.modes()?;
    let mut command = command();
    command.args(["agent", "--listen", &free_port()?.to_string()]);
    let mut agent = terminal.spawn(&mut command)?;

    let row = poll(2 * LONG, "the cgroup's row", || {
        let screen = terminal.screen();
        if agent.has_ended() {
            return Some(Err(screen));
        }
        let row = screen.line_with(&cgroup.name())?.to_owned();
        // A rate, once there are two pictures.
        row.split_whitespace()
            .skip(1)
            .any(|word| word.starts_with(|char: char| ('1'..='9').contains(&char)))
            .then_some(Ok(row))
    })
    .map_err(|error| error.context(format!("{:#?}", terminal.screen())))?;
    let row = row.map_err(|screen| anyhow::anyhow!("the agent ended: {screen:#?}"))?;
    eprintln!("{row}");
    assert!(terminal.screen().is_alternate);
    assert!(terminal.is_raw()?, "single keys are read");

    terminal.press("q")?;
    let status = agent.wait(LONG)?;
    assert_eq!(status.code(), Some(0), "{:#?}", terminal.screen());
    let after = terminal.modes()?;
    assert!(!terminal.is_raw()?);
    assert_eq!(after.local_modes, before.local_modes);
    assert_eq!(after.input_modes, before.input_modes);
    assert_eq!(after.output_modes, before.output_modes);
    assert_eq!(after.control_modes, before.control_modes);
    // What was written last may still be on its way.
    poll(LONG, "the screen from before", || {
        (!terminal.screen().is_alternate).then_some(())
    })?;
    assert!(terminal.screen().line_with("panicked").is_none());
    Ok(())
}

/// An agent whose live table is on the screen of a terminal.
fn live(terminal: &Terminal, arguments: &[&str]) -> Result<Process> {
    let mut command = command();
    command.args(["agent", "--listen", &free_port()?.to_string()]);
    let mut agent = terminal.spawn(command.args(arguments))?;
    poll(2 * LONG, "the live table", || {
        let screen = terminal.screen();
        if agent.has_ended() {
            return Some(Err(anyhow::anyhow!("the agent ended: {screen:#?}")));
        }
        screen.line_with("SYSCALLS/S").map(|_| Ok(()))
    })??;
    Ok(agent)
}

#[test]
fn the_live_table_ends_when_its_terminal_hangs_up() -> Result<()> {
    let _alone = alone();
    let terminal = Terminal::open()?;
    let mut agent = live(&terminal, &[])?;
    terminal.hang_up();
    assert_eq!(agent.wait(LONG)?.code(), Some(0));
    Ok(())
}

#[test]
fn a_terminal_that_takes_no_output_does_not_keep_the_agent() -> Result<()> {
    let _alone = alone();
    let mut terminal = Terminal::open()?;
    let mut agent = live(&terminal, &[])?;
    terminal.stall()?;
    agent.signal(Signal::TERM)?;
    assert_eq!(agent.wait(LONG)?.code(), Some(0));
    Ok(())
}

#[test]
fn a_terminal_that_takes_no_output_does_not_stretch_the_duration() -> Result<()> {
    let _alone = alone();
    let mut terminal = Terminal::open()?;
    let start = Instant::now();
    let mut agent = live(&terminal, &["--duration", "20s"])?;
    terminal.stall()?;
    assert_eq!(agent.wait(2 * LONG)?.code(), Some(0));
    assert!(start.elapsed().as_secs() >= 20);
    Ok(())
}

#[test]
fn a_terminal_without_a_size_shows_the_live_table() -> Result<()> {
    let _alone = alone();
    let mut terminal = Terminal::of_size(0, 0)?;
    let mut agent = live(&terminal, &[])?;
    let screen = terminal.screen();
    assert!(screen.line_with("lost ").is_some(), "{screen:#?}");
    // Drawn for 80 columns.
    let heading = screen.line_with("SYSCALLS/S").unwrap_or_default();
    assert!(heading.trim_end().chars().count() <= 80, "{heading}");
    terminal.press("q")?;
    assert_eq!(agent.wait(LONG)?.code(), Some(0));
    Ok(())
}

#[test]
fn a_dumb_terminal_gets_plain_text() -> Result<()> {
    let _alone = alone();
    for arguments in [
        &[
            "agent",
            "--duration",
            "2s",
            "--listen",
            &free_port()?.to_string(),
        ][..],
        &["runqlat", "--duration", "1s"][..],
        &["doctor"][..],
    ] {
        let terminal = Terminal::of_size(0, 0)?;
        let mut command = command();
        let mut tool = terminal.spawn_as("dumb", command.args(arguments))?;
        tool.wait(2 * LONG)?;
        let text = poll(LONG, "output", || {
            Some(terminal.written()).filter(|text| text.lines().count() > 1)
        })?;
        assert!(!text.contains('\x1b'), "{arguments:?}: {text:?}");
    }
    Ok(())
}
