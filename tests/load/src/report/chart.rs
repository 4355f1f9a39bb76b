//! The plots of a report, as SVG. Every colour is one of [`Ink`]'s, which the page's style replaces by the reader's
//! light or dark theme.

use std::time::Duration;

use indicatif::HumanCount;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::client::GroupLedger;
use crate::run::Sample;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Text,
    Grid,
    Ready,
    InFlight,
    Acked,
    DeadLettered,
    Lost,
    Bare,
    Guarded,
}

impl Ink {
    pub(super) const ALL: [Self; 9] = [
        Self::Text,
        Self::Grid,
        Self::Ready,
        Self::InFlight,
        Self::Acked,
        Self::DeadLettered,
        Self::Lost,
        Self::Bare,
        Self::Guarded,
    ];

    /// The name of the page's custom property that holds the colour.
    pub(super) fn property(self) -> &'static str {
        match self {
            Self::Text => "--muted",
            Self::Grid => "--line",
            Self::Ready => "--ready",
            Self::InFlight => "--in-flight",
            Self::Acked => "--acked",
            Self::DeadLettered => "--dead-lettered",
            Self::Lost => "--lost",
            Self::Bare => "--bare",
            Self::Guarded => "--guarded",
        }
    }

    /// A stand-in, different for each ink, that the page's style selects by.
    fn color(self) -> RGBColor {
        RGBColor(0xAC, 0x4B, self as u8)
    }

    /// [`Ink::color`] as it stands in the SVG.
    pub(super) fn hex(self) -> String {
        let RGBColor(red, green, blue) = self.color();
        format!("#{red:02X}{green:02X}{blue:02X}")
    }
}

/// A figure of the ledger.
pub(super) type Figure = fn(&GroupLedger) -> u64;

/// What the messages of a stacked plot are, from the bottom up.
pub(super) const FATES: [(&str, Ink, Figure); 5] = [
    ("acked", Ink::Acked, |ledger| ledger.acked),
    ("dead-lettered", Ink::DeadLettered, |ledger| ledger.dead_lettered),
    ("in flight", Ink::InFlight, |ledger| ledger.in_flight),
    ("ready", Ink::Ready, |ledger| ledger.ready),
    ("lost", Ink::Lost, GroupLedger::lost),
];

/// A size that is shown at about its own width on a phone and, two or more in a row, on a desk.
const SIZE: (u32, u32) = (440, 250);
const FONT: (&str, i32) = ("sans-serif", 13);

/// A plot that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a plot of the report: {0}")]
pub struct ChartError(String);

/// Where the messages of one run were, over time: areas that add up to what was published.
pub(super) fn fates(timeline: &[Sample], longest: Duration, messages: u64) -> Result<String, ChartError> {
    draw(longest, messages, |chart| {
        let mut below: Vec<u64> = vec![0; timeline.len()];
        for (_, ink, figure) in FATES {
            let top: Vec<_> =
                timeline.iter().zip(&below).map(|(sample, below)| below + figure(&sample.ledger)).collect();
            let along = |heights: &[u64]| -> Vec<(f64, f64)> {
                timeline.iter().zip(heights).map(|(sample, height)| (sample.at.as_secs_f64(), *height as f64)).collect()
            };
            let mut outline = along(&top);
            outline.extend(along(&below).into_iter().rev());
            chart.draw_series([Polygon::new(outline, ink.color().filled())])?;
            below = top;
        }
        Ok(())
    })
}

/// One figure of several runs, over time: a line for each.
pub(super) fn figure(runs: &[(Ink, &[Sample])], longest: Duration, figure: Figure) -> Result<String, ChartError> {
    let highest = runs.iter().flat_map(|(_, timeline)| *timeline).map(|sample| figure(&sample.ledger)).max();
    draw(longest, highest.unwrap_or(0).max(1), |chart| {
        for (ink, timeline) in runs {
            let points = timeline.iter().map(|sample| (sample.at.as_secs_f64(), figure(&sample.ledger) as f64));
            chart.draw_series(LineSeries::new(points, ink.color().stroke_width(2)))?;
        }
        Ok(())
    })
}

type Chart<'a> = ChartContext<
    'a,
    SVGBackend<'a>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn draw(
    longest: Duration,
    highest: u64,
    series: impl FnOnce(&mut Chart<'_>) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<String, ChartError> {
    let mut svg = String::new();
    let drawn = || -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .margin_right(16)
            .x_label_area_size(28)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..longest.as_secs_f64(), 0.0..highest as f64 * 1.02)?;
        let text = FONT.into_font().color(&Ink::Text.color());
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Ink::Grid.color())
            .axis_style(Ink::Grid.color())
            .x_labels(6)
            .y_labels(6)
            .x_label_style(text.clone())
            .y_label_style(text.pos(Pos::new(HPos::Right, VPos::Center)))
            .x_label_formatter(&|seconds| format!("{} s", (seconds * 10.0).round() / 10.0))
            .y_label_formatter(&|count| HumanCount(*count as u64).to_string())
            .draw()?;
        series(&mut chart)?;
        area.present()?;
        Ok(())
    };
    drawn().map_err(|fault| ChartError(fault.to_string()))?;
    // Inside of HTML an SVG needs no namespace, and without it the page names no address at all.
    Ok(svg.replace(r#" xmlns="http://www.w3.org/2000/svg""#, ""))
}
