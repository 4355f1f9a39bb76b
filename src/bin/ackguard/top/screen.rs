//! The one screen: a head, four tables, the state of the rest, and the keys.

use ackguard::rollout::State;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use ratatui::widgets::Widget;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::figures::{age, rate, tally, total};
use super::report::{Breaker, Report, Rollout};
use super::table::{Table, Tone, table};
use super::track::Tally;
use super::view::{Pane, Sort, View};

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const HEADER: Style = BOLD.fg(Color::Cyan);
const FOCUSED: Style = HEADER.add_modifier(Modifier::REVERSED);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BAD: Style = BOLD.fg(Color::Red);
const WARN: Style = Style::new().fg(Color::Yellow);

/// The least that a screen must have to be of use.
pub(super) const LEAST: (u16, u16) = (60, 13);

/// Tenants have names of their own, violations those of the policy's fields: they need more.
const TENANTS: Constraint = Constraint::Fill(3);
const VIOLATIONS: Constraint = Constraint::Fill(7);
const LIMITS: Constraint = Constraint::Fill(4);
const STATE: Constraint = Constraint::Fill(6);

const HELP: &[&str] = &[
    "q, Ctrl-C      quit",
    "p, Space       pause: the screen stands still, Envoy is asked on",
    "s              order: by rate, by total, by name",
    "Tab, ← →       the next table, the one before",
    "↑ ↓ PgUp PgDn  scroll the table; Home, End",
    "",
    "/s             times a second since the last look",
    "w.edit, w.rej  what shadow would have edited, rejected",
    "p50 p99        durations of the last 30 s",
    "+3             as many rows more, above or below",
    "again, last    delivered before; delivered on the last attempt",
    "shadow         over a limit that is in shadow, a second",
    "total, (n)     since Envoy's start",
];

/// What Envoy has said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) version: String,
    pub(super) uptime_seconds: u64,
}

/// How the talk with Envoy goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It answers.
    Good,
    /// It has not answered yet, for so many seconds.
    Slow(u64),
    /// It gives no answer: for how many seconds, where it ever gave one, and why.
    Lost(Option<u64>, String),
}

/// All that is to be drawn.
#[derive(Debug)]
pub(super) struct Screen<'s> {
    pub(super) address: &'s str,
    pub(super) server: Option<&'s Server>,
    pub(super) link: Link,
    pub(super) report: &'s Report,
    /// None where nobody is there to press keys: everything is shown, and no keys.
    pub(super) view: Option<&'s View>,
}

/// Where the parts stand.
struct Places {
    head: Rect,
    body: Rect,
    operations: Rect,
    tenants: Rect,
    violations: Rect,
    limits: Rect,
    state: Rect,
    foot: Rect,
}

impl Screen<'_> {
    fn sort(&self) -> Sort {
        self.view.map(|view| view.sort).unwrap_or_default()
    }

    /// The lines of the head.
    fn head(&self) -> u16 {
        2 + u16::from(self.report.rollout.is_some())
    }

    /// How many rows each of the three bands has, with its header.
    fn bands(&self) -> [usize; 3] {
        let Report { operations, tenants, violations, limits, .. } = self.report;
        // An empty table has a row that says so.
        let rows = |rows: usize| rows.max(1) + 1;
        [
            rows(operations.len()),
            rows(tenants.len().max(violations.len())),
            rows(limits.len().max(state(self.report).len())),
        ]
    }

    /// The height at which nothing has to be scrolled.
    pub(super) fn whole_height(&self) -> usize {
        usize::from(self.head()) + self.bands().iter().sum::<usize>() + GAPS
    }

    fn places(&self, area: Rect) -> Places {
        let foot = u16::from(self.view.is_some());
        let [head, body, foot] =
            Layout::vertical([Constraint::Length(self.head()), Constraint::Fill(1), Constraint::Length(foot)])
                .areas(area);
        let wanted = self.bands();
        let is_roomy = wanted.iter().sum::<usize>() + GAPS <= usize::from(body.height);
        // The state of the rest is whole before tables are: it cannot be scrolled.
        let state = (state(self.report).len() + 1).min(usize::from(body.height) * 2 / 5);
        let [first, second, third] = shared(wanted, [0, 0, state], usize::from(body.height)).map(Constraint::Length);
        let [operations, middle, low] =
            Layout::vertical([first, second, third]).spacing(u16::from(is_roomy)).areas(body);
        let [tenants, violations] = Layout::horizontal([TENANTS, VIOLATIONS]).spacing(2).areas(middle);
        let [limits, state] = Layout::horizontal([LIMITS, STATE]).spacing(2).areas(low);
        Places { head, body, operations, tenants, violations, limits, state, foot }
    }

    /// How far each table can be scrolled on a screen of this size.
    pub(super) fn most_scrolled(&self, area: Rect) -> impl Fn(Pane) -> usize + use<> {
        let places = self.places(area);
        let most = |rows: usize, area: Rect| rows.saturating_sub(shown_rows(area));
        let Report { operations, tenants, violations, limits, .. } = self.report;
        let operations = most(operations.len(), places.operations);
        let tenants = most(tenants.len(), places.tenants);
        let violations = most(violations.len(), places.violations);
        let limits = most(limits.len(), places.limits);
        move |pane| match pane {
            Pane::Operations => operations,
            Pane::Tenants => tenants,
            Pane::Violations => violations,
            Pane::Limits => limits,
        }
    }

    fn draw_head(&self, area: Rect, buffer: &mut Buffer) {
        let mut lines = area.rows();
        let mut write = |spans| write_line(lines.next().unwrap_or_default(), buffer, spans);
        let mut spans = Vec::new();
        // Why there is no answer needs the room.
        if !matches!(self.link, Link::Lost(..)) {
            spans.push(Span::styled("ackguard top  ", BOLD));
        }
        if self.view.is_some_and(|view| view.is_paused) {
            spans.push(Span::styled("PAUSED  ", WARN));
        }
        spans.push(Span::raw(self.address));
        match &self.link {
            Link::Lost(since, why) => {
                let since = since.map(|seconds| format!(" for {}", age(seconds))).unwrap_or_default();
                spans.push(Span::styled(format!("  no answer{since}: {why}"), BAD));
            }
            Link::Good | Link::Slow(_) => {
                if let Link::Slow(seconds) = self.link {
                    spans.push(Span::styled(format!("  no answer yet, for {}", age(seconds)), WARN));
                }
                if let Some(Server { version, uptime_seconds }) = self.server {
                    spans.push(Span::raw(format!("  Envoy {version}, up {}", age(*uptime_seconds))));
                }
                if let Some(state) = self.report.server_state {
                    spans.push(Span::styled(format!(", {state}"), WARN));
                }
            }
        }
        write(spans);
        write(self.policy());
        if let Some(rollout) = &self.report.rollout {
            write(told_of(rollout));
        }
    }

    /// The policy in force.
    fn policy(&self) -> Vec<Span<'static>> {
        let report = self.report;
        if !report.is_filter_seen {
            let word = match self.link {
                Link::Good => "no statistics of AckGuard's: is the filter in this Envoy?",
                _ => "",
            };
            return vec![Span::styled(word, WARN)];
        }
        let policies: Vec<String> = report.policies.iter().map(|(version, mode)| format!("{version} {mode}")).collect();
        let policies = if policies.is_empty() { "unknown".to_owned() } else { policies.join(", ") };
        let mut spans = vec![Span::raw("policy "), Span::styled(policies, BOLD)];
        if report.reloads_refused.total > 0 {
            let style = if report.reloads_refused.rate.is_some_and(|rate| rate > 0.0) { BAD } else { WARN };
            spans.push(Span::styled(format!(" ({} refused)", total(report.reloads_refused.total)), style));
        }
        if report.rollout.is_none() {
            spans.push(Span::raw("  no roll-out"));
        }
        if report.left_out > 0 {
            spans.push(Span::styled(format!("  {} series left out", report.left_out), WARN));
        }
        spans
    }

    fn draw_pane(&self, pane: Pane, area: Rect, buffer: &mut Buffer) {
        let table = table(self.report, pane, self.sort(), area.width);
        let offset = self.view.map(|view| view.offset(pane, table.rows.len(), shown_rows(area))).unwrap_or_default();
        let is_focused = self.view.is_some_and(|view| view.focus == pane);
        draw_table(&table, offset, self.sort(), if is_focused { FOCUSED } else { HEADER }, area, buffer);
    }

    fn draw_state(&self, area: Rect, buffer: &mut Buffer) {
        let Some((header, rows)) = split_header(area) else { return };
        write_text(header, buffer, "STATE", HEADER);
        for (row, (name, text, tone)) in rows.rows().zip(state(self.report)) {
            let [left, right] = Layout::horizontal([Constraint::Length(11), Constraint::Fill(1)]).spacing(1).areas(row);
            write_text(left, buffer, name, style(tone));
            write_text(right, buffer, &text, style(tone));
        }
    }

    fn draw_foot(&self, view: &View, area: Rect, buffer: &mut Buffer) {
        let keys = [
            ("q", "quit".to_owned()),
            ("p", if view.is_paused { "go on" } else { "pause" }.to_owned()),
            ("s", format!("order: {}", view.sort.name())),
            ("Tab", "table".to_owned()),
            ("↑↓", "scroll".to_owned()),
            ("?", "help".to_owned()),
        ];
        let spans =
            keys.into_iter().flat_map(|(key, what)| [Span::styled(key, BOLD), Span::raw(format!(" {what}   "))]);
        write_line(area, buffer, spans.collect());
    }
}

impl Widget for &Screen<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        if area.width < LEAST.0 || area.height < LEAST.1 {
            let (width, height) = LEAST;
            write_text(area, buffer, &format!("too small: {width}×{height} at least"), BAD);
            return;
        }
        let places = self.places(area);
        self.draw_head(places.head, buffer);
        if let Some(view) = self.view {
            self.draw_foot(view, places.foot, buffer);
            if view.is_help_shown {
                draw_help(places.body, buffer);
                return;
            }
        }
        self.draw_pane(Pane::Operations, places.operations, buffer);
        self.draw_pane(Pane::Tenants, places.tenants, buffer);
        self.draw_pane(Pane::Violations, places.violations, buffer);
        self.draw_pane(Pane::Limits, places.limits, buffer);
        self.draw_state(places.state, buffer);
        if matches!(self.link, Link::Lost(..)) {
            buffer.set_style(places.body, DIM);
        }
    }
}

/// Tells of the keys and the columns.
fn draw_help(area: Rect, buffer: &mut Buffer) {
    for (line, row) in HELP.iter().zip(area.rows().skip(1)) {
        write_text(row, buffer, line, Style::new());
    }
}

/// The empty lines between the bands, where there is room for them.
const GAPS: usize = 2;

/// Shares a height out among bands that want so much and have at least so much: the smallest grows first.
fn shared(wanted: [usize; 3], least: [usize; 3], height: usize) -> [u16; 3] {
    let mut given = least;
    for _ in least.iter().sum()..height {
        let unmet = given.iter_mut().zip(wanted).filter(|(given, wanted)| **given < *wanted);
        let Some((smallest, _)) = unmet.min_by_key(|(given, _)| **given) else { break };
        *smallest += 1;
    }
    given.map(|rows| u16::try_from(rows).unwrap_or(u16::MAX))
}

fn split_header(area: Rect) -> Option<(Rect, Rect)> {
    (area.height > 0).then(|| {
        let [header, rows] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
        (header, rows)
    })
}

fn shown_rows(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(1))
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Warn => WARN,
        Tone::Bad => BAD,
    }
}

fn draw_table(table: &Table, offset: usize, sort: Sort, style_of_header: Style, area: Rect, buffer: &mut Buffer) {
    let Some((header, rows)) = split_header(area) else { return };
    let widths = table.columns.iter().map(|column| column.width);
    let columns = Layout::horizontal(widths).spacing(1).split(area);
    let hidden = table.rows.len().saturating_sub(shown_rows(area));
    buffer.set_style(header, style_of_header);
    for (place, (column, at)) in table.columns.iter().zip(columns.iter()).enumerate() {
        let mark = if column.sort == Some(sort) { "▾" } else { "" };
        let mut name = format!("{mark}{}", column.name);
        if place == 0 {
            name = format!("{}{mark}", column.name);
            if hidden > 0 {
                name.push_str(&format!(" +{hidden}"));
            }
        }
        write_cell(at.intersection(header), buffer, &name, column.is_figure, style_of_header);
    }
    if table.rows.is_empty() {
        write_text(Rect { height: 1, ..rows }.intersection(rows), buffer, table.empty, DIM);
    }
    for (row, line) in table.rows.iter().skip(offset).zip(rows.rows()) {
        for (cell, (column, at)) in row.cells.iter().zip(table.columns.iter().zip(columns.iter())) {
            write_cell(at.intersection(line), buffer, cell, column.is_figure, style(row.tone));
        }
    }
}

/// How a roll-out goes.
fn told_of(rollout: &Rollout) -> Vec<Span<'static>> {
    let Rollout { state, stage, stage_seconds, acks, failed, slow } = rollout;
    let style = match state {
        State::Held => WARN,
        State::RolledBack => BAD,
        State::Fresh | State::Running | State::Completed => BOLD,
    };
    let mut spans = vec![Span::raw("roll-out "), Span::styled(state.name().replace('_', " "), style)];
    if *stage > 0 {
        spans.push(Span::raw(format!(", stage {stage} for {}", age(*stage_seconds))));
    }
    spans.push(Span::raw(format!("  acks {}, failed {}, slow {}", total(*acks), total(*failed), total(*slow))));
    spans
}

/// The figures that are no table's: a name, what there is to say, and how much it asks for attention.
fn state(report: &Report) -> Vec<(&'static str, String, Tone)> {
    let is_moving = |tally: Tally| tally.rate.is_some_and(|rate| rate > 0.0);
    let tone = |warns: bool| if warns { Tone::Warn } else { Tone::Plain };
    let named = |tallies: &[(String, Tally)]| -> String {
        if tallies.is_empty() {
            return "none so far".to_owned();
        }
        let told: Vec<String> = tallies.iter().map(|(name, count)| format!("{name} {}", tally(*count))).collect();
        told.join(", ")
    };
    let any = |tallies: &[(String, Tally)]| tallies.iter().any(|(_, tally)| is_moving(*tally));

    let leases = format!("{} in flight, expired {}", total(report.leases), tally(report.leases_expired));
    let Report { deliveries, redeliveries, last_attempts, late_acks, .. } = report;
    let share = match (deliveries.rate, redeliveries.rate) {
        (Some(all), Some(again)) if all > 0.0 => format!(" ({:.0} %)", again * 100.0 / all),
        _ => String::new(),
    };
    let deliveries = format!(
        "{}/s, again {}/s{share}, last {}/s",
        rate(deliveries.rate),
        rate(redeliveries.rate),
        rate(last_attempts.rate)
    );
    let breakers: Vec<String> = report
        .breakers
        .iter()
        .map(|(cluster, breaker)| {
            let state = match breaker {
                Breaker::Closed => "closed",
                Breaker::HalfOpen => "half open",
                Breaker::Open => "OPEN",
            };
            format!("{cluster} {state}")
        })
        .collect();
    let breaker_tone = report.breakers.iter().map(|(_, breaker)| *breaker);
    let breaker_tone = match breaker_tone.max_by_key(|breaker| *breaker as u8) {
        Some(Breaker::Open) => Tone::Bad,
        Some(Breaker::HalfOpen) => Tone::Warn,
        _ => Tone::Plain,
    };
    let breakers = if breakers.is_empty() { "none".to_owned() } else { breakers.join(", ") };
    let fails = report.fleet_calls.iter().any(|(result, tally)| result != "ok" && is_moving(*tally));
    let mut evictions = named(&report.evictions);
    for (name, count) in [("contention", report.contention), ("lost writes", report.lost_writes)] {
        if count.total > 0 {
            evictions.push_str(&format!("; {name} {}", tally(count)));
        }
    }
    vec![
        ("leases", leases, tone(is_moving(report.leases_expired))),
        ("deliveries", deliveries, tone(is_moving(*redeliveries) || is_moving(*last_attempts))),
        ("late acks", tally(*late_acks), if is_moving(*late_acks) { Tone::Bad } else { Tone::Plain }),
        ("breakers", breakers, breaker_tone),
        ("fleet calls", named(&report.fleet_calls), tone(fails)),
        ("evictions", evictions, tone(any(&report.evictions) || is_moving(report.contention + report.lost_writes))),
        ("undecidable", named(&report.undecidable), tone(any(&report.undecidable))),
    ]
}

/// Writes spans in one line; what is too long for it ends with a mark.
fn write_line(area: Rect, buffer: &mut Buffer, spans: Vec<Span<'_>>) {
    let mut left = area;
    for span in spans {
        write_text(left, buffer, &span.content, span.style);
        let width = u16::try_from(span.content.width()).unwrap_or(u16::MAX).min(left.width);
        left = Rect { x: left.x + width, width: left.width - width, ..left };
    }
}

fn write_cell(area: Rect, buffer: &mut Buffer, text: &str, is_figure: bool, style: Style) {
    let width = u16::try_from(text.width()).unwrap_or(u16::MAX);
    let indent = if is_figure { area.width.saturating_sub(width) } else { 0 };
    write_text(Rect { x: area.x + indent, width: area.width - indent, ..area }, buffer, text, style);
}

/// Writes what fits of a text; what is too long ends with a mark.
fn write_text(area: Rect, buffer: &mut Buffer, text: &str, style: Style) {
    if !area.is_empty() {
        buffer.set_stringn(area.x, area.y, cut(text, area.width), usize::from(area.width), style);
    }
}

/// A text in so many columns, with … at its end where it has more.
fn cut(text: &str, width: u16) -> String {
    let width = usize::from(width);
    if text.width() <= width {
        return text.to_owned();
    }
    let mut taken = 0;
    let fits = |character: &char| {
        taken += character.width().unwrap_or(0);
        taken < width
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}
