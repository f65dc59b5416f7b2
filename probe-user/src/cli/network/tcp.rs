//! `nodeprobe tcp`: how connections fare, and which are open.

use std::{collections::HashMap, time::Duration};

use super::{flows::seen, refuse_pid, settings};
use crate::{
    cli::{
        CliError, Kind,
        args::{CommonArgs, TcpArgs},
        tool::{Job, Needs, Period, Tool, filter, print},
    },
    identity::Identities,
    model::OwnerKind,
    probes::Latency,
    render::{
        network::{write_flows, write_tcp},
        view::By,
    },
    report::{Counted, Filter, FlowBook, tcp_rows},
    session::{Enabled, FlowEvent},
};

/// How long open connections are looked for, unless the operator says so.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
///
/// If the probe cannot be attached or nothing can be written.
pub(in crate::cli) fn run(args: &TcpArgs) -> Result<Kind, CliError> {
    if args.connections {
        connections(args)?;
    } else {
        refuse_pid(&args.common, "connections")?;
        refuse_narrow(args)?;
        health(&args.common)?;
    }
    Ok(Kind::Fine)
}

/// Refuses conditions on single connections, where the kernel side adds up by container.
fn refuse_narrow(args: &TcpArgs) -> Result<(), CliError> {
    if !args.narrow.is_set() {
        return Ok(());
    }
    let message = "--port, --cidr, --src, --dst, --exclude: connections are counted by container and not by address";
    Err(CliError::usage(message).with_remedy("`nodeprobe tcp --connections` shows single ones"))
}

fn health(args: &CommonArgs) -> Result<(), CliError> {
    let filter = filter(args);
    let tool = Tool::start_with(
        "tcp",
        Needs {
            probes: HashMap::from([("tcp", Enabled::Always), ("drops", Enabled::Auto)]),
            owners: OwnerKind::Cgroup,
            latency: Latency::Off,
            follow: None,
            translate: false,
        },
    )?;
    tool.run(args, By::Container, |period| {
        let rows = tcp_rows(
            period.measurements,
            period.identities,
            &filter,
            period.has("drops"),
        );
        let report = period.report(rows);
        let top = args.top.map(|top| top as usize);
        print(args, &report, |out, look| {
            write_tcp(out, &report, top, look)
        })
    })
}

fn connections(given: &TcpArgs) -> Result<(), CliError> {
    let mut args = given.common.clone();
    args.duration.get_or_insert(LOOK);
    let tool = Tool::start_with(
        "tcp",
        Needs {
            probes: HashMap::from([("tcp", Enabled::Always)]),
            owners: OwnerKind::Cgroup,
            latency: Latency::Off,
            follow: Some(settings(&args)),
            translate: false,
        },
    )?;
    let job = Connections {
        filter: Filter {
            flows: given.narrow.rules(&[]),
            ..filter(&args)
        },
        book: FlowBook::default(),
        args: &args,
    };
    tool.run_job(&args, By::Connection, job)
}

struct Connections<'a> {
    args: &'a CommonArgs,
    filter: Filter,
    book: FlowBook,
}

impl Job for Connections<'_> {
    fn follow(
        &mut self,
        events: Vec<FlowEvent>,
        _: Duration,
        _: &Identities,
    ) -> Result<(), CliError> {
        for event in events {
            if let FlowEvent::Flow(report) = event
                && self.filter.flows.may_admit(&report.flow)
            {
                self.book.add(seen(*report));
            }
        }
        Ok(())
    }

    fn show(&mut self, mut period: Period<'_>) -> Result<(), CliError> {
        let found = self.book.rows(
            period.identities,
            By::Connection,
            Counted::Open,
            &self.filter,
        );
        found.notes.into_iter().for_each(|note| period.note(note));
        let report = period.report(found.rows);
        let top = self.args.top.map(|top| top as usize);
        print(self.args, &report, |out, look| {
            write_flows(out, &report, top, look)
        })
    }
}
