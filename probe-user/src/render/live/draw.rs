//! Puts a picture on the screen.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    text::{Line, Span, Text},
    widgets::{Cell, Paragraph, Row, Table},
};

use super::{cells, column::Column, footer, header, help, state::UiState, theme::Theme};
use crate::render::{
    Charset,
    columns::fit,
    text::width,
    view::{LiveRow, LiveView},
};

const GAP: u16 = 1;
/// Lower terminals have a header of one line.
const LOW: u16 = 12;

/// Draws header, table and footer. Moves the selection as the keys before asked for.
pub fn draw(frame: &mut Frame<'_>, view: &LiveView, state: &mut UiState, theme: &Theme) {
    let area = frame.area();
    let header_lines = header::lines(&view.header, state, area.width, theme);
    let header_height = if area.height < LOW {
        1
    } else {
        header_lines.len() as u16
    };
    let blank = u16::from(area.height >= LOW);
    let [top, _, middle, bottom] = Layout::vertical([
        Constraint::Length(header_height),
        Constraint::Length(blank),
        Constraint::Fill(1),
        Constraint::Length(footer::height(state, area.height)),
    ])
    .areas(area);
    let rows = state.arrange(view, usize::from(middle.height.saturating_sub(1)));
    frame.render_widget(Paragraph::new(header_lines), top);
    table(frame, middle, &rows, state, theme);
    frame.render_widget(
        Paragraph::new(footer::lines(view, &rows, state, bottom, theme)),
        bottom,
    );
    if rows.is_empty() {
        nothing(frame, middle, view, theme);
    }
    if state.help {
        help::draw(frame, area, theme);
    }
}

fn table(frame: &mut Frame<'_>, area: Rect, rows: &[&LiveRow], state: &UiState, theme: &Theme) {
    let widths = widths(rows, area.width, state, theme);
    let heading = Row::new(
        widths
            .iter()
            .map(|(column, _)| heading(*column, state, theme)),
    );
    let body = rows[state.on_screen(rows.len())].iter().map(|row| {
        let selected = state.is_selected(row);
        let cells = widths.iter().map(|(column, width)| {
            let (text, style) = cells::fitted(row, *column, usize::from(*width), theme);
            // Reversed colours of all cells would be a motley row.
            let style = if selected { theme.text } else { style };
            Cell::new(Line::styled(text, style).alignment(alignment(*column)))
        });
        Row::new(cells).style(if selected { theme.selected } else { theme.text })
    });
    let constraints = widths.iter().map(|(_, width)| Constraint::Length(*width));
    frame.render_widget(
        Table::new(body, constraints)
            .column_spacing(GAP)
            .header(heading),
        area,
    );
}

/// The columns that find room, with their widths.
fn widths(rows: &[&LiveRow], available: u16, state: &UiState, theme: &Theme) -> Vec<(Column, u16)> {
    let widest = |column: Column| {
        let texts = rows
            .iter()
            .map(|row| width(&cells::cell(row, column, theme).0));
        texts.max().unwrap_or(0)
    };
    let wants = Column::ALL.map(|column| column.want(widest(column), column == state.sort));
    let widths = fit(&wants, usize::from(available), usize::from(GAP));
    let shown = Column::ALL.into_iter().zip(widths);
    // Only a column wider than the whole screen exceeds what a `u16` holds.
    shown
        .filter_map(|(c, width)| Some((c, u16::try_from(width?).unwrap_or(available))))
        .collect()
}

fn heading(column: Column, state: &UiState, theme: &Theme) -> Cell<'static> {
    if column != state.sort {
        return Cell::new(Line::styled(column.title(), theme.heading).alignment(alignment(column)));
    }
    // Names are sorted from A to Z, numbers from large to small, unless reversed.
    let ascending = (column == Column::Container) != state.reverse;
    let arrow = match (theme.charset, ascending) {
        (Charset::Unicode, true) => "▲",
        (Charset::Unicode, false) => "▼",
        (Charset::Ascii, true) => "^",
        (Charset::Ascii, false) => "v",
    };
    let text = format!("{} {arrow}", column.title());
    Cell::new(Line::styled(text, theme.sorted).alignment(alignment(column)))
}

fn alignment(column: Column) -> Alignment {
    if column.is_text() {
        Alignment::Left
    } else {
        Alignment::Right
    }
}

/// Says why the table is empty.
fn nothing(frame: &mut Frame<'_>, area: Rect, view: &LiveView, theme: &Theme) {
    let why = if view.rows.is_empty() {
        "waiting for the first calls"
    } else {
        "nothing matches; Esc clears the filter, h shows host services"
    };
    let area = Rect {
        y: area.y.saturating_add(2),
        height: area.height.saturating_sub(2),
        ..area
    };
    let text = Text::from(Span::styled(why, theme.dim)).alignment(Alignment::Center);
    frame.render_widget(Paragraph::new(text), area);
}
