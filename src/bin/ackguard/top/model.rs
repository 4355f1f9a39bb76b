//! What is known of Envoy, and what is to be drawn of it. The clock is the time since some fixed moment, and passed in.

use std::time::Duration;

use ratatui::crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use super::poll::Answer;
use super::report::{Durations, Report};
use super::screen::{Link, Screen, Server};
use super::track::Track;
use super::view::{Flow, View};
use crate::admin::Unanswered;

/// From when on a person is told that an answer is being waited for.
const SLOW: Duration = Duration::from_secs(2);

/// Everything between the answers and the screen.
pub(super) struct Model {
    address: String,
    durations: Durations,
    track: Track,
    report: Report,
    /// What the screen shows while it is paused.
    frozen: Option<Report>,
    /// What Envoy said of itself, and when.
    server: Option<(Duration, Server)>,
    /// When the question was asked that is not answered yet.
    asked: Option<Duration>,
    /// When the last good answer came.
    answered: Option<Duration>,
    /// Why the last answer was none.
    fault: Option<String>,
    view: View,
}

impl Model {
    /// Nothing is known yet of the Envoy at this address.
    pub(super) fn new(address: String, durations: Durations) -> Model {
        Model {
            address,
            durations,
            track: Track::default(),
            report: Report::default(),
            frozen: None,
            server: None,
            asked: None,
            answered: None,
            fault: None,
            view: View::default(),
        }
    }

    /// A question was asked.
    pub(super) fn ask(&mut self, now: Duration) {
        self.asked = Some(now);
    }

    /// It was answered, or there is no answer.
    pub(super) fn take(&mut self, now: Duration, answer: Result<Answer, Unanswered>) {
        self.asked = None;
        match answer {
            Ok(Answer { stats, server }) => {
                self.answered = Some(now);
                self.fault = None;
                if let Some(server) = server {
                    self.server = Some((now, server));
                }
                self.track.take(now, stats);
                self.report = Report::of(&self.track, self.durations);
            }
            Err(fault) => self.fault = Some(crate::output::visible(fault.to_string().as_bytes())),
        }
    }

    /// A key was pressed, on a screen of this size.
    pub(super) fn press(&mut self, key: KeyEvent, area: Rect) -> Flow {
        let flow = self.view.press(key);
        self.frozen = if self.view.is_paused { self.frozen.take().or_else(|| Some(self.report.clone())) } else { None };
        let most = self.with_screen(Duration::ZERO, |screen| screen.most_scrolled(area));
        self.view.settle(most);
        flow
    }

    /// The screen as it is now for somebody who can press keys.
    pub(super) fn with_screen<T>(&self, now: Duration, see: impl FnOnce(Screen<'_>) -> T) -> T {
        let server = self.server.as_ref().map(|(at, server)| Server {
            uptime_seconds: server.uptime_seconds + now.saturating_sub(*at).as_secs(),
            ..server.clone()
        });
        see(Screen {
            address: &self.address,
            server: server.as_ref(),
            link: self.link(now),
            report: self.frozen.as_ref().unwrap_or(&self.report),
            view: Some(&self.view),
        })
    }

    fn link(&self, now: Duration) -> Link {
        let since = |moment: Duration| now.saturating_sub(moment);
        match (&self.fault, self.asked.map(since)) {
            (Some(fault), _) => Link::Lost(self.answered.map(|at| since(at).as_secs()), fault.clone()),
            (None, Some(waited)) if waited >= SLOW => Link::Slow(waited.as_secs()),
            (None, _) => Link::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use expect_test::expect_file;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;
    use ratatui::style::{Color, Modifier};

    use super::*;
    use crate::admin::Stats;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/top")
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What Envoy answered, as the file has it.
    fn answer(file: &str) -> Answer {
        let text = std::fs::read_to_string(folder().join(file)).expect("the file");
        let server = Server { version: "1.40.0".to_owned(), uptime_seconds: 7_260 };
        Answer { stats: Stats::read(&text).expect("an answer of Envoy's"), server: Some(server) }
    }

    fn lost() -> Unanswered {
        Unanswered::new("/stats?format=json", &"io: Connection refused\u{1b}[2J")
    }

    /// Two looks, two seconds apart.
    fn looked_twice() -> Model {
        let mut model = Model::new("http://127.0.0.1:9901".to_owned(), Durations::Recent);
        model.ask(seconds(10));
        model.take(seconds(10), Ok(answer("first.json")));
        model.ask(seconds(12));
        model.take(seconds(12), Ok(Answer { server: None, ..answer("second.json") }));
        model
    }

    fn drawn(model: &Model, now: u64, (width, height): (u16, u16)) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
        model.with_screen(seconds(now), |screen| {
            terminal.draw(|frame| frame.render_widget(&screen, frame.area())).expect("a terminal in memory");
        });
        terminal
    }

    fn told(model: &Model, now: u64, size: (u16, u16)) -> String {
        crate::top::text(drawn(model, now, size).backend().buffer())
    }

    fn press(model: &mut Model, keys: &[KeyCode]) {
        for key in keys {
            model.press(KeyEvent::from(*key), Rect::new(0, 0, 80, 24));
        }
    }

    /// `UPDATE_EXPECT=1` writes the file anew.
    fn assert_golden(file: &str, told: &str) {
        expect_file![folder().join(file)].assert_eq(told);
    }

    #[test]
    fn a_screen_of_any_size_has_what_fits() {
        let model = looked_twice();
        for size in [(80, 24), (200, 60), (60, 13)] {
            assert_golden(&format!("{}x{}.txt", size.0, size.1), &told(&model, 13, size));
        }
        for size in [(59, 24), (80, 12), (1, 1)] {
            assert!("too small: 60×13 at least".starts_with(told(&model, 13, size).trim_end_matches(['…', '\n'])));
        }
    }

    #[test]
    fn the_help_stands_in_place_of_the_tables() {
        let mut model = looked_twice();
        press(&mut model, &[KeyCode::Char('?')]);
        assert_golden("help.txt", &told(&model, 13, (80, 24)));
    }

    #[test]
    fn the_first_look_has_totals_and_no_rates() {
        let mut model = Model::new("http://127.0.0.1:9901".to_owned(), Durations::Recent);
        let before = told(&model, 0, (80, 24));
        assert!(before.contains("http://127.0.0.1:9901\n") && before.contains("so far"), "{before}");
        model.take(seconds(10), Ok(answer("first.json")));
        assert_golden("first.txt", &told(&model, 10, (80, 24)));
    }

    #[test]
    fn an_envoy_without_the_filter_is_told_of() {
        let mut model = Model::new("http://127.0.0.1:9901".to_owned(), Durations::Recent);
        let stats = Stats::read(r#"{"stats":[{"name":"server.state","value":1}]}"#).expect("an answer of Envoy's");
        model.take(seconds(1), Ok(Answer { stats, ..answer("first.json") }));
        let told = told(&model, 1, (80, 24));
        assert!(told.contains("Envoy 1.40.0, up 2h 1m, draining\nno statistics of AckGuard's"), "{told}");
    }

    #[test]
    fn a_lost_envoy_is_told_of_beside_its_last_figures_and_found_again() {
        let mut model = looked_twice();
        let good = told(&model, 13, (80, 24));
        let has_dim = |model: &Model| {
            let terminal = drawn(model, 73, (80, 24));
            terminal.backend().buffer().content().iter().any(|cell| cell.modifier.contains(Modifier::DIM))
        };
        assert!(!has_dim(&model));
        model.ask(seconds(13));
        assert_eq!(told(&model, 14, (80, 24)), good, "not yet slow");
        let slow = told(&model, 15, (80, 24));
        assert!(slow.lines().next().is_some_and(|line| line.contains("  no answer yet, for 2s  Envoy")), "{slow}");

        model.take(seconds(18), Err(lost()));
        model.ask(seconds(19));
        let gone = told(&model, 73, (80, 24));
        let (head, figures) = gone.split_once('\n').expect("lines");
        assert!(head.contains("no answer for 1m 1s: /stats: io: Connection refused"), "{head}");
        assert_eq!(Some(figures), good.split_once('\n').map(|(_, figures)| figures));
        assert!(has_dim(&model));
        assert!(!gone.contains('\u{1b}'));

        model.take(seconds(73), Ok(Answer { server: None, ..answer("second.json") }));
        assert_eq!(told(&model, 13, (80, 24)).lines().next(), good.lines().next());
    }

    #[test]
    fn an_envoy_that_never_answered_is_told_of() {
        let mut model = Model::new("http://127.0.0.1:9901".to_owned(), Durations::Recent);
        model.take(seconds(1), Err(lost()));
        let told = told(&model, 2, (80, 24));
        assert!(told.contains("no answer: /stats: io: Connection"), "{told}");
    }

    #[test]
    fn a_paused_screen_stands_still_and_goes_on_with_the_newest() {
        let mut model = Model::new("http://127.0.0.1:9901".to_owned(), Durations::Recent);
        model.take(seconds(10), Ok(answer("first.json")));
        press(&mut model, &[KeyCode::Char('p')]);
        let paused = told(&model, 10, (80, 24));
        assert!(paused.starts_with("ackguard top  PAUSED  http"), "{paused}");
        model.take(seconds(12), Ok(Answer { server: None, ..answer("second.json") }));
        assert_eq!(told(&model, 10, (80, 24)), paused);
        press(&mut model, &[KeyCode::Char('p')]);
        assert_eq!(told(&model, 13, (80, 24)), told(&looked_twice(), 13, (80, 24)));
    }

    #[test]
    fn tables_are_scrolled_to_their_ends_and_back() {
        let mut model = looked_twice();
        let rows = |model: &Model| {
            let told = told(model, 13, (60, 13));
            told.lines().filter(|line| line.starts_with("tmq ")).map(|line| line[..9].to_owned()).collect::<Vec<_>>()
        };
        let press = |model: &mut Model, key| model.press(KeyEvent::from(key), Rect::new(0, 0, 60, 13));
        assert_eq!(rows(&model), ["tmq publi", "tmq ack  "]);
        press(&mut model, KeyCode::Down);
        assert_eq!(rows(&model), ["tmq ack  ", "tmq pull "]);
        press(&mut model, KeyCode::End);
        press(&mut model, KeyCode::Down);
        assert_eq!(rows(&model), ["tmq subsc", "tmq exten"]);
        press(&mut model, KeyCode::Up);
        assert_eq!(rows(&model), ["tmq pull ", "tmq subsc"]);
    }

    #[test]
    fn what_is_broken_is_red() {
        let terminal = drawn(&looked_twice(), 13, (80, 24));
        let buffer = terminal.backend().buffer();
        let red: Vec<u16> = (0..24).filter(|y| (0..80).any(|x| buffer[(x, *y)].fg == Color::Red)).collect();
        let told = crate::top::text(buffer);
        let lines: Vec<&str> = red.iter().filter_map(|y| told.lines().nth(usize::from(*y))).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("tmq ack "), "time-outs: {lines:?}");
        assert!(lines[1].contains("late acks") && lines[2].contains("broker-eu OPEN"), "{lines:?}");
    }

    #[test]
    fn nothing_that_a_terminal_would_obey_reaches_it() {
        let model = looked_twice();
        let told = told(&model, 13, (200, 60));
        assert!(told.contains("\\u{1b}[2Jowned\\u{7}\\u{202e}gone"), "{told}");
        assert!(
            !told.contains(|character: char| character != '\n' && (character.is_control() || character == '\u{202e}'))
        );
    }
}
