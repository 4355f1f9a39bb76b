//! The program in a terminal of its own.

use std::io::{ErrorKind, Read as _, Write as _};
use std::num::NonZeroU16;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Termios, tcgetattr};

/// How long a screen is waited for. It decides nothing but when a test that fails ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the terminal has received, and shows.
struct Shown {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

/// A shell that runs the program, tells its pid and its exit status, and stays: a terminal whose session ends is set
/// back by the kernel, whatever the program left.
const SHELL: &str = r#"sh -c 'echo "pid $$."; exec "$@"' sh "$@"; echo "over $?."; read -r _"#;

/// A terminal with a program in it.
pub(super) struct Terminal {
    pty: Arc<Pty>,
    shell: Child,
    pid: Pid,
    shown: Arc<(Mutex<Shown>, Condvar)>,
    before: Termios,
}

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// As a shell has it: 128 and the number of the signal that ended it.
    pub(super) status: i32,
    /// All that it was sent.
    pub(super) raw: String,
}

impl Terminal {
    /// Starts the program in a terminal of 80 columns and 24 rows.
    pub(super) fn start(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Terminal {
        let (pty, pts) = open().expect("a terminal");
        pty.resize(Size::new(24, 80)).expect("a size");
        let before = tcgetattr(&pty).expect("its settings");
        let command = Command::new("sh").args(["-c", SHELL, "sh", program]).args(arguments);
        let command = command.env("TERM", "xterm-256color").env_remove("NO_COLOR").envs(variables.iter().copied());
        let shell = command.spawn(pts).expect("a shell");
        let shown = Shown { parser: vt100::Parser::default(), raw: Vec::new() };
        let mut terminal = Terminal {
            pty: Arc::new(pty),
            pid: Pid::from_child(&shell),
            shell,
            shown: Arc::new((Mutex::new(shown), Condvar::new())),
            before,
        };
        thread::spawn({
            let (pty, shown) = (terminal.pty.clone(), terminal.shown.clone());
            move || read(&pty, &shown)
        });
        terminal.pid = terminal.awaits("a pid", |shown| between(&shown.raw, "pid ", ".").and_then(Pid::from_raw));
        terminal
    }

    /// Presses keys.
    pub(super) fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).expect("a terminal that reads");
    }

    /// Has the terminal another size.
    pub(super) fn resize(&self, columns: u16, rows: u16) {
        let size = |number| NonZeroU16::new(number).expect("a size");
        self.shown.0.lock().expect("no panic").parser.screen_mut().set_size(size(rows), size(columns));
        self.pty.resize(Size::new(rows, columns)).expect("a size");
    }

    /// Sends the program a signal.
    pub(super) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("a program that runs");
    }

    /// Waits until the screen is as wanted, and returns it.
    pub(super) fn shows(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.awaits(what, |shown| Some(shown.parser.screen().contents()).filter(|contents| wanted(contents)))
    }

    /// Waits until the program has ended, and sees that the terminal is as it was.
    pub(super) fn ends(self) -> Ended {
        let status = self.awaits("end", |shown| between(&shown.raw, "over ", "."));
        self.is_given_back();
        let shown = self.shown.0.lock().expect("no panic");
        let raw = String::from_utf8(shown.raw.clone()).expect("UTF-8");
        Ended { status, raw }
    }

    /// Sees that the terminal is as it was before the program, as soon as all that it was sent is read.
    pub(super) fn is_given_back(&self) {
        let now = tcgetattr(&*self.pty).expect("its settings");
        let modes = |settings: &Termios| {
            (settings.input_modes, settings.output_modes, settings.control_modes, settings.local_modes)
        };
        assert_eq!(modes(&now), modes(&self.before));
        self.awaits("screen that was given back", |shown| {
            let screen = shown.parser.screen();
            (!screen.alternate_screen() && !screen.hide_cursor()).then_some(())
        });
    }

    /// Waits until the program is asleep.
    pub(super) fn sleeps(&self) {
        let stat = format!("/proc/{}/stat", self.pid.as_raw_nonzero());
        self.awaits("program asleep", |_| {
            let stat = std::fs::read_to_string(&stat).expect("a program that has not ended");
            // The state stands behind the name, which is in brackets.
            stat.rsplit_once(") ").filter(|(_, state)| state.starts_with('T')).map(|_| ())
        });
    }

    fn awaits<T>(&self, what: &str, look: impl Fn(&Shown) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let (state, changed) = &*self.shown;
        let mut state = state.lock().expect("no panic");
        loop {
            if let Some(found) = look(&state) {
                return found;
            }
            assert!(Instant::now() < until, "no {what}:\n{}", state.parser.screen().contents());
            state = changed.wait_timeout(state, Duration::from_millis(50)).expect("no panic").0;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The kernel hangs up on a program whose shell is gone.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Takes in all that the terminal is sent.
fn read(mut pty: &Pty, (shown, changed): &(Mutex<Shown>, Condvar)) {
    let mut bytes = [0; 4096];
    loop {
        match pty.read(&mut bytes) {
            Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
            // Linux tells the end of the other side by EIO.
            Ok(0) | Err(_) => return,
            Ok(count) => {
                let mut shown = shown.lock().expect("no panic");
                shown.parser.process(&bytes[..count]);
                shown.raw.extend(&bytes[..count]);
                changed.notify_all();
            }
        }
    }
}

/// The number that stands between these texts.
fn between(raw: &[u8], open: &str, close: &str) -> Option<i32> {
    let text = String::from_utf8_lossy(raw);
    let (_, rest) = text.rsplit_once(open)?;
    rest.split_once(close)?.0.parse().ok()
}
