//! The figures on a terminal.

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Style};

use super::{Cost, Outcome, Unit};
use crate::measure::Machine;

/// The table of the figures, that of the costs where there are any, and in a line what they were measured on.
#[must_use]
pub fn table(outcome: &Outcome, machine: &Machine) -> String {
    let mut table = Builder::new();
    table.push_record(["", "measured", "known to", "quartiles", "goal", "", "key"]);
    for figure in &outcome.figures {
        let goal = figure.goal.map(|goal| goal.of(figure.unit).to_string()).unwrap_or_default();
        let met = match figure.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        let places = if figure.unit == Unit::Millis { 3 } else { 2 };
        let quartiles = figure.quartiles.map(|[first, third]| format!("{first:.places$} – {third:.places$}"));
        let known = match figure.precision() {
            Some(share) if figure.unit == Unit::Ratio => format!("± {:.1} %", share * 100.0),
            _ => String::new(),
        };
        let quartiles = quartiles.unwrap_or_default();
        table.push_record([figure.says, &figure.to_string(), &known, &quartiles, &goal, met, figure.key]);
    }
    let table = table.build().with(Style::rounded()).modify(Columns::new(1..5), Alignment::right()).to_string();
    let load = |load: Option<f32>| load.map_or("unknown".to_owned(), |load| format!("{load:.2}"));
    let (before, after) = (load(machine.load_before), load(machine.load_after));
    let unfit: String = outcome.unfit.iter().map(|reason| format!("\nUNFIT: {reason}")).collect();
    let costs = costs(&outcome.costs).map(|costs| format!("\n{costs}")).unwrap_or_default();
    format!("{table}{costs}\n{} cores; load average {before} before, {after} after{unfit}", machine.cores)
}

/// Envoy's CPU time for a request, in microseconds: a line for each exchange, a column for each filter. `None` where nothing
/// is known of any.
fn costs(costs: &[Cost]) -> Option<String> {
    let mut ways: Vec<&str> = Vec::new();
    let mut exchanges: Vec<&str> = Vec::new();
    for cost in costs {
        for (name, all) in [(cost.way, &mut ways), (cost.exchange, &mut exchanges)] {
            if !all.contains(&name) {
                all.push(name);
            }
        }
    }
    let mut table = Builder::new();
    table.push_record([&["µs of CPU"][..], &ways].concat());
    for exchange in exchanges {
        let of = |way: &str| costs.iter().find(|cost| (cost.exchange, cost.way) == (exchange, way));
        let micros =
            ways.iter().map(|way| of(way).map(|cost| format!("{:.1}", cost.micros.median)).unwrap_or_default());
        table.push_record([exchange.to_owned()].into_iter().chain(micros));
    }
    let right = Columns::new(1..);
    (!costs.is_empty()).then(|| table.build().with(Style::rounded()).modify(right, Alignment::right()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_the_table_are_the_machine_and_why_the_run_is_unfit() {
        let machine = Machine { cores: 2, load_before: Some(0.25), load_after: None };
        let shown = |outcome: &Outcome| {
            let table = table(outcome, &machine);
            table[table.find("2 cores").expect("the machine")..].to_owned()
        };
        let line = "2 cores; load average 0.25 before, unknown after";
        assert_eq!(shown(&Outcome::default()), line);
        let unfit = ["cost: two differ", "workers: one is not known"].map(str::to_owned).to_vec();
        let outcome = Outcome { unfit, ..Outcome::default() };
        assert_eq!(shown(&outcome), format!("{line}\nUNFIT: cost: two differ\nUNFIT: workers: one is not known"));
    }
}
