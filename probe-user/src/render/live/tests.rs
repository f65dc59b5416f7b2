use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use proptest::prelude::*;
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    style::{Color, Modifier},
};

use super::*;
use crate::render::{
    Charset, fixtures,
    text::is_harmless,
    view::{ContainerRef, LiveRow},
};

fn screen(view: &LiveView, state: &mut UiState, theme: &Theme, size: (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal
        .draw(|frame| draw(frame, view, state, theme))
        .unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(width);
    lines
        .map(|cells| {
            cells
                .iter()
                .map(|cell| cell.symbol())
                .collect::<String>()
                .trim_end()
                .to_owned()
        })
        .collect()
}

fn shown(state: &mut UiState) -> Vec<String> {
    lines(&screen(
        &fixtures::live(),
        state,
        &Theme::colour(Charset::Unicode),
        (120, 16),
    ))
}

/// Names of the rows on the screen, without what is above and below the table.
fn names(state: &mut UiState) -> Vec<String> {
    let lines = shown(state);
    let table = lines
        .iter()
        .skip_while(|line| !line.starts_with("CONTAINER"))
        .skip(1);
    let rows = table.take_while(|line| !line.is_empty() && !line.starts_with("lost"));
    rows.map(|row| row.split_whitespace().next().unwrap().to_owned())
        .collect()
}

fn press(state: &mut UiState, keys: &str) {
    for key in keys.chars() {
        state.on_key(KeyEvent::from(KeyCode::Char(key)));
    }
}

fn golden(width: u16) {
    let buffer = screen(
        &fixtures::live(),
        &mut UiState::default(),
        &Theme::colour(Charset::Unicode),
        (width, 16),
    );
    fixtures::assert_golden(
        &format!("live-{width}.txt"),
        &(lines(&buffer).join("\n") + "\n"),
    );
}

#[test]
fn the_table_at_60_columns() {
    golden(60);
}

#[test]
fn the_table_at_80_columns() {
    golden(80);
}

#[test]
fn the_table_at_120_columns() {
    golden(120);
}

#[test]
fn the_table_at_200_columns() {
    golden(200);
}

#[test]
fn the_help_names_every_key() {
    let mut state = UiState::default();
    press(&mut state, "?");
    let size = (90, 26);
    let help = lines(&screen(
        &fixtures::live(),
        &mut state,
        &Theme::colour(Charset::Unicode),
        size,
    ));
    fixtures::assert_golden("live-help.txt", &(help.join("\n") + "\n"));
    assert_eq!(state.on_key(KeyEvent::from(KeyCode::Esc)), Action::Redraw);
    assert!(
        !shown(&mut state)
            .iter()
            .any(|line| line.contains("any key closes"))
    );
}

#[test]
fn the_busiest_container_is_first() {
    let names = names(&mut UiState::default());
    assert_eq!(names.len(), 7);
    assert_eq!(
        names[..2],
        ["batch/hog-0/hog", "shop/cart-7d9f8b6c5-x2x4z/cart"]
    );
}

#[test]
fn digits_choose_the_column_and_r_turns_it_round() {
    let mut state = UiState::default();
    press(&mut state, "2");
    assert_eq!(names(&mut state)[0], "shop/cart-7d9f8b6c5-x2x4z/cart");
    press(&mut state, "r");
    assert_eq!(names(&mut state)[0], "~host/cron.service");
    press(&mut state, "1");
    assert_eq!(names(&mut state)[0], "batch/hog-0/hog");
    assert!(
        shown(&mut state)
            .iter()
            .any(|line| line.starts_with("CONTAINER ▲"))
    );
}

#[test]
fn s_and_arrows_go_round_all_columns() {
    let mut state = UiState::default();
    for _ in Column::ALL {
        press(&mut state, "s");
    }
    assert_eq!(state.sort, Column::Cpu);
    press(&mut state, "1");
    state.on_key(KeyEvent::from(KeyCode::Left));
    assert_eq!(state.sort, Column::Preemptor);
    state.on_key(KeyEvent::from(KeyCode::Right));
    assert_eq!(state.sort, Column::Container);
}

#[test]
fn the_sorted_column_is_shown_on_narrow_screens() {
    let mut state = UiState::default();
    press(&mut state, "4");
    let buffer = screen(
        &fixtures::live(),
        &mut state,
        &Theme::colour(Charset::Unicode),
        (60, 16),
    );
    assert!(
        lines(&buffer)
            .iter()
            .any(|line| line.contains("CALL P50 ▼"))
    );
}

#[test]
fn what_was_not_measured_is_last_and_no_zero() {
    let mut state = UiState::default();
    press(&mut state, "5");
    let lines = shown(&mut state);
    let last = lines
        .iter()
        .find(|line| line.starts_with("~host/cron"))
        .unwrap();
    assert!(last.contains('–'), "{last}");
    assert_eq!(names(&mut state).last().unwrap(), "~host/cron.service");
}

#[test]
fn the_filter_takes_keys_until_enter_and_esc_clears_it() {
    let mut state = UiState::default();
    press(&mut state, "/SHOPq");
    assert!(shown(&mut state).last().unwrap().contains("filter: SHOPq_"));
    state.on_key(KeyEvent::from(KeyCode::Backspace));
    state.on_key(KeyEvent::from(KeyCode::Enter));
    assert_eq!(
        names(&mut state),
        ["shop/cart-7d9f8b6c5-x2x4z/cart", "shop/postgres-0/postgres"]
    );
    assert!(shown(&mut state).last().unwrap().contains("/ SHOP"));
    state.on_key(KeyEvent::from(KeyCode::Esc));
    assert_eq!(names(&mut state).len(), 7);
}

#[test]
fn a_filter_without_matches_says_so() {
    let mut state = UiState::default();
    press(&mut state, "/nobody");
    assert!(
        shown(&mut state)
            .iter()
            .any(|line| line.contains("nothing matches"))
    );
}

#[test]
fn h_hides_host_services() {
    let mut state = UiState::default();
    press(&mut state, "h");
    assert!(
        names(&mut state)
            .iter()
            .all(|name| !name.starts_with("~host"))
    );
    press(&mut state, "h");
    assert_eq!(
        names(&mut state)
            .iter()
            .filter(|name| name.starts_with("~host"))
            .count(),
        2
    );
}

#[test]
fn p_pauses_and_the_header_says_so() {
    let mut state = UiState::default();
    press(&mut state, "p");
    assert!(state.paused());
    assert!(shown(&mut state)[0].contains("PAUSED"));
    press(&mut state, "p");
    assert!(!state.paused());
}

#[test]
fn q_and_control_c_quit_but_not_when_typed_or_released() {
    let q = KeyEvent::from(KeyCode::Char('q'));
    let mut state = UiState::default();
    assert_eq!(state.on_key(q), Action::Quit);
    let release = KeyEvent {
        kind: KeyEventKind::Release,
        ..q
    };
    assert_eq!(state.on_key(release), Action::Ignore);
    press(&mut state, "/");
    assert_eq!(state.on_key(q), Action::Redraw);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(state.on_key(control_c), Action::Quit);
}

#[test]
fn the_selection_follows_its_container() {
    let mut state = UiState::default();
    state.on_key(KeyEvent::from(KeyCode::Down));
    shown(&mut state);
    let selected = state.selected.clone();
    assert_eq!(selected.as_deref(), Some("/kubepods/hog-0/hog"));
    press(&mut state, "2");
    let lines = shown(&mut state);
    assert_eq!(state.selected, selected);
    assert!(
        lines[lines.len() - 2]
            .starts_with("batch/hog-0/hog  kubernetes  3f1c9a7e3f1c  /kubepods/hog-0")
    );
}

#[test]
fn a_selected_container_that_goes_leaves_the_selection_to_its_neighbour() {
    let mut state = UiState::default();
    let mut view = fixtures::live();
    let theme = Theme::plain(Charset::Unicode);
    state.on_key(KeyEvent::from(KeyCode::Down));
    screen(&view, &mut state, &theme, (80, 16));
    view.rows.retain(|row| row.container.name != "hog");
    screen(&view, &mut state, &theme, (80, 16));
    assert_eq!(
        state.selected.as_deref(),
        Some("/kubepods/cart-7d9f8b6c5-x2x4z/cart")
    );
}

#[test]
fn long_tables_scroll_with_the_selection() {
    let row = |i: usize| LiveRow {
        container: ContainerRef {
            name: format!("c{i:03}"),
            ..ContainerRef::default()
        },
        ..LiveRow::default()
    };
    let view = LiveView {
        rows: (0..100).map(row).collect(),
        ..LiveView::default()
    };
    let theme = Theme::plain(Charset::Unicode);
    let mut state = UiState::default();
    press(&mut state, "1");
    let mut footer_after = |code| {
        state.on_key(KeyEvent::from(code));
        let lines = lines(&screen(&view, &mut state, &theme, (80, 17)));
        (
            state.selected.clone().unwrap(),
            lines.last().unwrap().clone(),
        )
    };
    // 3 lines of header, a blank one, the heading and the footer leave 11 rows; the details of a
    // selected one leave 10.
    footer_after(KeyCode::Down);
    let (selected, footer) = footer_after(KeyCode::PageDown);
    assert_eq!(selected, "c011");
    assert!(footer.contains("3-12 of 100"), "{footer}");
    let (selected, footer) = footer_after(KeyCode::End);
    assert_eq!(selected, "c099");
    assert!(footer.contains("91-100 of 100"), "{footer}");
    let (selected, footer) = footer_after(KeyCode::Up);
    assert_eq!(selected, "c098");
    assert!(footer.contains("91-100 of 100"), "{footer}");
    let (selected, footer) = footer_after(KeyCode::Home);
    assert_eq!(selected, "c000");
    assert!(footer.contains("1-10 of 100"), "{footer}");
}

#[test]
fn loss_is_shown_at_any_width() {
    let mut view = fixtures::live();
    (view.header.lost_per_second, view.header.lost_total) = (12.5, 4_711);
    for width in [60, 80, 120, 200] {
        let size = (width, 16);
        let buffer = screen(
            &view,
            &mut UiState::default(),
            &Theme::plain(Charset::Ascii),
            size,
        );
        assert!(
            lines(&buffer)
                .last()
                .unwrap()
                .starts_with("LOST 12.5/s, 4,711 in total")
        );
    }
}

#[test]
fn the_plain_theme_has_no_colours_but_shows_what_is_hot() {
    let theme = Theme::plain(Charset::Unicode);
    let buffer = screen(
        &fixtures::live(),
        &mut UiState::default(),
        &theme,
        (120, 16),
    );
    assert!(
        buffer
            .content
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    assert!(
        buffer
            .content
            .iter()
            .any(|cell| cell.modifier.contains(Modifier::BOLD))
    );
}

#[test]
fn hot_figures_are_red_and_zeros_dim() {
    let theme = Theme::colour(Charset::Unicode);
    let view = fixtures::live();
    let style = |row: usize, column| cells::cell(&view.rows[row], column, &theme).1;
    assert_eq!(style(0, Column::RunqueueP99), theme.hot);
    assert_eq!(style(1, Column::RunqueueP99), theme.warm);
    assert_eq!(style(2, Column::RunqueueP99), theme.text);
    assert_eq!(style(0, Column::Errors), theme.hot);
    assert_eq!(style(3, Column::Errors), theme.text);
    assert_eq!(style(6, Column::Cpu), theme.dim);
}

proptest! {
    // A screen of this size takes a while in debug builds.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_names_on_any_screen_are_drawn_without_harm(
        name: String, comm: String, width in 1u16..250, height in 1u16..50,
        ascii: bool, keys in "[sr/hp?12345678q ]{0,8}", moves in -3isize..10, lost: f64,
    ) {
        let mut view = fixtures::live();
        view.header.lost_per_second = lost;
        view.header.host = name.clone();
        view.header.probes[1].reason = Some(comm.clone());
        for row in &mut view.rows {
            row.container.name = name.clone();
            row.cpu = Some(lost);
            if let Some(by) = &mut row.top_preemptor {
                by.name = comm.clone();
            }
        }
        let mut state = UiState::default();
        press(&mut state, &keys);
        state.moves = moves;
        let charset = if ascii { Charset::Ascii } else { Charset::Unicode };
        let theme = Theme::colour(charset);
        for size in [(width, height), (height, width)] {
            let buffer = screen(&view, &mut state, &theme, size);
            for cell in &buffer.content {
                prop_assert!(!ascii || cell.symbol().is_ascii());
                prop_assert!(cell.symbol().chars().all(is_harmless), "{:?}", cell.symbol());
            }
        }
    }
}
