//! `nodeprobe tcp`: how connections fare, and which are open.

use std::{collections::HashMap, time::Duration};

use clap::ValueEnum as _;

use super::{
    flows::{follow_tcp, seen},
    settings,
};
use crate::{
    cli::{
        CliError, Kind,
        args::{CommonArgs, TcpArgs},
        tool::{Job, Needs, Period, Processes, Tool, print},
    },
    identity::Identities,
    model::{Measurements, OwnerKind},
    probes::Latency,
    render::{
        network::{write_flows, write_tcp},
        view::{By, FlowOrder, TcpOrder},
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
    if args.follow {
        return follow_tcp(args);
    }
    if args.connections {
        let order = args.sort.unwrap_or(TcpOrder::Bytes);
        let order = order
            .of_connections()
            .ok_or_else(|| wrong_order(order, TcpOrder::is_of_connections))?;
        connections(args, order)
    } else {
        let order = args.sort.unwrap_or(TcpOrder::Connections);
        if !order.is_of_containers() {
            return Err(wrong_order(order, TcpOrder::is_of_containers));
        }
        health(args, order)
    }
}

/// Refuses an order that the rows do not have, and says which ones they have.
fn wrong_order(order: TcpOrder, has: fn(TcpOrder) -> bool) -> CliError {
    let name = |order: TcpOrder| order.to_possible_value().map(|it| it.get_name().to_owned());
    let orders = TcpOrder::value_variants().iter().copied();
    let names: Vec<String> = orders.filter(|it| has(*it)).filter_map(name).collect();
    let message = format!(
        "--sort {}: {} have no such column",
        name(order).unwrap_or_default(),
        if order.is_of_containers() {
            "single connections"
        } else {
            "containers"
        },
    );
    CliError::usage(message).with_remedy(format!("choose one of {}", names.join(", ")))
}

fn health(args: &TcpArgs, order: TcpOrder) -> Result<Kind, CliError> {
    let common = &args.common;
    let mut tool = Tool::start_with(
        "tcp",
        Needs {
            probes: HashMap::from([("tcp", Enabled::Always), ("drops", Enabled::Auto)]),
            owners: OwnerKind::Cgroup,
            latency: Latency::Off,
            follow: None,
            translate: false,
        },
    )?;
    let filter = tool.filter(common, Processes::default());
    let tool = tool.strict(args.strict.strict);
    tool.run(common, By::Container, &filter, |period| {
        let mut rows = tcp_rows(
            period.measurements,
            period.identities,
            &filter,
            period.has("drops"),
        );
        rows.sort_by(|a, b| order.compare(a, b));
        let report = period.report(rows);
        print(common, &report, |out, look| {
            write_tcp(out, &report, common.limit(), look)
        })
    })
}

fn connections(given: &TcpArgs, order: FlowOrder) -> Result<Kind, CliError> {
    let processes = Processes::find(&given.process.0.pid)?;
    let mut args = given.common.clone();
    args.duration.get_or_insert(LOOK);
    let mut tool = Tool::start_with(
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
            flows: given.narrow.0.rules(&[]),
            ..tool.filter(&args, processes)
        },
        book: FlowBook::default(),
        order,
        args: &args,
    };
    tool.strict(given.strict.strict)
        .run_job(&args, By::Connection, job)
}

struct Connections<'a> {
    args: &'a CommonArgs,
    filter: Filter,
    book: FlowBook,
    order: FlowOrder,
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

    fn filter(&self) -> &Filter {
        &self.filter
    }

    fn awaits_names(&self, _: &Measurements, identities: &Identities, _: bool) -> bool {
        let counted = Counted::Open;
        self.book.awaits_names(identities, counted, &self.filter)
    }

    fn show(&mut self, mut period: Period<'_>) -> Result<(), CliError> {
        let mut found = self.book.rows(
            period.identities,
            By::Connection,
            Counted::Open,
            &self.filter,
        );
        found.rows.sort_by(|a, b| self.order.compare(a, b));
        found.notes.into_iter().for_each(|note| period.note(note));
        let report = period.report(found.rows);
        print(self.args, &report, |out, look| {
            write_flows(out, &report, self.args.limit(), look)
        })
    }
}
