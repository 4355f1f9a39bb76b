//! The terminal: taken over, and given back as it was, whatever happens.

use std::io::{self, Stdout};
use std::panic;
use std::process;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

use super::screen::Screen;

/// The exit status of a program that panicked.
const PANICKED: i32 = 101;

/// A terminal that shows one screen instead of what it showed. Dropping it gives it back.
pub(super) struct Taken {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Taken {
    /// Takes the terminal over. A panic, in any thread, gives it back, is told there, and ends the program.
    ///
    /// # Errors
    /// When standard output is no terminal that can be.
    pub(super) fn take() -> io::Result<Taken> {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |told| {
            give_back();
            tell(told);
            process::exit(PANICKED);
        }));
        let taken = enter().and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        taken.map(|terminal| Taken { terminal }).inspect_err(|_| give_back())
    }

    /// Draws the screen, in the size that the terminal has now.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn draw(&mut self, screen: &Screen<'_>) -> io::Result<()> {
        self.terminal.draw(|frame| frame.render_widget(screen, frame.area())).map(|_| ())
    }

    /// Gives the terminal back for the time that something else has it.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn lend(&mut self, to: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        give_back();
        to()?;
        enter()?;
        // Another one knows that nothing is drawn yet.
        self.terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen)
}

/// What cannot be given back is gone, and nobody could be told.
fn give_back() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

#[cfg(test)]
#[path = "../../../../tests/cli/top/terminal.rs"]
#[allow(dead_code, reason = "the tests of the command line need more of it")]
mod pty;

#[cfg(test)]
mod tests {
    use super::*;

    const DIES: &str = "top::terminal::tests::a_program_that_dies";

    #[test]
    #[ignore = "panics: the test below runs it in a terminal"]
    fn a_program_that_dies() {
        let _taken = Taken::take().expect("a terminal");
        // The screen goes on while another thread dies.
        std::thread::spawn(|| panic!("as it was told")).join().expect_err("a panic");
        panic!("the hook ends the program");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_and_is_told_there() {
        let this = std::env::current_exe().expect("this program");
        let this = this.to_str().expect("UTF-8");
        let terminal = pty::Terminal::start(this, &["--exact", DIES, "--ignored", "--nocapture"], &[]);
        terminal.shows("the panic", |screen| screen.contains("as it was told") && screen.contains("over"));
        let ended = terminal.ends();
        assert_eq!(ended.status, PANICKED);
        assert!(ended.raw.contains("\x1b[?1049h"), "it had the terminal: {:?}", ended.raw);
    }
}
