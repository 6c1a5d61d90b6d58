//! The plot: what the server held after each round, as shares of what it held after the warm-up.

use std::path::Path;

use plotters::prelude::*;

use crate::support::soak::{NAMES, Sample};

const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
    RGBColor(148, 103, 189),
    RGBColor(80, 80, 80),
];

pub fn draw(title: &str, samples: &[Sample], file: &Path) {
    let jobs = samples.last().map_or(1, |sample| sample.jobs) as f64;
    let share = |sample: &Sample, which: usize| {
        100.0 * sample.values[which] as f64 / (samples[0].values[which] as f64).max(1.0)
    };
    let most =
        samples.iter().flat_map(|sample| (0..NAMES.len()).map(|which| share(sample, which))).fold(120.0, f64::max);
    let area = SVGBackend::new(file, (900, 560)).into_drawing_area();
    area.fill(&WHITE).expect("a plot");
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0f64..jobs, 0f64..most * 1.1)
        .expect("a plot");
    chart.configure_mesh().x_desc("jobs").y_desc("% of what was held after the warm-up").draw().expect("a plot");
    for (which, (name, colour)) in NAMES.iter().zip(COLOURS).enumerate() {
        let points = samples.iter().map(|sample| (sample.jobs as f64, share(sample, which)));
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2));
        let line = LineSeries::new(points, colour.stroke_width(2));
        chart.draw_series(line).expect("a plot").label(*name).legend(legend);
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::LowerRight).background_style(WHITE.mix(0.8)).border_style(BLACK);
    labels.draw().expect("a plot");
    area.present().expect("a plot");
}
