//! How far a roll-out has come: a state machine over stages, stepped by any worker, held by none.

use crate::operation::Millis;
use crate::policy::rollout::{OnUnhealthy, Rollout};

use super::samples::Health;

/// The longest time between two steps that counts as time in a stage, in milliseconds. Steps come many times a second
/// while a worker serves the roll-out; a longer gap means that nobody did, or that the clock was set.
const LONGEST_STEP: u64 = 5_000;

/// The form of the bytes; another one is not read.
const FORM: u8 = 1;
const BYTES: usize = 36;

/// Where a roll-out stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has begun it yet.
    Fresh,
    /// It goes on by itself.
    Running,
    /// Its consumers fare ill; the stage lasts until they do not.
    Held,
    /// Its last stage has lasted its time. Health is watched on.
    Completed,
    /// Its consumers fared ill; nobody is on the candidate's side any more.
    RolledBack,
}

impl State {
    /// Every state; the number of each in the shared record is its place here.
    pub const ALL: [State; 5] = [State::Fresh, State::Running, State::Held, State::Completed, State::RolledBack];

    /// The name in logs and at the command line.
    pub fn name(self) -> &'static str {
        match self {
            State::Fresh => "fresh",
            State::Running => "running",
            State::Held => "held",
            State::Completed => "completed",
            State::RolledBack => "rolled_back",
        }
    }

    /// The state that the gauge tells of; `None` where it is 0, as without a roll-out, or no state's.
    pub fn of_gauge(value: u64) -> Option<State> {
        let number = value.checked_sub(1)?;
        State::ALL.into_iter().find(|state| u64::from(state.number()) == number)
    }

    /// The number in the shared record; that in the gauge is one more.
    pub fn number(self) -> u8 {
        match self {
            State::Fresh => 0,
            State::Running => 1,
            State::Held => 2,
            State::Completed => 3,
            State::RolledBack => 4,
        }
    }
}

/// A step that is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// The first stage began.
    Started,
    /// The next stage began.
    Advanced,
    /// The stage lasts on, since its consumers fare ill.
    Held,
    /// They fare well again; the stage's time begins anew.
    Resumed,
    /// The last stage has lasted its time.
    Completed,
    /// The candidate was taken back.
    RolledBack,
}

impl Transition {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Transition::Started => "started",
            Transition::Advanced => "advanced",
            Transition::Held => "held",
            Transition::Resumed => "resumed",
            Transition::Completed => "completed",
            Transition::RolledBack => "rolled_back",
        }
    }

    /// Whether somebody should look at it.
    pub fn is_alarming(self) -> bool {
        matches!(self, Transition::Held | Transition::RolledBack)
    }
}

/// How far a roll-out has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The candidate that this is of.
    pub id: u64,
    /// The index of the stage.
    pub stage: u16,
    /// Where it stands.
    pub state: State,
    /// How long the stage has lasted, in milliseconds of being served.
    pub elapsed: u64,
    /// When the newest policy that takes part was configured, in Unix milliseconds.
    configured: u64,
    /// When the last step was, in Unix milliseconds.
    seen: u64,
}

impl Progress {
    /// A roll-out that nobody has begun, of a policy that was `configured` then. Times are in Unix milliseconds.
    pub fn fresh(id: u64, configured: u64, now: u64) -> Progress {
        Progress { id, stage: 0, state: State::Fresh, elapsed: 0, configured, seen: now }
    }

    /// Whether a policy with another candidate, which was `configured` then, takes the place of this one: it is the
    /// newer one, or nobody has stepped this one lately. (A clock that was set back makes the newer one look older.)
    pub fn yields_to(&self, configured: u64, now: u64) -> bool {
        configured > self.configured || now.abs_diff(self.seen) > LONGEST_STEP
    }

    /// Notes a policy that takes part.
    pub fn take_part(&mut self, configured: u64) {
        self.configured = self.configured.max(configured);
    }

    /// The index of the stage that is served; none where nobody is on the candidate's side.
    pub fn served(&self) -> Option<usize> {
        match self.state {
            State::Fresh | State::RolledBack => None,
            State::Running | State::Held | State::Completed => Some(usize::from(self.stage)),
        }
    }

    /// Goes on by the time that has passed until `now`, in Unix milliseconds, and by how the consumers fare.
    pub fn step(&mut self, rollout: &Rollout, health: Health, now: u64) -> Option<Transition> {
        self.elapsed += Some(now.saturating_sub(self.seen)).filter(|passed| *passed <= LONGEST_STEP).unwrap_or(0);
        self.seen = now;
        let last = rollout.stages.len().saturating_sub(1);
        // The document may have fewer stages than when the roll-out began.
        self.stage = self.stage.min(u16::try_from(last).unwrap_or(u16::MAX));
        let index = usize::from(self.stage);
        let hold = rollout.stages.get(index).and_then(|stage| stage.hold).unwrap_or(Millis(0));
        let lasted = self.elapsed >= u64::try_from(hold.0).unwrap_or(0);
        // Where the candidate decides for nobody, there is nobody to fare ill.
        let health = if rollout.decides_at(index) { health } else { Health::Well };
        match (self.state, health) {
            (State::RolledBack, _) => None,
            (State::Fresh, _) => self.enter(State::Running, Transition::Started),
            (_, Health::Ill) if rollout.on_unhealthy == OnUnhealthy::Rollback => {
                self.enter(State::RolledBack, Transition::RolledBack)
            }
            (State::Running | State::Completed, Health::Ill) => self.enter(State::Held, Transition::Held),
            (State::Held, Health::Well) => self.enter(State::Running, Transition::Resumed),
            (State::Running, Health::Well) if lasted && index < last => {
                self.stage += 1;
                self.enter(State::Running, Transition::Advanced)
            }
            (State::Running, Health::Well) if lasted => self.enter(State::Completed, Transition::Completed),
            (State::Running | State::Held | State::Completed, _) => None,
        }
    }

    fn enter(&mut self, state: State, transition: Transition) -> Option<Transition> {
        self.state = state;
        self.elapsed = 0;
        Some(transition)
    }

    /// The bytes of the shared record.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&[FORM, self.state.number()]);
        bytes.extend_from_slice(&self.stage.to_le_bytes());
        for number in [self.id, self.elapsed, self.configured, self.seen] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// What the shared record says. None where there is none, or one of another form.
    pub fn decode(bytes: &[u8]) -> Option<Progress> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let [FORM, state, low, high] = *head else { return None };
        let mut numbers = rest.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok()).map(u64::from_le_bytes);
        Some(Progress {
            id: numbers.next()?,
            stage: u16::from_le_bytes([low, high]),
            state: State::ALL.into_iter().find(|known| known.number() == state)?,
            elapsed: numbers.next()?,
            configured: numbers.next()?,
            seen: numbers.next()?,
        })
    }
}
