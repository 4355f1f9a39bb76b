//! The screen that goes on: keys, signals and answers come in at one place, one after the other.

use std::io;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, KeyEvent};
use ratatui::crossterm::terminal;
use ratatui::layout::Rect;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::model::Model;
use super::poll::{Answer, Poll};
use super::terminal::Taken;
use super::view::Flow;
use crate::admin::Unanswered;

/// How often the screen is drawn at least: it tells the seconds that Envoy is gone for.
const REDRAWN: Duration = Duration::from_secs(1);

/// How much may have happened that is not drawn yet. A terminal that takes nothing, as after ^S, holds the rest up.
const WAITING: usize = 16;

/// What happens.
enum Event {
    Asked,
    Answered(Result<Answer, Unanswered>),
    Key(KeyEvent),
    /// Anything else of the terminal, such as another size.
    Resized,
    Signal(i32),
    /// No key can come any more.
    Gone(io::Error),
}

/// What a screen ends by.
enum End {
    Quit,
    Signal(i32),
}

/// Shows the screen until a person or a signal ends it.
///
/// # Errors
/// When there is no terminal, or it is gone.
pub(super) fn perform(mut model: Model, poll: Poll, every: Duration) -> io::Result<ExitCode> {
    let (sender, events) = sync_channel(WAITING);
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP])?;
    let mut taken = Taken::take()?;
    // The threads end with the program.
    thread::spawn({
        let sender = sender.clone();
        move || ask_again_and_again(poll, every, &sender)
    });
    thread::spawn({
        let sender = sender.clone();
        move || pass_signals_on(signals, &sender)
    });
    thread::spawn(move || read_keys(&sender));

    let start = Instant::now();
    let end = 'screen: loop {
        model.with_screen(start.elapsed(), |screen| taken.draw(&screen))?;
        let mut next = match events.recv_timeout(REDRAWN) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break End::Quit,
        };
        // All that has happened is drawn at once: held keys must not leave the screen behind.
        while let Some(event) = next {
            let flow = match event {
                Event::Asked => {
                    model.ask(start.elapsed());
                    Flow::On
                }
                Event::Answered(answer) => {
                    model.take(start.elapsed(), answer);
                    Flow::On
                }
                Event::Key(key) => {
                    let (width, height) = terminal::size()?;
                    model.press(key, Rect::new(0, 0, width, height))
                }
                Event::Resized => Flow::On,
                Event::Signal(SIGTSTP) => Flow::Suspend,
                Event::Signal(signal) => break 'screen End::Signal(signal),
                Event::Gone(fault) => return Err(fault),
            };
            match flow {
                Flow::On => {}
                Flow::Quit => break 'screen End::Quit,
                Flow::Suspend => taken.lend(|| emulate_default_handler(SIGTSTP))?,
            }
            next = events.try_recv().ok();
        }
    };
    drop(taken);
    if let End::Signal(signal) = end {
        // Whoever sent it sees the end that it asked for.
        emulate_default_handler(signal)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One question at a time, each a fixed time after the one before; at once where that took longer to be answered.
fn ask_again_and_again(mut poll: Poll, every: Duration, events: &SyncSender<Event>) {
    loop {
        let begun = Instant::now();
        if events.send(Event::Asked).is_err() || events.send(Event::Answered(poll.ask())).is_err() {
            return;
        }
        thread::sleep(every.saturating_sub(begun.elapsed()));
    }
}

fn pass_signals_on(mut signals: Signals, events: &SyncSender<Event>) {
    for signal in signals.forever() {
        if events.send(Event::Signal(signal)).is_err() {
            return;
        }
    }
}

fn read_keys(events: &SyncSender<Event>) {
    loop {
        let (event, is_last) = match event::read() {
            Ok(event::Event::Key(key)) => (Event::Key(key), false),
            Ok(_) => (Event::Resized, false),
            Err(fault) => (Event::Gone(fault), true),
        };
        if events.send(event).is_err() || is_last {
            return;
        }
    }
}
