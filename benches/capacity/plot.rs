//! The plot: what many workers bring, and what many that wait cost.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

const BLUE: RGBColor = RGBColor(31, 119, 180);
const RED: RGBColor = RGBColor(214, 39, 40);

/// A line: its name, its colour, and its points, those of `down` over those of `across`.
type Line = (&'static str, RGBColor, Vec<(f64, f64)>);

/// Draws what there is of the two.
pub fn draw(workers: Option<&Value>, waiting: Option<&Value>, file: &Path) {
    let area = SVGBackend::new(file, (960, 420)).into_drawing_area();
    area.fill(&WHITE).expect("a plot");
    let [left, right] = &area.split_evenly((1, 2))[..] else { unreachable!("two halves") };
    if let Some(rows) = workers {
        let rates = points(rows, "workers", "per_second");
        chart(left, "Python hellos per second", "workers", &[("per second", BLUE, rates)]);
    }
    if let Some(rows) = waiting {
        let submit = points(rows, "waiting", "submit_ms");
        let status = points(rows, "waiting", "status_ms");
        chart(
            right,
            "what one request takes",
            "waiting, in powers of ten",
            &[("submit, ms", BLUE, logarithms(submit)), ("status, ms", RED, logarithms(status))],
        );
    }
    area.present().expect("a plot");
}

fn points(rows: &Value, across: &str, down: &str) -> Vec<(f64, f64)> {
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap_or_default();
    rows.as_array().into_iter().flatten().map(|row| (number(row, across), number(row, down))).collect()
}

fn logarithms(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.into_iter().map(|(x, y)| (x.log10(), y)).collect()
}

fn chart(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, across: &str, lines: &[Line]) {
    let all = || lines.iter().flat_map(|(_, _, points)| points);
    let widest = all().map(|point| point.0).fold(0.0, f64::max);
    let highest = all().map(|point| point.1).fold(0.0, f64::max) * 1.2;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0f64..widest, 0f64..highest)
        .expect("a plot");
    chart.configure_mesh().x_desc(across).draw().expect("a plot");
    for (name, colour, points) in lines {
        let legend = |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2));
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3);
        chart.draw_series(line).expect("a plot").label(*name).legend(legend);
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::LowerRight).background_style(WHITE.mix(0.8)).border_style(BLACK);
    labels.draw().expect("a plot");
}
