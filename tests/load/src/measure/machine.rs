//! The machine that something is measured on.

/// What a figure depends on besides what it measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Processors that may be used.
    pub cores: usize,
    /// Processes that wanted one, over the last minute before the measuring; null where the system does not say.
    pub load_before: Option<f32>,
    /// The same, at its end.
    pub load_after: Option<f32>,
}

impl Machine {
    /// The machine before the measuring.
    #[must_use]
    pub fn before() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores, load_before: load_average(), load_after: None }
    }

    /// The machine after it.
    #[must_use]
    pub fn after(self) -> Self {
        Self { load_after: load_average(), ..self }
    }
}

fn load_average() -> Option<f32> {
    use procfs::Current as _;
    Some(procfs::LoadAverage::current().ok()?.one)
}
