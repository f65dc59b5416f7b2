//! Events as they happen, a line each: `--follow` of `nodeprobe flows`, `tcp` and `dns`.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use super::{
    flows::{direction, end},
    time,
};
use crate::render::{
    Look,
    format::{bytes, clock, count, duration, or_dash},
    sheet::{Column, Scroll},
    text::safe,
    view::{FlowView, LookupView},
};

/// Something that happened to a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowLine {
    /// When.
    pub time: SystemTime,
    /// `start`, `update` or `end`.
    pub event: &'static str,
    /// The flow, counted since its start.
    pub flow: FlowView,
    /// How long it has been going on.
    pub lasted: Duration,
}

/// Lines of flows, in columns.
#[derive(Debug)]
pub struct FlowLines(Scroll);

impl FlowLines {
    /// Columns for this terminal.
    pub fn new(look: Look) -> Self {
        let columns = vec![
            (Column::name("TIME UTC", 12, 0), 12),
            (Column::name("EVENT", 6, 0), 6),
            (Column::name("CONTAINER", 14, 0), 40),
            (Column::name("DIR", 3, 5), 3),
            (Column::name("PROTO", 5, 4), 5),
            (Column::name("REMOTE", 16, 0), 48),
            (Column::number("SENT", 1), 8),
            (Column::number("RECEIVED", 1), 8),
            (Column::number("LASTED", 3), 8),
            (Column::number("RETRANS", 7), 7),
            (Column::number("RTT", 6), 7),
            (Column::name("STATE", 11, 2), 16),
            (Column::name("PROCESS", 8, 8), 24),
        ];
        Self(Scroll::new(columns, look))
    }

    /// Writes the titles of the columns.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn titles(&self, out: &mut impl Write) -> io::Result<()> {
        self.0.titles(out)
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn line(&self, out: &mut impl Write, line: &FlowLine) -> io::Result<()> {
        let look = self.0.look();
        let flow = &line.flow;
        let process = flow.process.as_ref();
        let state = flow.ends.keys().next().or(flow.state.as_ref());
        let cells = [
            clock(line.time),
            line.event.to_owned(),
            safe(&flow.container.display_name(), look.charset),
            direction(flow, look),
            or_dash(flow.transport.clone(), look.charset),
            end(flow.remote.as_ref(), look),
            bytes(flow.bytes_sent),
            bytes(flow.bytes_received),
            duration(line.lasted.as_secs_f64(), look.charset),
            or_dash(flow.retransmits.map(count), look.charset),
            time(flow.rtt_seconds, look),
            or_dash(state.map(|it| safe(it, look.charset)), look.charset),
            or_dash(
                process.map(|it| format!("{} {}", safe(&it.comm, look.charset), it.pid)),
                look.charset,
            ),
        ];
        self.0.line(out, &cells)
    }
}

/// Lines of DNS lookups, in columns.
#[derive(Debug)]
pub struct LookupLines(Scroll);

impl LookupLines {
    /// Columns for this terminal.
    pub fn new(look: Look) -> Self {
        let columns = vec![
            (Column::name("TIME UTC", 12, 0), 12),
            (Column::name("CONTAINER", 12, 0), 40),
            (Column::name("SERVER", 10, 3), 24),
            (Column::name("TYPE", 5, 1), 6),
            (Column::name("NAME", 16, 0), 48),
            (Column::name("RESULT", 9, 0), 9),
            (Column::number("LATENCY", 0), 8),
            (Column::list("ANSWER", 15, 2), 64),
        ];
        Self(Scroll::new(columns, look))
    }

    /// Writes the titles of the columns.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn titles(&self, out: &mut impl Write) -> io::Result<()> {
        self.0.titles(out)
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn line(&self, out: &mut impl Write, lookup: &LookupView) -> io::Result<()> {
        let look = self.0.look();
        let result = match &lookup.rcode {
            _ if lookup.timeout => Some("timeout".to_owned()),
            rcode => rcode.as_ref().map(|it| safe(it, look.charset)),
        };
        let aliases = lookup.aliases.iter().map(|name| safe(name, look.charset));
        let addresses = lookup.addresses.iter().map(ToString::to_string);
        let answer: Vec<String> = addresses.chain(aliases).collect();
        let cells = [
            clock(lookup.time),
            safe(&lookup.container.display_name(), look.charset),
            lookup.server.to_string(),
            safe(&lookup.kind, look.charset),
            safe(&lookup.name, look.charset),
            or_dash(result, look.charset),
            time(lookup.latency_seconds, look),
            answer.join(", "),
        ];
        self.0.line(out, &cells)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::UNIX_EPOCH};

    use super::*;
    use crate::render::{Charset, fixtures::pod, text::width, view::EndView};

    fn look(width: usize) -> Look {
        Look {
            width,
            colour: false,
            charset: Charset::Unicode,
        }
    }

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_767_323_045_000 + millis)
    }

    fn flow(event: &'static str, end: Option<&str>) -> FlowLine {
        FlowLine {
            time: at(7),
            event,
            flow: FlowView {
                container: pod("shop", "cart-7d9f8b6c5-x2x4z", "cart"),
                transport: Some("tcp".into()),
                remote: Some(EndView {
                    address: [10, 0, 0, 9].into(),
                    port: Some(5432),
                    name: None,
                    container: None,
                }),
                bytes_sent: 1_234_567_890,
                bytes_received: 88,
                retransmits: Some(3),
                ends: end
                    .map(|it| (it.to_owned(), 1))
                    .into_iter()
                    .collect::<BTreeMap<_, _>>(),
                ..FlowView::default()
            },
            lasted: Duration::from_millis(1500),
        }
    }

    fn written(width: usize, lines: &[FlowLine]) -> String {
        let table = FlowLines::new(look(width));
        let mut out = Vec::new();
        table.titles(&mut out).unwrap();
        lines
            .iter()
            .for_each(|line| table.line(&mut out, line).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events_of_flows_stand_in_columns() {
        let text = written(100, &[flow("start", None), flow("end", Some("fin"))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines.iter().all(|line| width(line) <= 100), "{text}");
        let column = lines[0].find("REMOTE").unwrap();
        for line in &lines[1..] {
            let before: String = line.chars().take(column).collect();
            assert!(line[before.len()..].starts_with("10.0.0.9:5432"), "{text}");
            assert!(
                line.starts_with("03:04:05.007") && line.contains("1.15 GiB"),
                "{text}"
            );
        }
        assert!(lines[2].ends_with("fin"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_keeps_who_and_with_whom() {
        let text = written(60, &[flow("start", None)]);
        assert!(
            text.contains("10.0.0.9:5432") && text.contains("start"),
            "{text}"
        );
        assert!(text.lines().all(|line| width(line) <= 60), "{text}");
    }

    #[test]
    fn an_unanswered_lookup_is_a_timeout() {
        let lookup = LookupView {
            time: at(0),
            container: pod("shop", "cart-0", "cart"),
            server: [10, 96, 0, 10].into(),
            transport: "udp",
            name: "db.shop.svc\x1b[2J".into(),
            kind: "AAAA".into(),
            rcode: None,
            timeout: true,
            latency_seconds: None,
            addresses: Vec::new(),
            aliases: Vec::new(),
            ttl_seconds: None,
        };
        let mut out = Vec::new();
        LookupLines::new(look(120)).line(&mut out, &lookup).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("AAAA") && text.contains("timeout"), "{text}");
        assert!(!text.contains('\x1b'), "{text:?}");
    }
}
