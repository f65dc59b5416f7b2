//! The lines above the live table: host, probes, and what the agent costs.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{state::UiState, theme::Theme};
use crate::render::{
    Charset,
    columns::{Want, fit},
    format::{age, bytes, count, percent},
    text::{safe, shorten_end},
    view::{LiveHeader, ProbeState},
};

const GAP: usize = 2;

/// A part of a line: the higher its rank, the sooner it is left out.
pub(super) type Part<'a> = (u8, Line<'a>);

/// The header for a screen of this width.
pub(super) fn lines(
    header: &LiveHeader,
    state: &UiState,
    width: u16,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let width = usize::from(width);
    let parts = [
        host(header, state, theme),
        probes(header, width, theme),
        agent(header, theme),
    ];
    parts.into_iter().map(|parts| join(parts, width)).collect()
}

/// Joins as many parts as fit, the important ones first.
pub(super) fn join(parts: Vec<Part<'static>>, width: usize) -> Line<'static> {
    let want = |(rank, line): &Part<'_>| {
        let width = line.width();
        Want {
            natural: width,
            min: width,
            rank: *rank,
        }
    };
    let wants: Vec<Want> = parts.iter().map(want).collect();
    let mut joined = Line::default();
    for ((_, part), width) in parts.into_iter().zip(fit(&wants, width, GAP)) {
        if width.is_some() {
            if !joined.spans.is_empty() {
                joined.push_span(" ".repeat(GAP));
            }
            joined.extend(part);
        }
    }
    joined
}

fn host(header: &LiveHeader, state: &UiState, theme: &Theme) -> Vec<Part<'static>> {
    let charset = theme.charset;
    let mut parts = vec![
        (0, Line::styled("nodeprobe", theme.brand)),
        (1, Line::styled(safe(&header.host, charset), theme.name)),
    ];
    if state.paused {
        parts.insert(1, (0, Line::styled("PAUSED", theme.warm)));
    }
    parts.extend([
        (4, fact("Linux", &safe(&header.kernel, charset), theme)),
        (3, fact("up", &age(header.uptime), theme)),
        (
            2,
            fact("containers", &count(header.containers as u64), theme),
        ),
    ]);
    parts
}

/// The probes with their reasons where there is room for all, else without.
fn probes(header: &LiveHeader, width: usize, theme: &Theme) -> Vec<Part<'static>> {
    let parts = |reasons: bool| -> Vec<Part<'static>> {
        // Trouble stays longer than its absence.
        let rank = |probe: &ProbeState| if probe.state == "on" { 8 } else { 1 };
        let probes = header.probes.iter();
        probes
            .map(|probe| (rank(probe), probe_part(probe, reasons, theme)))
            .collect()
    };
    let full = parts(true);
    let needed: usize = full.iter().map(|(_, line)| line.width() + GAP).sum();
    let mut parts = if needed <= width + GAP {
        full
    } else {
        parts(false)
    };
    parts.insert(0, (9, Line::styled("probes", theme.dim)));
    parts
}

fn probe_part(probe: &ProbeState, with_reason: bool, theme: &Theme) -> Line<'static> {
    const MAX_REASON: usize = 48;
    let charset = theme.charset;
    let style = state_style(probe.state, theme);
    let dot = if charset == Charset::Unicode {
        "● "
    } else {
        ""
    };
    let mut line = Line::from(vec![
        Span::styled(dot, style),
        Span::styled(safe(&probe.probe, charset), theme.text),
        Span::styled(format!(" {}", probe.state), style),
    ]);
    if let Some(reason) = probe.reason.as_ref().filter(|_| with_reason) {
        let reason = shorten_end(&safe(reason, charset), MAX_REASON, charset);
        line.push_span(Span::styled(format!(" ({reason})"), theme.dim));
    }
    line
}

fn state_style(state: &str, theme: &Theme) -> Style {
    match state {
        "on" => theme.good,
        "off" => theme.dim,
        "degraded" => theme.warm,
        _ => theme.hot,
    }
}

fn agent(header: &LiveHeader, theme: &Theme) -> Vec<Part<'static>> {
    let cpu = header.agent_cpu.map(|cpu| format!("{} CPU", percent(cpu)));
    let memory = header.agent_rss_bytes.map(bytes);
    let agent: Vec<String> = cpu.into_iter().chain(memory).collect();
    let mut parts = Vec::new();
    if !agent.is_empty() {
        parts.push((0, fact("agent", &agent.join(", "), theme)));
    }
    if let Some(cpu) = header.bpf_cpu {
        parts.push((2, fact("BPF", &format!("{} CPU", percent(cpu)), theme)));
    }
    parts.push((3, fact("series", &count(header.series), theme)));
    if let Some(listen) = &header.listen {
        let address = format!("http://{}/metrics", safe(listen, theme.charset));
        parts.push((1, fact("metrics", &address, theme)));
    }
    parts
}

fn fact(name: &str, value: &str, theme: &Theme) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name} "), theme.dim),
        Span::styled(value.to_owned(), theme.text),
    ])
}
