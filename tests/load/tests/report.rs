//! The report of a small incident in a real Envoy, as its reader sees it: in a headless Chromium, on a desk and on a phone, in
//! each theme.

use std::time::Duration;

use browser::{Browser, Color, Look, Rect, View};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use stack::{Bootstrap, Broker, BrokerOptions, Envoy, Protocol, Workers};
use tmq_load::client::GroupLedger;
use tmq_load::incident::{Endpoints, Incident, IncidentOptions};
use tmq_load::output;
use tmq_load::report::Report;
use tmq_load::run::RunOutcome;
use tmq_load::verdict::{Deviation, Side, deviations};
use tmq_load::workload::Workload;
use tokio::sync::OnceCell;

/// What the tests look for in the page.
const MEASURE: &str = r"({
  cards: [...document.querySelectorAll('.card')].map((card) => ({
    place: rectOf(card),
    fill: color(card, 'backgroundColor'),
    edge: color(card, 'borderLeftColor'),
    word: rectOf(card.querySelector('strong')),
    wordColor: color(card.querySelector('strong'), 'color'),
  })),
  plots: [...document.querySelectorAll('figure')].map((figure) => {
    const areas = [...figure.querySelectorAll('polygon')].map((area) => area.getBoundingClientRect());
    const [left, top] = ['left', 'top'].map((side) => Math.min(...areas.map((area) => area[side])));
    const [right, bottom] = ['right', 'bottom'].map((side) => Math.max(...areas.map((area) => area[side])));
    return {
      name: figure.querySelector('figcaption').textContent,
      place: rectOf(figure.querySelector('svg')),
      area: areas.length === 0 ? null : placed({ left, top, width: right - left, height: bottom - top }),
      series: [...figure.closest('section').querySelectorAll('.legend li')].map((entry) => ({
        name: entry.textContent.trim(),
        color: color(entry.querySelector('i'), 'borderTopColor'),
      })),
    };
  }),
})";

/// What a report has above its cards where a figure is not as expected.
const ALERT: &str = r"({
  place: rectOf(document.querySelector('[role=alert]')),
  fill: color(document.querySelector('[role=alert]'), 'backgroundColor'),
})";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    cards: Vec<Card>,
    plots: Vec<Plot>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Card {
    place: Rect,
    fill: Color,
    edge: Color,
    word: Rect,
    word_color: Color,
}

#[derive(Debug, Deserialize)]
struct Plot {
    name: String,
    place: Rect,
    /// Where the areas are, if it has areas.
    area: Option<Rect>,
    series: Vec<Series>,
}

/// An entry of a plot's legend.
#[derive(Debug, Deserialize)]
struct Series {
    name: String,
    color: Color,
}

/// The incident, and every look at its report, and at the same with a figure that is not as expected.
struct Reported {
    incident: Incident,
    looks: Vec<Look<Seen>>,
    deviating: Vec<Look<Alert>>,
}

#[derive(Debug, Deserialize)]
struct Alert {
    place: Rect,
    fill: Color,
}

/// One incident and one browser for all tests: each of them only looks.
async fn reported() -> &'static Reported {
    static REPORTED: OnceCell<Reported> = OnceCell::const_new();
    REPORTED.get_or_init(report).await
}

async fn report() -> Reported {
    let broker = Broker::start(BrokerOptions::default()).await.unwrap();
    let bootstrap = Bootstrap::load("static.yaml").unwrap().upstream(broker.address(), Protocol::Http1);
    let policy = serde_saphyr::to_string(&bootstrap.current_policy()).unwrap();
    let envoy = Envoy::start(bootstrap, Workers(2)).await.unwrap();
    let endpoints = Endpoints { bare: envoy.bare(), guarded: envoy.guarded(), admin: broker.admin() };
    // Some seconds, so that a sample of the ledger is a small part of a plot.
    let options = IncidentOptions {
        messages: 1_500,
        consumers: 3,
        concurrency: 32,
        workload: Workload::new(7, Duration::from_millis(20)..=Duration::from_millis(60)).unwrap(),
        ..IncidentOptions::default()
    };
    let incident = Incident::replay(endpoints, options, &[], None, |_, _| {}).await.unwrap();
    let deviations = deviations(&incident.result());
    assert_eq!(deviations, []);

    let browser = Browser::open("about:blank", 1_400, 900).await;
    let report = Report { incident: &incident, policy: Some(&policy), deviations: &deviations };
    let looks = look(&browser, "report", &report, MEASURE).await;
    let deviation = Deviation { side: Side::Guarded, figure: "lost", found: 1, expected: 0 };
    let deviating = look(&browser, "report-deviating", &Report { deviations: &[deviation], ..report }, ALERT).await;
    browser.close().await;
    Reported { incident, looks, deviating }
}

/// Every look at a report.
async fn look<T: DeserializeOwned>(browser: &Browser, name: &str, report: &Report<'_>, measure: &str) -> Vec<Look<T>> {
    let folder = tempfile::tempdir().unwrap();
    let written = output::write(folder.path(), report).unwrap();
    browser.goto(&format!("file://{}", written.report.display())).await;
    let mut looks = Vec::new();
    for view in View::ALL {
        looks.push(browser.look(name, view, measure).await);
    }
    looks
}

/// A figure of the ledger.
type Figure = fn(&GroupLedger) -> u64;

/// The rows of the stacked plots' legend.
const FATES: [(&str, Figure); 5] = [
    ("acked", |ledger| ledger.acked),
    ("dead-lettered", |ledger| ledger.dead_lettered),
    ("in flight", |ledger| ledger.in_flight),
    ("ready", |ledger| ledger.ready),
    ("lost", GroupLedger::lost),
];

/// The average of a figure over the first `seconds`, of which what is beyond the run's own has its last value.
fn average(outcome: &RunOutcome, seconds: f64, figure: Figure) -> f64 {
    let last = (seconds, figure(&outcome.ledger) as f64);
    let points = outcome.timeline.iter().map(|sample| (sample.at.as_secs_f64(), figure(&sample.ledger) as f64));
    let points: Vec<_> = points.chain([last]).collect();
    points.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0).sum::<f64>() / seconds
}

#[tokio::test]
async fn the_report_is_whole_and_can_be_read() {
    let Reported { looks, deviating, .. } = reported().await;
    let faults = looks.iter().flat_map(Look::faults).chain(deviating.iter().flat_map(Look::faults));
    assert_eq!(faults.collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test]
async fn a_figure_that_is_not_as_expected_cannot_be_overlooked() {
    for Look { view, measured: Alert { place, fill }, pixels, .. } in &reported().await.deviating {
        let share = pixels.share_of(*fill, *place);
        assert!(share > 0.75, "{view}: {share:.2} of {place:?} is {fill:?}");
    }
}

#[tokio::test]
async fn each_card_has_the_colors_of_its_style() {
    for Look { view, measured, pixels, .. } in &reported().await.looks {
        let [bare, guarded] = measured.cards.as_slice() else { panic!("{measured:?}") };
        assert_ne!(bare.edge, guarded.edge, "{view}");
        for card in [bare, guarded] {
            let Rect { left, top, height, .. } = card.place;
            // Its border is 6 px wide there, and round at the corners.
            let edge = Rect { left: left + 1.0, top: top + 10.0, width: 4.0, height: height - 20.0 };
            let inside = Rect { left: left + 7.0, width: card.place.width - 8.0, ..edge };
            let shares = [(card.edge, edge), (card.fill, inside), (card.word_color, card.word)]
                .map(|(color, place)| pixels.share_of(color, place));
            assert!(shares[0] > 0.99 && shares[1] > 0.75 && shares[2] > 0.02, "{view} {card:?}: {shares:?}");
        }
    }
}

#[tokio::test]
async fn each_area_is_as_large_as_its_part_of_the_messages() {
    let Reported { incident, looks, .. } = reported().await;
    let longest = incident.bare.took.max(incident.guarded.took).as_secs_f64();
    let messages = incident.options.messages as f64;
    for Look { view, measured, pixels, .. } in looks {
        for (name, outcome) in [("bare", &incident.bare), ("guarded", &incident.guarded)] {
            let plot = measured.plots.iter().find(|plot| plot.name == name).unwrap();
            assert_eq!(plot.series.iter().map(|entry| &entry.name).collect::<Vec<_>>(), FATES.map(|(name, _)| name));
            let area = plot.area.unwrap();
            for (Series { name: fate, color }, (_, figure)) in plot.series.iter().zip(FATES) {
                let (seen, expected) = (pixels.share_of(*color, area), average(outcome, longest, figure) / messages);
                assert!(
                    (seen - expected).abs() < 0.02,
                    "{view} {name} {fate}: {seen:.3} of the plot, not {expected:.3}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_areas_end_with_what_became_of_the_messages() {
    for Look { view, measured, pixels, .. } in &reported().await.looks {
        for (plot, fate) in [("bare", "lost"), ("guarded", "acked")] {
            let plot = measured.plots.iter().find(|seen| seen.name == plot).unwrap();
            let area = plot.area.unwrap();
            let end = Rect { left: area.right() - 4.0, width: 4.0, ..area };
            let color = plot.series.iter().find(|series| series.name == fate).unwrap().color;
            let share = pixels.share_of(color, end);
            assert!(share > 0.75, "{view}: {fate} is {share:.2} of the end of {}", plot.name);
        }
    }
}

#[tokio::test]
async fn each_run_has_its_line_in_each_plot() {
    for Look { view, measured, pixels, .. } in &reported().await.looks {
        let plots: Vec<_> = measured.plots.iter().filter(|plot| plot.area.is_none()).collect();
        let names: Vec<_> = plots.iter().map(|plot| &plot.name).collect();
        assert_eq!(names, ["Ready", "In flight", "Acked", "Lost"]);
        for plot in plots {
            let series: Vec<_> = plot.series.iter().map(|series| &series.name).collect();
            assert_eq!(series, ["bare", "guarded"]);
            for Series { name, color } in &plot.series {
                let ink = pixels.ink_of(*color, plot.place) / plot.place.width;
                assert!(ink > 0.25, "{view} {}: {ink:.2} px of {name} above each other", plot.name);
            }
        }
    }
}
