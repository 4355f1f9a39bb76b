//! The figures on a terminal.

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Style};

use super::Figure;
use crate::measure::Machine;

/// The table of `figures`, and in one line what they were measured on.
#[must_use]
pub fn table(figures: &[Figure], machine: &Machine) -> String {
    let mut table = Builder::new();
    table.push_record(["", "measured", "goal", "", "key"]);
    for figure in figures {
        let goal = figure.goal.map(|goal| goal.to_string()).unwrap_or_default();
        let met = match figure.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        table.push_record([figure.says, &figure.to_string(), &goal, met, figure.key]);
    }
    let table = table.build().with(Style::rounded()).modify(Columns::new(1..3), Alignment::right()).to_string();
    let load = |load: Option<f32>| load.map_or("unknown".to_owned(), |load| format!("{load:.2}"));
    let (before, after) = (load(machine.load_before), load(machine.load_after));
    format!("{table}\n{} cores; load average {before} before, {after} after", machine.cores)
}
