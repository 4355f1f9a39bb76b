//! What became of a question to the fleet's rate limit service.

/// What became of a question to the fleet's rate limit service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FleetResult {
    /// There is room.
    Ok,
    /// A limit is reached.
    OverLimit,
    /// No answer came in time.
    Timeout,
    /// The call failed, or its answer tells nothing.
    Error,
    /// No call was made, because those before it have failed, or too many are under way.
    Open,
    /// The client left before there was an answer.
    Left,
}

impl FleetResult {
    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            FleetResult::Ok => "ok",
            FleetResult::OverLimit => "over_limit",
            FleetResult::Timeout => "timeout",
            FleetResult::Error => "error",
            FleetResult::Open => "open",
            FleetResult::Left => "left",
        }
    }
}
