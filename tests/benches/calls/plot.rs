//! The plot beside the table.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use crate::in_flight::InFlight;
use crate::scale::Cost;
use crate::table::Ratio;

const SIZE: (u32, u32) = (960, 300);
const TEXT: (&str, i32) = ("sans-serif", 13);
const TITLE: (&str, i32) = ("sans-serif", 15);
const OURS: RGBColor = RGBColor(31, 111, 120);
const PACED: RGBColor = RGBColor(150, 196, 190);

/// A call beside the floor's, its cost with many components, and the memory of many calls.
pub(crate) fn draw(
    file: &Path,
    ratios: &[Ratio],
    costs: &[Cost],
    peaks: &[InFlight],
) -> Result<()> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let panels = area.split_evenly((1, 3));
    beside_the_floor(&panels[0], ratios)?;
    let costs: Vec<_> = costs.iter().map(cost).collect();
    growth(
        &panels[1],
        "p50 of a call, µs, by components served",
        &costs,
    )?;
    let peaks: Vec<_> = peaks
        .iter()
        .map(|peak| (peak.calls, peak.peak_mib))
        .collect();
    growth(&panels[2], "Peak memory, MiB, by calls in flight", &peaks)?;
    area.present()?;
    Ok(())
}

type Panel<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn beside_the_floor(panel: &Panel<'_>, ratios: &[Ratio]) -> Result<()> {
    let highest = ratios
        .iter()
        .flat_map(|ratio| [ratio.at_once, ratio.paced])
        .fold(1.0, f64::max);
    let end = 3.0 * f64::from(u32::try_from(ratios.len())?);
    let mut chart = ChartBuilder::on(panel)
        .caption("p50 of a call, the floor being 1", TITLE)
        .margin(12)
        .x_label_area_size(20)
        .y_label_area_size(36)
        .build_cartesian_2d(0.0..end, 0.0..highest * 1.2)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_labels(5)
        .label_style(TEXT)
        .draw()?;
    for (place, ratio) in (0..).map(|place| 3.0 * f64::from(place)).zip(ratios) {
        for (left, height, colour) in [(0.4, ratio.at_once, OURS), (1.4, ratio.paced, PACED)] {
            let corners = [(place + left, 0.0), (place + left + 0.9, height)];
            chart.draw_series([Rectangle::new(corners, colour.filled())])?;
        }
        let name = Text::new(ratio.guest.to_string(), (place + 0.4, highest * 1.12), TEXT);
        chart.draw_series([name])?;
    }
    chart.draw_series([PathElement::new([(0.0, 1.0), (end, 1.0)], BLACK)])?;
    let legend = Text::new(
        "dark: one after the other, light: after a pause",
        (5, 278),
        TEXT,
    );
    panel.draw(&legend)?;
    Ok(())
}

fn growth(panel: &Panel<'_>, title: &str, points: &[(u32, f64)]) -> Result<()> {
    let last = points.iter().map(|(number, _)| *number).max().unwrap_or(1);
    let highest = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption(title, TITLE)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(24)
        .y_label_area_size(44)
        .build_cartesian_2d((1..last).log_scale(), 0.0..highest * 1.2)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(5)
        .y_labels(5)
        .label_style(TEXT)
        .draw()?;
    chart.draw_series(LineSeries::new(
        points.iter().copied(),
        OURS.stroke_width(2),
    ))?;
    let dots = points
        .iter()
        .map(|point| Circle::new(*point, 3, OURS.filled()));
    chart.draw_series(dots)?;
    Ok(())
}

fn cost(cost: &Cost) -> (u32, f64) {
    let components = u32::try_from(cost.components).unwrap_or(u32::MAX);
    (components, cost.one.as_secs_f64() * 1e6)
}
