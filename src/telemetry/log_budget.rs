//! How many lines of one kind a worker writes: what clients cause must not fill a disk.

/// Lines a second. A person who tries a policy sees each of their own requests; a fleet's traffic is seen in the metrics.
const LINES: u32 = 10;

/// The lines of one kind within the second that is under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogBudget {
    second: u64,
    written: u32,
    withheld: u32,
}

impl LogBudget {
    /// Whether a line may be written `now`, in Unix milliseconds; if so, how many were withheld since the last one.
    pub fn ask(&mut self, now: u64) -> Option<u32> {
        let second = now / 1_000;
        if second != self.second {
            (self.second, self.written) = (second, 0);
        }
        if self.written < LINES {
            self.written += 1;
            Some(std::mem::take(&mut self.withheld))
        } else {
            self.withheld = self.withheld.saturating_add(1);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_second_are_written_and_the_others_counted() {
        let mut budget = LogBudget::default();
        let answers: Vec<_> = (0..12).map(|_| budget.ask(5_000)).collect();
        assert_eq!(answers[..10], [Some(0); 10]);
        assert_eq!(answers[10..], [None; 2]);
        assert_eq!(budget.ask(5_999), None);
        assert_eq!(budget.ask(6_000), Some(3));
        assert_eq!(budget.ask(6_000), Some(0));
        assert_eq!(budget.ask(5_000), Some(0), "a clock that was set back");
    }
}
