//! What goes wrong with connections, compared with a workload that makes it go wrong.

use anyhow::{Context as _, Result};
use tests::{lock::alone, nodeprobe::free_port, workload::Workload};

use super::rig::{Network, cgroups, tcp_row};

#[test]
fn handshakes_that_a_full_accept_queue_drops_are_those_of_the_listener() -> Result<()> {
    const SPARE: u64 = 3;
    let _alone = alone();
    let Some([open, closed]) = cgroups(["open", "closed"])? else {
        return Ok(());
    };
    let Some(network) = Network::start(&["tcp"])? else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let command = |port| format!("crowd --port {port} --spare {SPARE}");
    // One listener is still there when it is asked, and one has closed by then.
    let running = workload.ready(&open, &command(free_port()?.port()))?;
    running.work()?;
    let done = workload.run(&closed, &command(free_port()?.port()))?;
    for cgroup in [&open, &closed] {
        // An attempt may be sent again before it is given up.
        let drops = tcp_row(&network.session.measure(), cgroup).listen_drops;
        assert!(drops >= SPARE, "{drops}");
    }
    let waiting = done["waiting"].as_u64().context("it says how many wait")?;
    assert!(waiting > 0, "{done}");
    let before = tcp_row(&network.session.measure(), &open).listen_drops;
    running.finish()?;
    let after = tcp_row(&network.session.measure(), &open).listen_drops;
    assert_eq!(before, after, "what is closed is not counted twice");
    Ok(())
}
