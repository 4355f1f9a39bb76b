//! Who produces and consumes.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use serde_json::json;
use tmq_broker::Semantics;
use tokio::task::JoinSet;

use crate::churn::Churn;
use crate::client::{Api, Coding, Halt};
use crate::consumer::{Consumer, Habits};
use crate::history::{Failing, History, ORDERS, Terms};
use crate::producer::{Kind, Producer};
use crate::stage::{Phase, Stage};
use crate::transactions::Transactions;

/// The group whose consumers come and go.
pub(crate) const CHURN: &str = "churn";

/// How long a transaction may be pending: the broker is to be started with it. Some runs of the broker, so that some
/// transactions outlast it.
pub(crate) const TRANSACTION_TIMEOUT: Duration = Duration::from_millis(1_500);

const PARTITIONS: u32 = 4;
const LETTERS: &str = "billing.dlq";

/// How a consumer behaves that acknowledges everything at once.
const ORDERLY: Habits = Habits {
    group: "",
    ack_timeout: Duration::from_secs(1),
    auto_ack: false,
    dead_letters: None,
    rejects: 0,
    holds: 0,
    lets_go: 0,
    zero_timeouts: 0,
    pauses: 0,
};

/// More redeliveries than there are in a run: nothing is given up.
const ALWAYS: u32 = 1_000;

/// The groups with a fixed number of consumers, in the order in which they subscribe.
const GROUPS: [(Habits, Terms, usize); 5] = [
    (
        Habits {
            group: "billing",
            ack_timeout: Duration::from_millis(120),
            dead_letters: Some(LETTERS),
            rejects: 12,
            holds: 6,
            lets_go: 6,
            pauses: 1,
            ..ORDERLY
        },
        Terms {
            topic: ORDERS,
            max_reconsume_times: 2,
            failing: Failing::DeadLetter { readers: "letters" },
            stable: true,
        },
        2,
    ),
    (
        Habits { group: "letters", holds: 5, ..ORDERLY },
        Terms { topic: LETTERS, max_reconsume_times: ALWAYS, failing: Failing::Archive, stable: true },
        1,
    ),
    (
        Habits {
            group: "audit",
            ack_timeout: Duration::from_millis(250),
            rejects: 4,
            holds: 4,
            lets_go: 4,
            zero_timeouts: 4,
            ..ORDERLY
        },
        Terms { topic: ORDERS, max_reconsume_times: 1, failing: Failing::Archive, stable: true },
        1,
    ),
    (
        Habits { group: "shipping", rejects: 2, holds: 10, pauses: 3, ..ORDERLY },
        Terms { topic: ORDERS, max_reconsume_times: ALWAYS, failing: Failing::Archive, stable: true },
        2,
    ),
    (
        Habits { group: "mirror", auto_ack: true, ..ORDERLY },
        Terms { topic: ORDERS, max_reconsume_times: 0, failing: Failing::Never, stable: true },
        1,
    ),
];

/// One of those who produce or consume.
enum Worker {
    Producer(Producer),
    Transactions(Transactions),
    Consumer(Consumer),
    Churn(Churn),
}

impl Worker {
    async fn run(&mut self, stage: &Stage) -> Result<(), Halt> {
        match self {
            Self::Producer(producer) => producer.run(stage).await,
            Self::Transactions(transactions) => transactions.run(stage).await,
            Self::Consumer(consumer) => consumer.run(stage).await,
            Self::Churn(churn) => churn.run(stage).await,
        }
    }

    fn produces(&self) -> bool {
        matches!(self, Self::Producer(_) | Self::Transactions(_))
    }
}

/// Everyone.
pub(crate) struct Workload {
    workers: Vec<Worker>,
    history: Arc<Mutex<History>>,
}

/// Workers that run.
pub(crate) struct Working {
    running: JoinSet<(Worker, Result<(), Halt>)>,
    pub(crate) stage: Stage,
}

impl Workload {
    /// Makes the topic and subscribes the groups.
    pub(crate) async fn set_up(api: &Api, semantics: Semantics, rng: &mut Rng) -> Result<Self, Halt> {
        let history = Arc::new(Mutex::new(History::new()));
        let stage = Stage::new(api.clone(), Phase::Load, Arc::clone(&history));
        api.put(&format!("/topics/{ORDERS}"), json!({ "partitions": PARTITIONS })).await?.ok()?;
        let mut workers = vec![
            Worker::Producer(Producer::new(Kind::Plain, "plain", Coding::Identity, rng.fork())),
            Worker::Producer(Producer::new(Kind::Keyed, "keyed", Coding::Identity, rng.fork())),
            Worker::Producer(Producer::new(Kind::Tokens, "token", Coding::Identity, rng.fork())),
            Worker::Transactions(Transactions::new(TRANSACTION_TIMEOUT, rng.fork())),
        ];
        if ZSTD_IS_SERVED {
            workers.push(Worker::Producer(Producer::new(Kind::Keyed, "zstd", Coding::Zstd, rng.fork())));
        }
        for (habits, terms, consumers) in GROUPS {
            stage.history().add_group(habits.group, terms);
            for _ in 0..consumers {
                let mut consumer = Consumer::subscribe(api, &stage, habits, semantics, rng.fork()).await?;
                consumer.start(api).await?;
                workers.push(Worker::Consumer(consumer));
            }
        }
        let habits = Habits { group: CHURN, ack_timeout: Duration::from_millis(300), holds: 5, lets_go: 2, ..ORDERLY };
        let terms = Terms { topic: ORDERS, max_reconsume_times: ALWAYS, failing: Failing::Archive, stable: false };
        stage.history().add_group(CHURN, terms);
        let mut churn = Churn::new(habits, semantics, rng.fork());
        churn.join(&stage).await?;
        workers.push(Worker::Churn(churn));
        Ok(Self { workers, history })
    }

    pub(crate) fn history(&self) -> parking_lot::MutexGuard<'_, History> {
        self.history.lock()
    }

    /// Has everyone work with a broker.
    pub(crate) fn start(&mut self, api: &Api, phase: Phase) -> Working {
        let stage = Stage::new(api.clone(), phase, Arc::clone(&self.history));
        let mut running = JoinSet::new();
        for mut worker in self.workers.drain(..) {
            let stage = stage.clone();
            running.spawn(async move {
                let result = worker.run(&stage).await;
                (worker, result)
            });
        }
        Working { running, stage }
    }

    /// Has those who produce bring everything to its end.
    pub(crate) async fn finish_producing(&mut self, api: &Api) -> Result<(), Halt> {
        let stage = Stage::new(api.clone(), Phase::Drain, Arc::clone(&self.history));
        for worker in self.workers.iter_mut().filter(|worker| worker.produces()) {
            worker.run(&stage).await?;
        }
        Ok(())
    }

    /// Waits until all workers have ended, as the broker has or as they were told.
    pub(crate) async fn join(&mut self, mut working: Working) -> Result<(), String> {
        let mut violation = None;
        while let Some(ended) = working.running.join_next().await {
            let (worker, result) = ended.map_err(|error| format!("a client failed: {error}"))?;
            if let Err(Halt::Violation(found)) = result {
                violation.get_or_insert(found);
            }
            self.workers.push(worker);
        }
        violation.map_or(Ok(()), Err)
    }
}

impl Working {
    /// Lets them work for a while; returns early if one has found a violation.
    pub(crate) async fn go_on(&mut self, workload: &mut Workload, length: Duration) -> Result<(), String> {
        let end = tokio::time::Instant::now() + length;
        while let Ok(Some(ended)) = tokio::time::timeout_at(end, self.running.join_next()).await {
            let (worker, result) = ended.map_err(|error| format!("a client failed: {error}"))?;
            workload.workers.push(worker);
            if let Err(Halt::Violation(found)) = result {
                return Err(found);
            }
        }
        tokio::time::sleep_until(end).await;
        Ok(())
    }
}

/// Whether the broker takes bodies in zstd.
const ZSTD_IS_SERVED: bool = true;
