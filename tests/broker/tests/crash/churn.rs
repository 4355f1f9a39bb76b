//! A group whose consumers come and go, so that its partitions change hands as the broker is killed.

use fastrand::Rng;
use tmq_broker::Semantics;

use crate::client::Halt;
use crate::consumer::{Consumer, Habits};
use crate::stage::{Phase, Stage};

/// The most consumers that take part at once, beside those whose subscribe was not answered.
const MEMBERS: usize = 3;

/// How far a consumer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Joining,
    Taking,
    Leaving,
}

/// The consumers of the group, each asking in turn.
pub(crate) struct Churn {
    habits: Habits,
    semantics: Semantics,
    rng: Rng,
    members: Vec<(Consumer, Course)>,
}

impl Churn {
    pub(crate) fn new(habits: Habits, semantics: Semantics, rng: Rng) -> Self {
        Self { habits, semantics, rng, members: Vec::new() }
    }

    /// Consumes, joins and leaves until the broker has ended. In the drain nobody comes or goes.
    pub(crate) async fn run(&mut self, stage: &Stage) -> Result<(), Halt> {
        self.catch_up(stage).await?;
        loop {
            if self.members.is_empty() {
                self.join(stage).await?;
            }
            if stage.phase == Phase::Load {
                self.move_on(stage).await?;
            }
            for (member, _) in &mut self.members {
                member.round(stage).await?;
            }
            if stage.is_over() && self.members.iter().all(|(member, _)| member.is_idle()) {
                return Ok(());
            }
        }
    }

    /// Asks again for the steps that were not answered.
    async fn catch_up(&mut self, stage: &Stage) -> Result<(), Halt> {
        for (member, course) in &mut self.members {
            match course {
                Course::Joining => member.start(&stage.api).await?,
                Course::Leaving => member.leave(&stage.api).await?,
                Course::Taking => continue,
            }
            if *course == Course::Joining {
                *course = Course::Taking;
            }
        }
        self.members.retain(|(_, course)| *course != Course::Leaving);
        Ok(())
    }

    async fn move_on(&mut self, stage: &Stage) -> Result<(), Halt> {
        match self.rng.u8(..10) {
            0 if self.members.len() < MEMBERS => self.join(stage).await,
            1 => {
                let idle = self.members.iter_mut().find(|(member, _)| member.is_idle());
                if let Some((_, course)) = idle {
                    *course = Course::Leaving;
                }
                self.catch_up(stage).await
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn join(&mut self, stage: &Stage) -> Result<(), Halt> {
        let rng = self.rng.fork();
        let member = Consumer::subscribe(&stage.api, stage, self.habits, self.semantics, rng).await?;
        self.members.push((member, Course::Joining));
        self.catch_up(stage).await
    }
}
