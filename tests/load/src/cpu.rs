//! CPU time of the processes of a run, from the kernel's own accounting.

use std::time::Duration;

use procfs::process::Process;

/// A process whose CPU time a run states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// What the process is to a reader, such as `envoy`.
    pub name: &'static str,
    /// Its id.
    pub pid: u32,
}

/// The CPU time, user and system, that a process took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTime {
    /// What the process is to a reader.
    pub name: &'static str,
    /// Over all of its threads.
    pub spent: Duration,
}

/// Measures the CPU time of processes from one moment on.
#[derive(Debug)]
pub(crate) struct Meter {
    since: Vec<(Watched, Duration)>,
}

impl Meter {
    /// Begins with `processes` and this one. A process whose time cannot be read is left out.
    pub(crate) fn start(processes: &[Watched]) -> Self {
        let own = Watched { name: "load", pid: std::process::id() };
        let all = processes.iter().cloned().chain([own]);
        Self { since: all.filter_map(|process| read(&process).map(|spent| (process, spent))).collect() }
    }

    /// What each process spent since the start.
    pub(crate) fn read(&self) -> Vec<CpuTime> {
        let spent = |(process, before): &(Watched, Duration)| {
            let spent = read(process)?.saturating_sub(*before);
            Some(CpuTime { name: process.name, spent })
        };
        self.since.iter().filter_map(spent).collect()
    }
}

/// The CPU time that all threads of the process `pid` have taken, by the scheduler's own count, which is in nanoseconds
/// where [`Meter`]'s is in hundredths of a second. Threads that have ended are not in it. `None` where it cannot be read.
pub(crate) fn precise(pid: u32) -> Option<Duration> {
    let process = Process::new(i32::try_from(pid).ok()?).ok()?;
    let of =
        |task: procfs::process::Task| task.schedstat().ok().map(|spent| Duration::from_nanos(spent.sum_exec_runtime));
    Some(process.tasks().ok()?.filter_map(Result::ok).filter_map(of).sum())
}

fn read(process: &Watched) -> Option<Duration> {
    let stat = Process::new(i32::try_from(process.pid).ok()?).ok()?.stat().ok()?;
    let ticks = stat.utime + stat.stime;
    Some(Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_spends_time() {
        let meter = Meter::start(&[]);
        let mut sum = 0_u64;
        while meter.read()[0].spent < Duration::from_millis(50) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert_eq!(meter.read()[0].name, "load");
    }

    #[test]
    fn a_process_that_is_not_there_is_left_out() {
        let gone = Watched { name: "gone", pid: u32::MAX };
        assert_eq!(Meter::start(&[gone]).read().len(), 1);
    }
}
