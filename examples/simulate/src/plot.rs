//! The convergence curve as SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use verisoo::sim::Report;

/// Draws how much of what they should agree on the nodes agreed on, over simulated time, and when faults
/// ended. Without words: fonts would be needed to measure them.
pub fn draw(report: &Report, calm_at: u64, file: &Path) -> Result<(), Box<dyn Error>> {
    let end = report.samples.last().map_or(1, |sample| sample.at).max(1) as f64 / 1e6;
    let root = SVGBackend::new(file, (900, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root).margin(20).build_cartesian_2d(0.0..end, 0.0..1.02)?;
    for tenth in 0..=10 {
        let y = f64::from(tenth) / 10.0;
        chart.draw_series([PathElement::new([(0.0, y), (end, y)], BLACK.mix(0.1))])?;
    }
    let calm = calm_at as f64 / 1e6;
    chart.draw_series([PathElement::new([(calm, 0.0), (calm, 1.02)], RED.mix(0.6))])?;
    let curve = report.samples.iter().map(|sample| (sample.at as f64 / 1e6, f64::from(sample.converged) / 1e3));
    chart.draw_series(LineSeries::new(curve, BLUE.stroke_width(2)))?;
    root.present()?;
    Ok(())
}
