//! Which processor a thread runs on.

use std::thread::JoinHandle;

use procfs::process::Process;
use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use tokio::sync::oneshot;

use super::MeasureError;

/// The processor of what is measured, and that of what loads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Processors {
    pub(crate) measured: usize,
    pub(crate) load: usize,
}

impl Processors {
    /// Two of those that this thread may use. `None` where there is one alone, or the system does not tell.
    pub(crate) fn two() -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
        Some(Self { measured: usable.next()?, load: usable.next()? })
    }
}

/// Does `work` on that one of two processors that is left to what loads an Envoy; the other one is for the Envoy, which begins
/// where it was started. Where there is one processor alone, they share it.
///
/// # Errors
/// Those of `work`, and where the system gives no thread.
pub(crate) async fn apart<T: Send + 'static, F: Future<Output = Result<T, MeasureError>>>(
    work: impl FnOnce(Option<Processors>) -> F + Send + 'static,
) -> Result<T, MeasureError> {
    let processors = Processors::two();
    on_processor(processors.map(|two| two.load), move || work(processors)).await
}

/// Does `work` on a thread of its own, with a runtime of its own that has no other, on `processor` if there is one: what loads
/// an Envoy is then neither interrupted by it nor by another thread of its own. It is given up where the caller is.
///
/// # Errors
/// Those of `work`, and where the system gives no thread.
async fn on_processor<T: Send + 'static, F: Future<Output = Result<T, MeasureError>>>(
    processor: Option<usize>,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T, MeasureError> {
    let (mut reply, answer) = oneshot::channel();
    let run = move || {
        if let Some(processor) = processor {
            stay_on(processor);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        let done = runtime.block_on(async {
            tokio::select! {
                done = work() => Some(done),
                () = reply.closed() => None,
            }
        });
        if let Some(done) = done {
            // Nobody waits for it any more where this fails.
            let _ = reply.send(done);
        }
    };
    let _joined = Joined(Some(std::thread::spawn(run)));
    // Dropped before the thread is joined, which ends the work.
    let answer = answer;
    answer.await.map_err(|_| MeasureError::Nothing("the system gives no thread"))?
}

/// A thread that has ended when this is dropped.
struct Joined(Option<JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        // A panic of the thread has been told.
        self.0.take().map(JoinHandle::join);
    }
}

/// Keeps every thread of the process `pid`, and those that they start from now on, on `processor`. Says whether the system
/// does so.
pub(super) fn pin_process(pid: u32, processor: usize) -> bool {
    let tasks = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()?.tasks().ok());
    let mut tasks = tasks.into_iter().flatten().flatten().peekable();
    tasks.peek().is_some()
        && tasks.all(|task| {
            Pid::from_raw(task.tid).is_some_and(|thread| sched_setaffinity(Some(thread), &only(processor)).is_ok())
        })
}

/// Keeps this thread on `processor`. Where the system refuses, the control of the measurement tells.
fn stay_on(processor: usize) {
    let _ = sched_setaffinity(None, &only(processor));
}

fn only(processor: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(processor);
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_on_its_processor_and_its_thread_alone_stays_there() {
        let Some(Processors { measured, load }) = Processors::two() else { return };
        let done = on_processor(Some(load), async move || {
            let allowed = sched_getaffinity(None).unwrap();
            Ok((allowed.is_set(load), allowed.is_set(measured)))
        });
        assert_eq!(done.await.unwrap(), (true, false));
        assert!(sched_getaffinity(None).unwrap().is_set(measured));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_given_up() {
        struct Told(std::sync::mpsc::Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        let (sender, ended) = std::sync::mpsc::channel();
        let work = on_processor::<(), _>(None, async move || {
            let _told = Told(sender);
            std::future::pending().await
        });
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), work).await.is_err());
        ended.recv().unwrap();
    }

    #[tokio::test]
    async fn a_process_that_is_started_apart_is_kept_on_the_other_processor() {
        let Some(Processors { measured, load }) = Processors::two() else { return };
        let kept = apart(async move |processors: Option<Processors>| {
            let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
            assert!(pin_process(child.id(), processors.unwrap().measured));
            let allowed = sched_getaffinity(Pid::from_raw(child.id() as i32)).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            Ok((allowed.is_set(measured), allowed.is_set(load)))
        });
        assert_eq!(kept.await.unwrap(), (true, false));
    }

    #[test]
    fn a_process_that_is_not_there_is_not_pinned() {
        assert!(!pin_process(u32::MAX, 0));
    }
}
