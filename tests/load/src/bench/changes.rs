//! What is moved into place under load, and how long it takes until every worker serves it.

use std::time::Duration;

use stack::{Bootstrap, BootstrapError, Envoy, TimedOut};
use tokio::time::Instant;

use crate::measure::{MeasureError, Site};
use crate::steady::{Expected, Load, Numbered, Summary, Traffic};

/// Connections to each worker of a site that is changed alone.
pub(super) const ALONE: usize = 4;
/// The same where two are changed in turns, so that the load of both together is that of one.
pub(super) const OF_TWO: usize = 2;
/// From one request of a connection to its next: with eight connections 4,000 requests/s, about half of what two cores
/// carry with client and upstream on the same machine.
const EVERY: Duration = Duration::from_millis(2);
/// Counts the policies that Envoy refused.
const REJECTED: &str = "extension_config_discovery.http_filter.ackguard.update_rejected";

/// A site under load, whose filter is changed.
#[derive(Debug)]
pub(super) struct Changing {
    site: Site,
    load: Load,
    version: u64,
    refused: u64,
}

impl Changing {
    /// Starts `bootstrap`, which serves version 1, and a load of `request`s on so many `connections` to each worker, whose
    /// answers tell it in `header`.
    pub(super) async fn start(
        bootstrap: Bootstrap,
        request: Numbered,
        header: &'static str,
        connections: usize,
    ) -> Result<Self, MeasureError> {
        let site = Site::start(bootstrap).await?;
        let connections = site.cover(connections).await?;
        let load = Load::start(connections, Traffic { request, expected: Expected::Version(header), every: EVERY }, 1);
        let changing = Self { site, load, version: 1, refused: 0 };
        changing.load.served(1).await.map_err(|timeout| changing.fault(timeout))?;
        Ok(changing)
    }

    /// The version that comes next.
    pub(super) fn next(&self) -> u64 {
        self.version + 1
    }

    /// Moves `resource`, which has the next version, into place. Returns the time from the move to the first answer by
    /// it on the last of the connections.
    pub(super) async fn change(&mut self, resource: &str) -> Result<Duration, MeasureError> {
        self.change_by(|envoy| envoy.deliver_text(resource)).await
    }

    /// The same for a resource that `deliver` moves, and tells when.
    pub(super) async fn change_by(
        &mut self,
        deliver: impl FnOnce(&Envoy) -> Result<std::time::Instant, BootstrapError>,
    ) -> Result<Duration, MeasureError> {
        self.version += 1;
        self.load.expect(self.version);
        let moved = deliver(&self.site.envoy)?;
        let served = self.load.served(self.version).await.map_err(|timeout| self.fault(timeout))?;
        Ok(served - Instant::from_std(moved))
    }

    /// Moves `resource`, which is to be refused, into place, and waits until Envoy has refused it and the version in
    /// force has answered on every connection since.
    pub(super) async fn refuse(&mut self, resource: &str) -> Result<(), MeasureError> {
        self.refused += 1;
        self.site.envoy.deliver_text(resource)?;
        self.site.envoy.stat_reaches(REJECTED, self.refused).await.map_err(|timeout| self.fault(timeout))?;
        self.load.another_round().await.map_err(|timeout| self.fault(timeout))?;
        self.load.served(self.version).await.map_err(|timeout| self.fault(timeout))?;
        Ok(())
    }

    /// How many policies Envoy says that it refused.
    pub(super) async fn refused(&self) -> Result<u64, MeasureError> {
        Ok(self.site.envoy.stat(REJECTED).await?)
    }

    /// Ends the load and the site.
    pub(super) async fn stop(self) -> Summary {
        self.load.stop().await.0
    }

    fn fault(&self, source: TimedOut) -> MeasureError {
        let (failed, faults) = self.load.faults();
        MeasureError::TimedOut { source, failed, first: faults.first().map(ToString::to_string).unwrap_or_default() }
    }
}
