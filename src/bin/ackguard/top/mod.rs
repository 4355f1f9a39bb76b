//! `ackguard top`: what the filter of a running Envoy does, each second, on one screen.
//!
//! An answer of Envoy's admin endpoint ([`poll`]) becomes a moment on a track ([`track`]), two moments become figures
//! ([`report`]), figures become rows ([`table`]), and rows a [`screen`]. All of that is pure. [`live`] and [`terminal`]
//! alone know threads, signals and the terminal.

mod figures;
mod live;
mod model;
mod poll;
mod report;
mod screen;
mod table;
mod terminal;
mod track;
mod view;

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use ackguard::operation::Millis;
use ackguard::policy;
use ratatui::buffer::Buffer;
use ratatui::crossterm;
use ratatui::layout::Rect;
use ratatui::widgets::Widget as _;
use unicode_width::UnicodeWidthStr as _;

use crate::admin::{AdminArgs, Unanswered};
use crate::output::{self, UNREAD, complain};
use model::Model;
use poll::Poll;
use report::Durations;
use screen::Screen;

/// The shortest and the longest time between two looks: Envoy's main thread answers, which has other work, and a rate
/// over more than an hour is nobody's current one.
const EVERY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3_600));

/// How wide a frame is that goes to a file or a pipe.
const WIDTH: u16 = 120;
/// The most rows of such a frame; tables beyond it tell what they left out.
const MOST_ROWS: usize = 500;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ackguard top
  ackguard top --admin http://127.0.0.1:9901 --every 5s
  kubectl port-forward deploy/gateway 15000 & ackguard top --admin http://127.0.0.1:15000
  ackguard top --once | grep breakers

Keys: q quit, p pause, s order, Tab and arrows choose and scroll a table, ? help.
Exit status: 0; 2 when there is no terminal, or, with --once, when Envoy gives no answer.")]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// The time between two looks, such as 500ms or 5s
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = every)]
    every: Duration,
    /// Print one frame as plain text, whose rates are those of one such time, and end
    #[arg(long)]
    once: bool,
}

fn every(text: &str) -> Result<Duration, String> {
    let (least, most) = EVERY;
    let read = policy::duration(text).and_then(|Millis(millis)| u64::try_from(millis).ok()).map(Duration::from_millis);
    read.filter(|every| (least..=most).contains(every)).ok_or_else(|| "expected a duration from 200ms to 1h".to_owned())
}

/// Shows the screen, or one frame of it.
pub(crate) fn perform(args: &Args) -> ExitCode {
    let address = args.admin.shown();
    let poll = Poll::new(&args.admin);
    if args.once {
        return match look(address.clone(), poll, args.every) {
            Ok(frame) => output::perform(|out| out.write_all(frame.as_bytes()).map(|()| ExitCode::SUCCESS)),
            Err(why) => {
                complain(Path::new(&address), &why);
                ExitCode::from(UNREAD)
            }
        };
    }
    if !io::stdout().is_terminal() {
        complain(Path::new("standard output"), &"no terminal; --once prints one frame");
        return ExitCode::from(UNREAD);
    }
    live::perform(Model::new(address, Durations::Recent), poll, args.every).unwrap_or_else(|fault| {
        complain(Path::new("terminal"), &fault);
        ExitCode::from(UNREAD)
    })
}

/// Looks twice and tells what came between.
fn look(address: String, mut poll: Poll, every: Duration) -> Result<String, Unanswered> {
    let mut model = Model::new(address, Durations::SinceStart);
    let start = Instant::now();
    let first = poll.ask()?;
    model.take(start.elapsed(), Ok(first));
    thread::sleep(every);
    let second = poll.ask()?;
    model.take(start.elapsed(), Ok(second));
    let width = if io::stdout().is_terminal() { crossterm::terminal::size().ok() } else { None };
    let width = width.map_or(WIDTH, |(width, _)| width);
    Ok(model.with_screen(start.elapsed(), |screen| plain(&Screen { view: None, ..screen }, width)))
}

/// A screen as text, with all its rows.
fn plain(screen: &Screen<'_>, width: u16) -> String {
    let height = u16::try_from(screen.whole_height().min(MOST_ROWS)).unwrap_or(u16::MAX);
    let area = Rect::new(0, 0, width.max(screen::LEAST.0), height.max(screen::LEAST.1));
    let mut buffer = Buffer::empty(area);
    screen.render(area, &mut buffer);
    text(&buffer)
}

/// What was drawn, without its colours.
fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for line in buffer.content().chunks(usize::from(buffer.area.width)) {
        let mut cells = line.iter();
        let mut written = String::new();
        while let Some(cell) = cells.next() {
            written.push_str(cell.symbol());
            // A wide character stands in two cells, of which the second is empty.
            for _ in 1..cell.symbol().width() {
                cells.next();
            }
        }
        text.push_str(written.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
