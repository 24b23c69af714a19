//! Plots of a training run and of a confusion matrix, as SVG.

use anyhow::{Context, anyhow};
use plotters::{coord::Shift, prelude::*};
use std::path::Path;

const FONT: &str = "sans-serif";

/// Plots the loss by step, and the accuracy (0 to 1) on a second axis.
///
/// # Errors
/// A file that cannot be written.
pub fn training(loss: &[(f64, f64)], accuracy: &[(f64, f64)], path: &Path) -> anyhow::Result<()> {
    draw(path, (900, 480), |area| {
        let last = loss.iter().chain(accuracy).fold(1.0f64, |m, p| m.max(p.0));
        let top = loss.iter().fold(0.1f64, |m, p| m.max(p.1));
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .right_y_label_area_size(48)
            .build_cartesian_2d(0.0..last, 0.0..top)?
            .set_secondary_coord(0.0..last, 0.0..1.0);
        chart.configure_mesh().x_desc("step").y_desc("loss").draw()?;
        chart.configure_secondary_axes().y_desc("accuracy").draw()?;
        chart.draw_series(LineSeries::new(loss.iter().copied(), &BLUE))?.label("loss").legend(legend(BLUE));
        chart
            .draw_secondary_series(LineSeries::new(accuracy.iter().copied(), RED.stroke_width(2)).point_size(3))?
            .label("accuracy")
            .legend(legend(RED));
        chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
        Ok(())
    })
}

fn legend(colour: RGBColor) -> impl Fn((i32, i32)) -> PathElement<(i32, i32)> {
    move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour)
}

/// Plots a confusion matrix: rows are expected, columns predicted classes; the darker, the larger the share of the row.
///
/// # Errors
/// A file that cannot be written.
pub fn confusion(labels: &[String], counts: &[Vec<usize>], path: &Path) -> anyhow::Result<()> {
    const CELL: i32 = 16;
    const MARGIN: i32 = 170;
    let side = (MARGIN + CELL * labels.len() as i32 + 20) as u32;
    draw(path, (side, side), |area| {
        let text = (FONT, 11).into_font().color(&BLACK);
        let rotated = text.transform(FontTransform::Rotate270);
        for (i, label) in labels.iter().enumerate() {
            let at = MARGIN + CELL * i as i32;
            area.draw(&Text::new(label.as_str(), (8, at + 2), &text))?;
            area.draw(&Text::new(label.as_str(), (at + 2, MARGIN - 6), &rotated))?;
            let all = counts[i].iter().sum::<usize>().max(1);
            for (j, count) in counts[i].iter().enumerate().filter(|(_, count)| **count > 0) {
                let left = MARGIN + CELL * j as i32;
                let share = 0.08 + 0.92 * *count as f64 / all as f64;
                let colour = if i == j { BLUE } else { RED };
                let cell = [(left, at), (left + CELL - 1, at + CELL - 1)];
                area.draw(&Rectangle::new(cell, colour.mix(share).filled()))?;
            }
        }
        let frame = [(MARGIN, MARGIN), (MARGIN + CELL * labels.len() as i32, MARGIN + CELL * labels.len() as i32)];
        area.draw(&Rectangle::new(frame, BLACK))?;
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(
    path: &Path,
    size: (u32, u32),
    content: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn std::error::Error>>,
) -> anyhow::Result<()> {
    let area = SVGBackend::new(path, size).into_drawing_area();
    area.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
    content(&area).map_err(|e| anyhow!("{e}"))?;
    area.present().with_context(|| format!("cannot write {}", path.display()))
}
