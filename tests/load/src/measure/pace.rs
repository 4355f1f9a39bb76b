//! How fast the processors of a measurement are at the moment. Where a machine is shared, one may run at half of its speed while
//! somebody else works on what it is made of. What a request costs then is no filter's doing.

use std::hint::black_box;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::MeasureError;
use super::pin::{Processors, stay_on};

/// How much longer than at best some work may take where nobody disturbs.
const SLACK: f64 = 1.1;
/// How often the best is looked for.
const LOOKS: u32 = 500;
/// Between two looks: less than a turn takes, since the processors may be left alone for no longer than that.
const PAUSE: Duration = Duration::from_millis(2);
/// Samples in a look, of which the middle one counts: one may be interrupted.
const SAMPLES: usize = 3;
/// Steps of the work of a sample, which is to take some 50 µs: as long as a request.
const STEPS: u64 = 20_000;
/// The share of the turns that may be disturbed in a run that is fit.
const FIT: f64 = 0.1;

/// The processors, and how much longer they are waited for.
#[derive(Debug)]
pub(crate) struct Pace {
    processors: Option<Processors>,
    /// Whether they are looked at.
    is_watched: bool,
    /// What some work takes them at best.
    best: Duration,
    /// How long, in all, turns may wait for them or be taken again.
    patience: Duration,
    /// How much longer those of later parts may.
    kept: Duration,
    /// What the work took after each turn that counts.
    turns: Vec<Duration>,
}

impl Pace {
    /// What is said where too many turns were disturbed.
    pub(crate) const UNFIT: &str = "somebody else slowed the processors in more than a tenth of the turns";

    /// Chooses two processors, one for what is measured and one for what loads it, and finds out how fast they can be: at least
    /// as fast as is `known` already. Where there is one processor alone, or there is no `patience`, every turn counts.
    pub(crate) async fn find(patience: Duration, known: Option<Duration>) -> Self {
        let processors = Processors::two();
        let is_watched = processors.is_some() && !patience.is_zero();
        let mut pace = Self {
            processors,
            is_watched,
            best: known.unwrap_or(Duration::MAX),
            patience,
            kept: Duration::ZERO,
            turns: Vec::new(),
        };
        if is_watched {
            for _ in 0..LOOKS {
                pace.is_best(pace.look());
                sleep(PAUSE).await;
            }
        }
        pace
    }

    /// One whose processors are never as fast as they can be. `None` where there are not two.
    #[cfg(test)]
    pub(crate) async fn always_disturbed(patience: Duration) -> Option<Self> {
        let pace = Self::find(patience, Some(Duration::ZERO)).await;
        pace.processors.is_some().then_some(pace)
    }

    /// The processors, if there are two.
    pub(crate) fn processors(&self) -> Option<Processors> {
        self.processors
    }

    /// Begins one of `left` parts that have what is left of the patience in equal shares. What one leaves, those after it have.
    pub(crate) fn begin_part(&mut self, left: usize) {
        let all = self.patience + self.kept;
        self.patience = all / u32::try_from(left.max(1)).unwrap_or(u32::MAX);
        self.kept = all - self.patience;
    }

    /// Whether the patience of this part is over: its turns count as they are from now on.
    pub(crate) fn is_over(&self) -> bool {
        self.is_watched && self.patience.is_zero()
    }

    /// What the work takes at best, as far as is known by now. `None` where nobody looks.
    pub(crate) fn best(&self) -> Option<Duration> {
        self.is_watched.then_some(self.best)
    }

    /// Whether next to all turns were undisturbed, as far as is known by now: how fast the processors can be may have been seen
    /// after the first turns.
    pub(crate) fn is_fit(&self) -> bool {
        let disturbed = self.turns.iter().filter(|took| !is_near(**took, self.best)).count();
        disturbed as f64 <= self.turns.len() as f64 * FIT
    }

    /// What comes of a `turn` before and after which both processors were as fast as they can be; of any, once the patience is
    /// over.
    ///
    /// # Errors
    /// Those of the turn.
    pub(crate) async fn undisturbed<T>(
        &mut self,
        turn: impl AsyncFnMut() -> Result<T, MeasureError>,
    ) -> Result<T, MeasureError> {
        self.undisturbed_by(Self::look, turn).await
    }

    /// The same, where `look` says how long some work takes now.
    async fn undisturbed_by<T>(
        &mut self,
        mut look: impl FnMut(&Self) -> Duration,
        mut turn: impl AsyncFnMut() -> Result<T, MeasureError>,
    ) -> Result<T, MeasureError> {
        loop {
            let begin = Instant::now();
            while begin.elapsed() < self.patience && !self.is_best(look(self)) {
                sleep(PAUSE).await;
            }
            let waited = begin.elapsed();
            let outcome = turn().await?;
            let took = look(self);
            let is_best = self.is_best(took);
            self.patience = self.patience.saturating_sub(if is_best { waited } else { begin.elapsed() });
            if is_best || self.patience.is_zero() {
                self.turns.push(took);
                return Ok(outcome);
            }
        }
    }

    /// What some work takes the slower of the processors now; nothing where they are not looked at.
    fn look(&self) -> Duration {
        let watched = self.processors.filter(|_| self.is_watched);
        watched.map_or(Duration::ZERO, |processors| {
            let looks =
                [processors.measured, processors.load].map(|processor| std::thread::spawn(move || work(processor)));
            looks.map(|look| look.join().unwrap_or_default()).into_iter().max().unwrap_or_default()
        })
    }

    /// Whether work that `took` so long was done as fast as it can be.
    fn is_best(&mut self, took: Duration) -> bool {
        self.best = self.best.min(took);
        is_near(took, self.best)
    }
}

/// Whether work that `took` so long was done as fast as it is where it takes `best`.
pub(crate) fn is_near(took: Duration, best: Duration) -> bool {
    took <= best.mul_f64(SLACK)
}

/// What some work takes on `processor`: as much of what can be done at once as it has units for, which is what the other thread of
/// a core takes from it.
fn work(processor: usize) -> Duration {
    stay_on(processor);
    let mut took = [Duration::ZERO; SAMPLES];
    for took in &mut took {
        let begin = std::time::Instant::now();
        let mut words = [1_u64, 2, 3, 4, 5, 6, 7, 8];
        for step in 0..STEPS {
            for word in &mut words {
                *word = black_box(*word ^ step).wrapping_add(*word >> 3);
            }
        }
        black_box(words);
        *took = begin.elapsed();
    }
    took.sort();
    took[SAMPLES / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEST: Duration = Duration::from_micros(50);
    const SLOW: Duration = Duration::from_micros(56);

    /// What comes of turns, the first, the second and so on, where one takes `time` and looks at the processors take `looks`,
    /// and the last of them ever after.
    async fn turns(pace: &mut Pace, time: Duration, looks: &[Duration]) -> u64 {
        let mut looks = looks.iter().copied();
        let mut last = Duration::ZERO;
        let mut turns = 0;
        let look = |_: &Pace| {
            last = looks.next().unwrap_or(last);
            last
        };
        let turn = async || {
            turns += 1;
            sleep(time).await;
            Ok(turns)
        };
        pace.undisturbed_by(look, turn).await.unwrap()
    }

    fn pace(patience: Duration) -> Pace {
        Pace { processors: None, is_watched: true, best: BEST, patience, kept: Duration::ZERO, turns: Vec::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_waits_until_the_processors_are_fast_and_is_taken_again_where_they_were_not_until_its_end() {
        const TIME: Duration = Duration::from_millis(30);
        let mut pace = pace(Duration::from_secs(1));
        assert_eq!(turns(&mut pace, TIME, &[BEST, BEST]).await, 1);
        assert_eq!(pace.patience, Duration::from_secs(1));
        assert_eq!(turns(&mut pace, TIME, &[SLOW, SLOW, BEST, BEST]).await, 1);
        assert_eq!(pace.patience, Duration::from_secs(1) - 2 * PAUSE);
        assert_eq!(turns(&mut pace, TIME, &[BEST, SLOW, BEST, BEST]).await, 2);
        assert_eq!(pace.patience, Duration::from_secs(1) - 2 * PAUSE - TIME);
        assert!(pace.is_fit());
        assert_eq!(pace.turns, [BEST; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_patience_a_turn_counts_as_it_is_and_too_many_disturbed_ones_make_a_run_unfit() {
        let mut pace = pace(Duration::from_secs(1));
        let begin = Instant::now();
        assert_eq!(turns(&mut pace, Duration::ZERO, &[SLOW]).await, 1);
        assert_eq!((begin.elapsed(), pace.patience), (Duration::from_secs(1), Duration::ZERO));
        for _ in 0..9 {
            assert!(!pace.is_fit());
            assert_eq!(turns(&mut pace, Duration::ZERO, &[BEST]).await, 1);
        }
        assert!(pace.is_fit());
        assert_eq!(pace.turns, [&[SLOW][..], &[BEST; 9]].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn turns_that_seemed_undisturbed_are_told_from_those_once_the_processors_were_faster() {
        let mut pace = Pace { best: SLOW, ..pace(Duration::from_secs(1)) };
        for _ in 0..2 {
            turns(&mut pace, Duration::ZERO, &[SLOW]).await;
        }
        assert!(pace.is_fit() && pace.best() == Some(SLOW));
        turns(&mut pace, Duration::ZERO, &[BEST]).await;
        assert!(!pace.is_fit() && pace.best() == Some(BEST));
        assert!(!pace.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn parts_share_the_patience_and_have_what_those_before_them_leave() {
        let mut pace = pace(Duration::from_secs(3));
        pace.begin_part(3);
        assert_eq!(pace.patience, Duration::from_secs(1));
        turns(&mut pace, Duration::ZERO, &[BEST]).await;
        assert!(!pace.is_over());
        pace.begin_part(2);
        assert_eq!(pace.patience, Duration::from_millis(1_500));
        turns(&mut pace, Duration::ZERO, &[SLOW]).await;
        assert!(pace.is_over());
        pace.begin_part(1);
        assert_eq!((pace.patience, pace.kept), (Duration::from_millis(1_500), Duration::ZERO));
        assert!(!Pace { is_watched: false, patience: Duration::ZERO, ..pace }.is_over());
    }

    #[tokio::test]
    async fn a_pace_is_that_of_the_processors() {
        let pace = Pace::find(Duration::from_secs(1), None).await;
        let Some(_) = pace.processors() else { return };
        assert!(pace.best > Duration::ZERO && pace.look() > Duration::ZERO);
        let faster = pace.best / 2;
        assert_eq!(Pace::find(Duration::from_secs(1), Some(faster)).await.best(), Some(faster));
        let hasty = Pace::find(Duration::ZERO, Some(faster)).await;
        assert_eq!((hasty.look(), hasty.best()), (Duration::ZERO, None));
        assert!(hasty.is_fit());
    }
}
