//! The live table on a terminal.

use anyhow::Result;
use tests::{
    cgroup::Cgroup,
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
