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
