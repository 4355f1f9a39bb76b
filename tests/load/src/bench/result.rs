//! `result.json`: every figure by its key, and how busy the machine was.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Number, Value};

use super::Figure;
use crate::measure::{Machine, MeasureError};

/// The name of the file.
const RESULT: &str = "result.json";

/// Writes `result.json` into `directory`, which is made where it is missing, and returns its path.
///
/// # Errors
/// Where the file system says no.
pub fn write(directory: &Path, figures: &[Figure], machine: &Machine) -> Result<PathBuf, MeasureError> {
    let path = directory.join(RESULT);
    let system = |source| MeasureError::System { what: path.display().to_string(), source };
    fs::create_dir_all(directory).map_err(system)?;
    fs::write(&path, format!("{:#}\n", json(figures, machine))).map_err(system)?;
    Ok(path)
}

fn json(figures: &[Figure], machine: &Machine) -> Value {
    // Counts are whole, and nothing else is known to more than three places.
    let number = |value: f64| match (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i64) {
        Some(whole) => Value::from(whole),
        None => Number::from_f64((value * 1_000.0).round() / 1_000.0).map_or(Value::Null, Value::Number),
    };
    let mut all: Map<String, Value> =
        figures.iter().map(|figure| (figure.key.to_owned(), number(figure.value))).collect();
    all.insert("cores".to_owned(), machine.cores.into());
    for (key, load) in [("load_average_before", machine.load_before), ("load_average_after", machine.load_after)] {
        all.insert(key.to_owned(), load.map_or(Value::Null, |load| number(f64::from(load))));
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::super::Unit;
    use super::*;

    #[test]
    fn a_figure_stands_by_its_key() {
        let figures = [
            Figure::new("reload_p99_ms", "", 12.34567, Unit::Millis),
            Figure::new("reload_failed", "", 0.0, Unit::Count),
        ];
        let machine = Machine { cores: 2, load_before: Some(0.25), load_after: None };
        let expected = serde_json::json!({
            "reload_p99_ms": 12.346, "reload_failed": 0,
            "cores": 2, "load_average_before": 0.25, "load_average_after": null,
        });
        assert_eq!(json(&figures, &machine), expected);
    }
}
