//! What a person has chosen to see, and what their keys change of it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// How the rows of tables are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// The fastest first.
    #[default]
    Rate,
    /// The most first.
    Total,
    /// By name.
    Name,
}

impl Sort {
    /// Its name at the foot of the screen.
    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Rate => "rate",
            Sort::Total => "total",
            Sort::Name => "name",
        }
    }

    fn next(self) -> Sort {
        match self {
            Sort::Rate => Sort::Total,
            Sort::Total => Sort::Name,
            Sort::Name => Sort::Rate,
        }
    }
}

/// A table that can be scrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Operations,
    Tenants,
    Violations,
    Limits,
}

impl Pane {
    const ALL: [Pane; 4] = [Pane::Operations, Pane::Tenants, Pane::Violations, Pane::Limits];

    fn beside(self, by: usize) -> Pane {
        let place = Pane::ALL.iter().position(|pane| *pane == self).unwrap_or_default();
        Pane::ALL.get((place + by) % Pane::ALL.len()).copied().unwrap_or_default()
    }
}

/// What follows from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The screen goes on.
    On,
    /// It ends.
    Quit,
    /// The program is put to sleep, as a shell's ^Z does.
    Suspend,
}

/// What is to be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) sort: Sort,
    pub(super) focus: Pane,
    pub(super) is_paused: bool,
    pub(super) is_help_shown: bool,
    /// How many rows of each pane are above its first shown one, as far as keys have asked; a pane has as many as it has.
    offsets: [usize; Pane::ALL.len()],
}

/// How many rows a page key goes.
const PAGE: usize = 10;

impl View {
    /// How many rows are above the first that is shown, in a pane that shows `shown` of `rows`.
    pub(super) fn offset(&self, pane: Pane, rows: usize, shown: usize) -> usize {
        let wanted = self.offsets.get(pane as usize).copied().unwrap_or_default();
        wanted.min(rows.saturating_sub(shown))
    }

    /// Brings what keys have asked for into what the panes have, told by the most rows that each can be scrolled by:
    /// a key in the other direction then takes effect at once.
    pub(super) fn settle(&mut self, most: impl Fn(Pane) -> usize) {
        for (offset, pane) in self.offsets.iter_mut().zip(Pane::ALL) {
            *offset = (*offset).min(most(pane));
        }
    }

    /// Does what a key asks for.
    pub(super) fn press(&mut self, key: KeyEvent) -> Flow {
        if key.kind == KeyEventKind::Release {
            return Flow::On;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Flow::Quit,
                KeyCode::Char('z') => Flow::Suspend,
                _ => Flow::On,
            };
        }
        if self.is_help_shown && key.code != KeyCode::Char('q') {
            self.is_help_shown = false;
            return Flow::On;
        }
        match key.code {
            KeyCode::Char('q') => return Flow::Quit,
            KeyCode::Char('?' | 'h') => self.is_help_shown = true,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Tab | KeyCode::Right => self.focus = self.focus.beside(1),
            KeyCode::BackTab | KeyCode::Left => self.focus = self.focus.beside(Pane::ALL.len() - 1),
            KeyCode::Down => self.scroll(|offset| offset.saturating_add(1)),
            KeyCode::Up => self.scroll(|offset| offset.saturating_sub(1)),
            KeyCode::PageDown => self.scroll(|offset| offset.saturating_add(PAGE)),
            KeyCode::PageUp => self.scroll(|offset| offset.saturating_sub(PAGE)),
            KeyCode::Home => self.scroll(|_| 0),
            KeyCode::End => self.scroll(|_| usize::MAX),
            _ => {}
        }
        Flow::On
    }

    fn scroll(&mut self, to: impl Fn(usize) -> usize) {
        if let Some(offset) = self.offsets.get_mut(self.focus as usize) {
            *offset = to(*offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(keys: &[KeyCode]) -> View {
        let mut view = View::default();
        for key in keys {
            assert_eq!(view.press(KeyEvent::from(*key)), Flow::On, "{key:?}");
        }
        view
    }

    #[test]
    fn q_and_control_c_quit_whatever_is_shown() {
        for mut view in [View::default(), after(&[KeyCode::Char('?')]), after(&[KeyCode::Char('p')])] {
            assert_eq!(view.clone().press(KeyEvent::from(KeyCode::Char('q'))), Flow::Quit);
            assert_eq!(view.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Flow::Quit);
            assert_eq!(view.press(KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL)), Flow::Suspend);
        }
    }

    #[test]
    fn keys_choose_order_pane_and_pause() {
        let s = KeyCode::Char('s');
        assert_eq!(
            [&[][..], &[s], &[s, s], &[s, s, s]].map(|keys| after(keys).sort.name()),
            ["rate", "total", "name", "rate"]
        );
        assert_eq!(after(&[KeyCode::Tab, KeyCode::Right]).focus, Pane::Violations);
        assert_eq!(after(&[KeyCode::BackTab]).focus, Pane::Limits);
        assert!(after(&[KeyCode::Char('p')]).is_paused);
        assert!(!after(&[KeyCode::Char('p'), KeyCode::Char('p')]).is_paused);
    }

    #[test]
    fn any_key_closes_the_help_and_does_nothing_else() {
        assert_eq!(after(&[KeyCode::Char('?'), KeyCode::Char('s')]), View::default());
    }

    #[test]
    fn scrolling_ends_at_the_last_row() {
        let mut view = after(&[KeyCode::Tab, KeyCode::End]);
        assert_eq!((view.offset(Pane::Tenants, 30, 10), view.offset(Pane::Operations, 30, 10)), (20, 0));
        view.settle(|_| 20);
        view.press(KeyEvent::from(KeyCode::Up));
        assert_eq!(view.offset(Pane::Tenants, 30, 10), 19);
        assert_eq!(view.offset(Pane::Tenants, 3, 10), 0, "all rows fit");
        assert_eq!(after(&[KeyCode::Up]).offset(Pane::Operations, 30, 10), 0);
    }
}
