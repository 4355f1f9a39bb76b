//! Kinds of requests at the listeners of an Envoy, which has one worker and a processor of its own: each kind at each listener
//! is a side. Several such Envoys are measured, one after the other.

use std::sync::Arc;

use super::exchange::Exchange;
use super::sides::{self, Sender, Side};
use super::turns::{Plan, Rounds};
use super::way::listeners;
use super::{Cost, Figure, Unit};
use crate::measure::{Filter, MeasureError, Processors, Progress, Site};
use crate::steady::Summary;

/// The listener without a filter.
pub(super) const BARE: &str = "none";
/// That of the filter that does nothing.
pub(super) const NOOP: &str = "noop";
/// AckGuard with the shipped policy.
pub(super) const ACKGUARD: &str = "ackguard";
/// The same with `telemetry: counted`.
pub(super) const COUNTED: &str = "ackguard_counted";

/// Connections to each listener: enough that Envoy has always something to do, or its waking would be measured.
const CONNECTIONS: usize = 8;

/// A side: what is sent, and where.
type Cell = (Exchange, &'static str);

/// What was measured of each.
#[derive(Debug)]
pub(super) struct Cells {
    /// Each once, as the sides of the rounds are.
    cells: Vec<Cell>,
    spent: Rounds<f64>,
}

/// Those listeners that are compared with AckGuard wherever it is.
pub(super) fn common() -> Vec<(&'static str, Filter)> {
    vec![
        (BARE, Filter::None),
        (NOOP, Filter::Noop),
        (ACKGUARD, Filter::AckGuard(|_| ())),
        (COUNTED, Filter::AckGuard(|policy| policy["telemetry"] = "counted".into())),
    ]
}

impl Cells {
    /// Measures `exchanges`, which says of each at which of the listeners `ways` it is, until the figures that `figures` makes of
    /// it are known. A listener that is named more than once has as many turns in each round, of which the mean counts.
    /// Returns what went wrong as well.
    pub(super) async fn measure(
        ways: fn() -> Vec<(&'static str, Filter)>,
        exchanges: &[(Exchange, &[&'static str])],
        plan: Plan,
        figures: fn(&Self) -> Result<Vec<Figure>, MeasureError>,
        processors: Option<Processors>,
        progress: &Progress,
    ) -> Result<(Self, Summary), MeasureError> {
        let start = async || {
            let site = Arc::new(Site::on_processor(listeners(ways())?, processors).await?);
            let mut groups = Vec::new();
            for (exchange, ways) in exchanges {
                let mut sides = Vec::new();
                for way in *ways {
                    sides.push(side(&site, *exchange, way).await?);
                }
                groups.push(sides);
            }
            Ok(groups)
        };
        let mut cells: Vec<Cell> = Vec::new();
        let mut sides = Vec::new();
        for turn in exchanges.iter().flat_map(|(exchange, ways)| ways.iter().map(|way| (*exchange, *way))) {
            let side = cells.iter().position(|cell| *cell == turn).unwrap_or(cells.len());
            if side == cells.len() {
                cells.push(turn);
            }
            sides.push(side);
        }
        let of = |spent: &Rounds<f64>| Self { cells: cells.clone(), spent: spent.merge(&sides) };
        let measured = sides::measure_anew(plan, start, |spent| figures(&of(spent)), progress).await?;
        Ok((of(&measured.spent), measured.load))
    }

    /// How many rounds there are, as the figure `key`.
    pub(super) fn count(&self, key: &'static str) -> Figure {
        self.spent.count(key)
    }

    /// A request's whole cost at `way` over that at `base`.
    pub(super) fn whole(
        &self,
        key: &'static str,
        says: &'static str,
        exchange: Exchange,
        way: &'static str,
        base: &'static str,
    ) -> Result<Figure, MeasureError> {
        let ratio = self.spent.ratio(self.place(exchange, way)?, self.place(exchange, base)?)?;
        Ok(Figure::of_rounds(key, says, ratio, Unit::Ratio))
    }

    /// What `way` adds to the bare request over what `other` does.
    pub(super) fn added(
        &self,
        key: &'static str,
        says: &'static str,
        exchange: Exchange,
        way: &'static str,
        other: &'static str,
    ) -> Result<Figure, MeasureError> {
        let [way, other, bare] =
            [self.place(exchange, way)?, self.place(exchange, other)?, self.place(exchange, BARE)?];
        let ratio = self.spent.added_ratio((way, bare), (other, bare))?;
        Ok(Figure::of_rounds(key, says, ratio, Unit::Ratio))
    }

    /// What each exchange costs at each of its listeners.
    pub(super) fn costs(&self) -> Result<Vec<Cost>, MeasureError> {
        let cost = |(place, (exchange, way)): (usize, &Cell)| {
            self.spent.micros(place).map(|micros| Cost { exchange: exchange.name(), way, micros })
        };
        self.cells.iter().enumerate().map(cost).collect()
    }

    fn place(&self, exchange: Exchange, way: &'static str) -> Result<usize, MeasureError> {
        self.cells.iter().position(|cell| *cell == (exchange, way)).ok_or(MeasureError::Nothing("that side"))
    }
}

async fn side(site: &Arc<Site>, exchange: Exchange, way: &str) -> Result<Side, MeasureError> {
    if exchange == Exchange::Refused {
        // The one that the bucket holds.
        for mut connection in site.open(way, 1).await? {
            crate::steady::answer(&mut connection, exchange.request()(0)).await.map_err(MeasureError::Request)?;
        }
    }
    let lanes = site.lanes(way, CONNECTIONS, exchange.asked().await).await?;
    Ok(Side::new(Arc::clone(site), Sender::Lanes(lanes)))
}
