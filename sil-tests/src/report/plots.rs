//! Plots of a run, as SVG for a page.

use crate::{
    analysis::{DriveRun, Observations, is_safety_chain, mode_name},
    drive::EventKind,
};
use anyhow::Result;
use auriga_msgs::v1;
use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};

const WIDTH: u32 = 1120;
/// Width of the labels; the same in all plots, so that they share one time axis.
const LEFT: u32 = 150;
const RIGHT: u32 = 20;
const ROW: u32 = 22;

const INK: RGBColor = RGBColor(0x33, 0x3d, 0x47);
const FAINT: RGBColor = RGBColor(0xdd, 0xe3, 0xe8);
const TRUTH: RGBColor = RGBColor(0xa3, 0xb0, 0xbb);
const MEASURED: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const BAD: RGBColor = RGBColor(0xd0, 0x3b, 0x3b);
const WARNING: RGBColor = RGBColor(0xe8, 0x9c, 0x2c);
const GOOD: RGBColor = RGBColor(0x3c, 0x96, 0x62);
const NEUTRAL: RGBColor = RGBColor(0x9c, 0xbf, 0xdd);
const VIOLET: RGBColor = RGBColor(0x83, 0x62, 0xa8);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn drawn(height: u32, draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&area)?;
        area.present().map_err(broken)?;
    }
    Ok(svg)
}

fn broken<E: std::error::Error>(e: E) -> anyhow::Error {
    anyhow::anyhow!("drawing: {e}")
}

fn axes<'a, 'b>(
    area: &'a Area<'b>,
    run: &DriveRun,
    low: f64,
    high: f64,
    what: &str,
    times: bool,
) -> Result<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .margin_right(RIGHT)
        .margin_top(8)
        .set_label_area_size(LabelAreaPosition::Left, LEFT)
        .set_label_area_size(LabelAreaPosition::Bottom, if times { 24 } else { 4 })
        .build_cartesian_2d(run.from_s..run.to_s, low..high)
        .map_err(broken)?;
    let seconds = |t: &f64| if times { format!("{t:.0} s") } else { String::new() };
    chart
        .configure_mesh()
        .x_labels(13)
        .y_labels(5)
        .x_label_formatter(&seconds)
        .y_desc(what)
        .axis_style(FAINT)
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 13, &INK))
        .axis_desc_style(("sans-serif", 13, &INK))
        .draw()
        .map_err(broken)?;
    Ok(chart)
}

/// Points as lines that break where there is a gap of more than `gap_s`.
fn lines(points: impl Iterator<Item = (f64, f64)>, run: &DriveRun, gap_s: f64) -> Vec<Vec<(f64, f64)>> {
    let mut all: Vec<Vec<(f64, f64)>> = Vec::new();
    for (t, y) in points.filter(|(t, y)| (run.from_s..=run.to_s).contains(t) && y.is_finite()) {
        match all.last_mut().filter(|l| l.last().is_some_and(|last| t - last.0 <= gap_s)) {
            Some(line) => line.push((t, y)),
            None => all.push(vec![(t, y)]),
        }
    }
    all
}

/// Draws a measured series over the ground truth.
fn compared(chart: &mut Chart<'_, '_>, truth: Vec<Vec<(f64, f64)>>, measured: Vec<Vec<(f64, f64)>>) -> Result<()> {
    for line in truth {
        chart.draw_series(LineSeries::new(line, TRUTH.stroke_width(6))).map_err(broken)?;
    }
    for line in measured {
        chart.draw_series(LineSeries::new(line, MEASURED.stroke_width(2))).map_err(broken)?;
    }
    Ok(())
}

/// Speed over time.
pub fn speed(run: &DriveRun) -> Result<String> {
    let fastest = run.observed.speed.iter().map(|s| s.1).chain(run.truth.iter().map(|t| t.speed_mps));
    let top = (fastest.filter(|v| v.is_finite() && *v < 100.0).fold(5.0, f64::max) * 1.15).ceil();
    drawn(130, |area| {
        let mut chart = axes(area, run, 0.0, top, "speed, m/s", false)?;
        let truth = lines(run.truth.iter().map(|t| (t.t_s, t.speed_mps)), run, 0.5);
        compared(&mut chart, truth, lines(run.observed.speed.iter().copied(), run, 0.3))
    })
}

/// The time to collision beyond which nothing is drawn.
const FAR_TTC_S: f64 = 8.0;

/// Time to collision over time.
pub fn time_to_collision(run: &DriveRun) -> Result<String> {
    let near = |t_s: f64, ttc: Option<f64>| ttc.filter(|s| *s < FAR_TTC_S).map(|s| (t_s, s));
    drawn(130, |area| {
        let mut chart = axes(area, run, 0.0, FAR_TTC_S, "time to collision, s", false)?;
        let truth = lines(run.truth.iter().filter_map(|t| near(t.t_s, t.time_to_collision_s)), run, 0.2);
        let measured = lines(run.observed.leads.iter().filter_map(|l| near(l.t_s, l.time_to_collision_s)), run, 0.2);
        compared(&mut chart, truth, measured)
    })
}

/// The lane's offset over time.
pub fn lane_offset(run: &DriveRun) -> Result<String> {
    drawn(150, |area| {
        let mut chart = axes(area, run, -2.0, 2.0, "left of lane centre, m", true)?;
        let truth = lines(run.truth.iter().map(|t| (t.t_s, t.lane_offset_m)), run, 0.2);
        let measured = run.observed.lanes.iter().filter_map(|l| Some((l.t_s, l.offset_m?)));
        compared(&mut chart, split_at_jumps(truth), split_at_jumps(lines(measured, run, 0.2)))
    })
}

/// At a change of lanes the offset jumps by the lane width: no line is drawn there.
fn split_at_jumps(lines: Vec<Vec<(f64, f64)>>) -> Vec<Vec<(f64, f64)>> {
    lines.iter().flat_map(|l| l.chunk_by(|a, b| (a.1 - b.1).abs() < 1.0).map(<[_]>::to_vec)).collect()
}

/// How labels of rows of the ground truth begin; these rows come first.
const TRUTH_ROW: &str = "truth: ";

/// A bar in a row: from, to, colour, text.
struct Bar(f64, f64, RGBColor, String);

struct Row {
    label: String,
    bars: Vec<Bar>,
}

/// The timeline, row by row: ground truth, hazards, mode, grants, speech, faults.
pub fn rows(run: &DriveRun) -> Result<String> {
    let rows = all_rows(run);
    let height = rows.len() as u32 * ROW + 34;
    drawn(height, |area| {
        let count = rows.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .margin_right(RIGHT)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, 24)
            .build_cartesian_2d(run.from_s..run.to_s, 0.0..count)
            .map_err(broken)?;
        let style = ("sans-serif", 13).into_font().color(&INK);
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(13)
            .x_label_formatter(&|t| format!("{t:.0} s"))
            .axis_style(FAINT)
            .bold_line_style(FAINT)
            .light_line_style(TRANSPARENT)
            .label_style(style.clone())
            .draw()
            .map_err(broken)?;
        for (i, row) in rows.iter().enumerate() {
            let top = count - i as f64;
            let y = (8 + i as u32 * ROW) as i32;
            area.draw(&Text::new(row.label.clone(), (4, y - 2), style.clone())).map_err(broken)?;
            for bar in &row.bars {
                draw_bar(&mut chart, run, bar, top)?;
            }
        }
        // What the nodes did there is not known; the truth is.
        let known = rows.iter().take_while(|row| row.label.starts_with(TRUTH_ROW)).count() as f64;
        for (from, to) in run.unrecorded() {
            let hidden = Rectangle::new([(from, 0.0), (to, count - known)], FAINT.filled());
            chart.draw_series([hidden]).map_err(broken)?;
            let text = Text::new("not recorded", (from + 4.0 / second_px(run), count - known - 0.25), style.clone());
            chart.draw_series([text]).map_err(broken)?;
        }
        Ok(())
    })
}

/// About the width of a letter in a bar.
const LETTER_PX: f64 = 5.6;

/// Pixels of a second.
fn second_px(run: &DriveRun) -> f64 {
    f64::from(WIDTH - LEFT - RIGHT) / (run.to_s - run.from_s)
}

fn draw_bar(chart: &mut Chart<'_, '_>, run: &DriveRun, Bar(from, to, colour, text): &Bar, top: f64) -> Result<()> {
    let (from, to) = (from.max(run.from_s), to.min(run.to_s));
    if to < from {
        return Ok(());
    }
    let second_px = second_px(run);
    // A short bar stays visible.
    let shown = to.max(from + 3.0 / second_px);
    let bar = Rectangle::new([(from, top - 0.12), (shown, top - 0.88)], colour.filled());
    chart.draw_series([bar]).map_err(broken)?;
    // A text that does not fit is left out.
    let fits = ((shown - from) * second_px / LETTER_PX) as usize;
    if text.chars().count() <= fits.saturating_sub(1) && !text.is_empty() {
        let style = ("sans-serif", 11).into_font().color(&WHITE);
        let at = (from + 4.0 / second_px, top - 0.25);
        chart.draw_series([Text::new(text.clone(), at, style)]).map_err(broken)?;
    }
    Ok(())
}

fn all_rows(run: &DriveRun) -> Vec<Row> {
    let observed = &run.observed;
    let mut rows = Vec::new();
    let mut add = |label: String, bars: Vec<Bar>| rows.push(Row { label, bars });
    for kind in EventKind::ALL {
        let bars: Vec<Bar> = run
            .events_played()
            .filter(|e| e.kind == kind)
            .map(|e| Bar(e.start_s, e.end_s, TRUTH, String::new()))
            .collect();
        if !bars.is_empty() {
            add(format!("{TRUTH_ROW}{}", kind.name()), bars);
        }
    }
    let mut kinds: Vec<v1::HazardKind> = run.hazards().map(|h| h.kind).collect();
    kinds.sort();
    kinds.dedup();
    for kind in kinds {
        let of_kind = run.hazards().filter(|h| h.kind == kind);
        let bars = of_kind.map(|h| {
            let colour = if h.severity == v1::Severity::Critical { BAD } else { WARNING };
            Bar(h.published_s, h.ended_s.unwrap_or(run.to_s), colour, format!("{:.2} s", h.published_s))
        });
        add(format!("hazard: {}", kind.name()), bars.collect());
    }
    if !observed.plans.is_empty() {
        let modes = observed.modes(run.to_s).into_iter();
        add("mode".into(), modes.map(|(a, b, m)| Bar(a, b, mode_colour(m), mode_name(m).into())).collect());
    }
    for workload in observed.workloads() {
        let spans = observed.grants(&workload, run.to_s);
        // Grants that never change are left out.
        if spans.len() < 2 {
            continue;
        }
        let spans = spans.into_iter();
        let bars = spans.map(|(a, b, level, run)| match run {
            true => Bar(a, b, level_colour(level), format!("level {level}")),
            false => Bar(a, b, BAD, "off".into()),
        });
        add(workload.clone(), bars.collect());
    }
    add_cabin(run, &mut add);
    let faults = observed.faults.iter().filter(|f| f.t_s <= run.to_s).map(|f| {
        let colour = if f.severity == v1::Severity::Critical { BAD } else { WARNING };
        Bar(f.t_s, f.t_s, colour, String::new())
    });
    let faults: Vec<Bar> = faults.collect();
    if !faults.is_empty() {
        add("faults".into(), faults);
    }
    if !observed.restarts.is_empty() {
        let bars = observed.restarts.iter().map(|r| Bar(r.t_s, r.t_s + 1.5, VIOLET, r.node.clone()));
        add("restarts".into(), bars.collect());
    }
    rows
}

fn add_cabin(run: &DriveRun, add: &mut impl FnMut(String, Vec<Bar>)) {
    let observed = &run.observed;
    if observed.utterances.is_empty() {
        return;
    }
    let speech = observed.utterances.iter().map(|u| Bar(u.start_s, u.end_s, VIOLET, u.text.clone()));
    add(if observed.transcript_track() { "speech (track)" } else { "speech (recognised)" }.into(), speech.collect());
    // At the time of the intent, as wide as its name.
    let intents = observed.intents.iter().map(|i| {
        let long_s = (i.name.chars().count() + 2) as f64 * LETTER_PX / second_px(run);
        Bar(i.published_s, i.published_s + long_s, GOOD, i.name.clone())
    });
    add("intent".into(), intents.collect());
    let replied = observed.replies.iter().flat_map(|t| {
        let pieces = t.pieces_s.chunk_by(|a, b| b - a < 0.5);
        pieces.map(|p| Bar(p[0], p[p.len() - 1], MEASURED, String::new()))
    });
    add("reply".into(), replied.collect());
}

fn mode_colour(mode: v1::Mode) -> RGBColor {
    match mode {
        v1::Mode::Hazard => BAD,
        v1::Mode::Limp | v1::Mode::Thermal => VIOLET,
        v1::Mode::Demanding => WARNING,
        v1::Mode::Nominal => GOOD,
        v1::Mode::Parked | v1::Mode::Unspecified => NEUTRAL,
    }
}

fn level_colour(level: u32) -> RGBColor {
    match level {
        0 => NEUTRAL,
        1 => RGBColor(0x5f, 0x9b, 0xcb),
        _ => MEASURED,
    }
}

/// Latencies of the exercised chains and their budgets: bars to the median, the 99.9th percentile and the maximum, on a
/// logarithmic scale.
pub fn chains(observed: &Observations) -> Result<String> {
    let stats: Vec<v1::ChainStats> = observed.chains().into_iter().filter(|s| s.count > 0).collect();
    let (low, high) = (0.01f64, 10_000.0f64);
    drawn(stats.len() as u32 * 34 + 40, |area| {
        let count = stats.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .margin_right(RIGHT)
            .margin_top(6)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, 24)
            .build_cartesian_2d(low.log10()..high.log10(), 0.0..count)
            .map_err(broken)?;
        let style = ("sans-serif", 13).into_font().color(&INK);
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(7)
            .x_label_formatter(&|d| format!("{} ms", 10f64.powf(*d)))
            .axis_style(FAINT)
            .bold_line_style(FAINT)
            .light_line_style(TRANSPARENT)
            .label_style(style.clone())
            .draw()
            .map_err(broken)?;
        let place = |ms: f64| ms.clamp(low, high).log10();
        for (i, s) in stats.iter().enumerate() {
            let top = count - i as f64;
            let met = s.p999_ms <= s.budget_ms;
            let colour = if met { GOOD } else { BAD };
            let bar = |ms: f64, half: f64, style: ShapeStyle| {
                Rectangle::new([(low.log10(), top - 0.5 + half), (place(ms), top - 0.5 - half)], style)
            };
            let bars = [
                bar(s.max_ms, 0.07, colour.mix(0.45).filled()),
                bar(s.p999_ms, 0.16, colour.mix(0.7).filled()),
                bar(s.p50_ms, 0.25, colour.filled()),
            ];
            chart.draw_series(bars).map_err(broken)?;
            let budget = vec![(place(s.budget_ms), top - 0.08), (place(s.budget_ms), top - 0.92)];
            chart.draw_series(LineSeries::new(budget, INK.stroke_width(2))).map_err(broken)?;
            let label = if is_safety_chain(&s.chain) { s.chain.clone() } else { format!("{} *", s.chain) };
            area.draw(&Text::new(label, (4, 17 + i as i32 * 34), style.clone())).map_err(broken)?;
        }
        Ok(())
    })
}
