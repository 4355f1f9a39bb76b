//! `result.json`: every figure by its key, and how busy the machine was.

use std::fs;
use std::path::Path;

use serde_json::{Map, Number, Value, json};

use super::{Cost, Outcome, chart};
use crate::measure::{Machine, MeasureError};

/// The name of the file.
pub const RESULT: &str = "result.json";

/// The name of the picture of the costs.
const CHART: &str = "costs.svg";

/// Writes `result.json` into `directory`, which is made where it is missing; beside it, where costs were
/// measured, `costs.svg`.
///
/// # Errors
/// Where the file system says no.
pub fn write(directory: &Path, outcome: &Outcome, machine: &Machine) -> Result<(), MeasureError> {
    let path = directory.join(RESULT);
    let system = |source| MeasureError::System { what: path.display().to_string(), source };
    fs::create_dir_all(directory).map_err(system)?;
    fs::write(&path, format!("{:#}\n", json(outcome, machine))).map_err(system)?;
    if !outcome.costs.is_empty() {
        fs::write(directory.join(CHART), chart(&outcome.costs)?).map_err(system)?;
    }
    Ok(())
}

fn json(outcome: &Outcome, machine: &Machine) -> Value {
    let mut all = Map::new();
    for figure in &outcome.figures {
        all.insert(figure.key.to_owned(), number(figure.value));
        for (name, ends) in [("quartiles", figure.quartiles), ("interval", figure.interval)] {
            if let Some(ends) = ends {
                all.insert(format!("{}_{name}", figure.key), ends.map(number).to_vec().into());
            }
        }
    }
    let mut costs = Map::new();
    for Cost { exchange, way, micros } in &outcome.costs {
        let [first, third] = micros.quartiles;
        let spread = json!([number(first), number(micros.median), number(third)]);
        costs.entry(*exchange).or_insert_with(|| Value::Object(Map::new()))[way] = spread;
    }
    if !costs.is_empty() {
        all.insert("cost_us".to_owned(), costs.into());
    }
    all.insert("fit".to_owned(), outcome.unfit.is_empty().into());
    all.insert("cores".to_owned(), machine.cores.into());
    for (key, load) in [("load_average_before", machine.load_before), ("load_average_after", machine.load_after)] {
        all.insert(key.to_owned(), load.map_or(Value::Null, |load| number(f64::from(load))));
    }
    Value::Object(all)
}

/// Counts are whole, and nothing else is known to more than three places.
fn number(value: f64) -> Value {
    match (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i64) {
        Some(whole) => Value::from(whole),
        None => Number::from_f64((value * 1_000.0).round() / 1_000.0).map_or(Value::Null, Value::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Figure, Spread, Unit};
    use super::*;

    #[test]
    fn a_figure_stands_by_its_key_and_a_cost_by_its_exchange_and_filter() {
        let spread = Spread { median: 2.0, quartiles: [1.5, 2.25], interval: Some([1.75, f64::INFINITY]) };
        let outcome = Outcome {
            figures: vec![
                Figure::new("reload_p99_ms", "", 12.34567, Unit::Millis),
                Figure::of_rounds("ack_vs_noop", "", spread, Unit::Ratio),
            ],
            costs: vec![Cost { exchange: "ack", way: "lua", micros: spread }],
            ..Outcome::default()
        };
        let machine = Machine { cores: 2, load_before: Some(0.25), load_after: None };
        let expected = json!({
            "reload_p99_ms": 12.346, "ack_vs_noop": 2, "ack_vs_noop_quartiles": [1.5, 2.25],
            "ack_vs_noop_interval": [1.75, null],
            "cost_us": { "ack": { "lua": [1.5, 2, 2.25] } },
            "fit": true, "cores": 2, "load_average_before": 0.25, "load_average_after": null,
        });
        assert_eq!(super::json(&outcome, &machine), expected);
    }
}
