//! The costs as a picture: a bar for each filter, under each kind of request.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Cost;

/// What a bar may stand for, and its colour: warmer the more a filter does.
const COLORS: [(&str, RGBColor); 7] = [
    ("none", RGBColor(0x9A, 0xA5, 0xB8)),
    ("noop", RGBColor(0x6C, 0x8E, 0xBF)),
    ("lua", RGBColor(0x7A, 0x5F, 0xB0)),
    ("local_ratelimit", RGBColor(0x3B, 0x9E, 0x8F)),
    ("ackguard_counted", RGBColor(0xE0, 0xA8, 0x3C)),
    ("ackguard", RGBColor(0xD9, 0x77, 0x2B)),
    ("ackguard_limit", RGBColor(0xB9, 0x4A, 0x2C)),
];
/// Requests whose cost is of another order, which would leave no room for the others.
const LARGE: [&str; 4] = ["pull_128kib", "pull_1mib", "publish_128kib", "publish_1mib"];

const WIDTH: u32 = 900;
const LEFT: i32 = 120;
/// The longest bar.
const LONGEST: f64 = 660.0;
const BAR: i32 = 16;
const GAP: i32 = 14;
const TOP: i32 = 70;

/// A chart that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the chart of the costs: {0}")]
pub struct ChartError(String);

/// The picture as SVG, of the medians.
///
/// # Errors
/// Where the library cannot draw.
pub fn chart(costs: &[Cost]) -> Result<String, ChartError> {
    let shown = |cost: &&Cost| !LARGE.contains(&cost.exchange) && color(cost.way).is_some();
    let costs: Vec<&Cost> = costs.iter().filter(shown).collect();
    let most = costs.iter().map(|cost| cost.micros.median).fold(1.0, f64::max);
    let groups = costs.chunk_by(|one, next| one.exchange == next.exchange);
    let height = TOP + costs.len() as i32 * BAR + groups.clone().count() as i32 * GAP;
    let mut svg = String::new();
    let drawn = || -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height as u32)).into_drawing_area();
        area.fill(&WHITE)?;
        let text = |text: String, at: (i32, i32), size: i32, anchor: HPos| {
            let style = ("sans-serif", size).into_font().color(&BLACK).pos(Pos::new(anchor, VPos::Center));
            area.draw(&Text::new(text, at, style))
        };
        text("Envoy's CPU for a request, µs".to_owned(), (LEFT, 18), 16, HPos::Left)?;
        for (place, (way, color)) in COLORS.iter().enumerate() {
            let left = LEFT + place as i32 * 108;
            area.draw(&Rectangle::new([(left, 38), (left + 10, 48)], color.filled()))?;
            text((*way).to_owned(), (left + 14, 43), 11, HPos::Left)?;
        }
        let mut top = TOP;
        for group in groups {
            let middle = top + group.len() as i32 * BAR / 2;
            text(group[0].exchange.to_owned(), (LEFT - 8, middle), 13, HPos::Right)?;
            for cost in group {
                let right = LEFT + (cost.micros.median / most * LONGEST) as i32;
                let color = color(cost.way).unwrap_or(BLACK);
                area.draw(&Rectangle::new([(LEFT, top + 1), (right, top + BAR - 1)], color.filled()))?;
                text(format!("{:.1}", cost.micros.median), (right + 6, top + BAR / 2), 11, HPos::Left)?;
                top += BAR;
            }
            top += GAP;
        }
        area.present()?;
        Ok(())
    };
    drawn().map_err(|error| ChartError(error.to_string()))?;
    Ok(svg)
}

fn color(way: &str) -> Option<RGBColor> {
    COLORS.iter().find(|(name, _)| *name == way).map(|(_, color)| *color)
}

#[cfg(test)]
mod tests {
    use super::super::Spread;
    use super::*;

    #[test]
    fn every_cost_has_its_bar_but_those_of_another_order() {
        let cost = |exchange, way, median| Cost {
            exchange,
            way,
            micros: Spread { median, quartiles: [median; 2], interval: None },
        };
        let costs = [
            cost("ack", "none", 60.0),
            cost("ack", "ackguard", 90.0),
            cost("ack", "control", 61.0),
            cost("pull_1mib", "none", 600.0),
            cost("publish", "lua", 30.0),
        ];
        let svg = chart(&costs).unwrap();
        for shown in ["60.0", "90.0", "30.0", "ack", "publish"] {
            assert!(svg.contains(&format!("\n{shown}\n")), "{shown} is not in\n{svg}");
        }
        assert!(!svg.contains("61.0") && !svg.contains("600.0"), "{svg}");
        // The longest reaches as far as any may, another its share of it.
        let widths: Vec<&str> = svg.split("width=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(widths.contains(&"660") && widths.contains(&"440") && widths.contains(&"220"), "{widths:?}");
    }
}
