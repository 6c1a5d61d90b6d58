//! The plot: for each route and span, the share of requests answered within a time.

use std::path::Path;
use std::time::Duration;

use plotters::prelude::*;

use crate::figures::Report;

const COLOURS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(23, 190, 207),
    RGBColor(80, 80, 80),
];

pub fn draw(report: &Report, file: &Path) {
    let most = report.times.values().flatten().max().copied().unwrap_or(Duration::from_millis(1));
    let most = (most.as_secs_f64() * 1000.0).max(1.0) * 1.2;
    let area = SVGBackend::new(file, (900, 560)).into_drawing_area();
    area.fill(&WHITE).expect("a plot");
    let mut chart = ChartBuilder::on(&area)
        .caption(&report.title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d((0.1f64..most).log_scale(), 0f64..100f64)
        .expect("a plot");
    chart.configure_mesh().x_desc("milliseconds").y_desc("% within").draw().expect("a plot");
    for (colour, (name, times)) in COLOURS.iter().cycle().zip(&report.times) {
        let mut sorted = times.clone();
        sorted.sort_unstable();
        let n = sorted.len() as f64;
        let point =
            |(at, time): (usize, &Duration)| ((time.as_secs_f64() * 1000.0).max(0.1), 100.0 * (at + 1) as f64 / n);
        let line = LineSeries::new(sorted.iter().enumerate().map(point), colour.stroke_width(2));
        let colour = *colour;
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2));
        chart.draw_series(line).expect("a plot").label(name).legend(legend);
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::LowerRight).background_style(WHITE.mix(0.8)).border_style(BLACK);
    labels.draw().expect("a plot");
    area.present().expect("a plot");
}
