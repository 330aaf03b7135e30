//! Measurement of the execution time of code, by repeated runs of a loop.

use std::fmt;
use std::time::Duration;

/// The default number of runs, without `-r`.
const RUNS: usize = 20;

/// The minimum duration of a run, so that the overhead of the clock is negligible.
const LEAST_RUN: Duration = Duration::from_millis(25);

/// The distance from the quartiles, in interquartile ranges, beyond which a run is an outlier
/// (Tukey's fences).
const FENCE: f64 = 1.5;

/// Measures `run`, whose argument is the number of loops.
pub(crate) fn measure(
    loops: Option<u64>,
    runs: Option<usize>,
    run: &mut dyn FnMut(u64) -> Duration,
) -> Measurement {
    let loops = loops.unwrap_or_else(|| calibrated(run));
    let runs = runs.unwrap_or(RUNS).max(1);
    let per_loop = |time: Duration| time.as_secs_f64() / loops.max(1) as f64;
    let times = (0..runs).map(|_| per_loop(run(loops))).collect();
    Measurement::new(loops, times)
}

/// Determines the number of loops for a run of sufficient duration: 1, 2 or 5 times a power of ten.
/// The trial runs also warm up the code.
fn calibrated(run: &mut dyn FnMut(u64) -> Duration) -> u64 {
    let mut power: u64 = 1;
    loop {
        for loops in [1, 2, 5].map(|factor| power.saturating_mul(factor)) {
            if run(loops) >= LEAST_RUN || loops == u64::MAX {
                return loops;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// The durations of several runs.
#[derive(Debug, PartialEq)]
pub(crate) struct Measurement {
    loops: u64,
    runs: usize,
    /// The median time of one loop, in seconds.
    median: f64,
    /// The quartiles, in seconds.
    lower: f64,
    upper: f64,
    outliers: usize,
}

impl Measurement {
    fn new(loops: u64, mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let (lower, median, upper) = (
            quantile(&seconds, 0.25),
            quantile(&seconds, 0.5),
            quantile(&seconds, 0.75),
        );
        let reach = FENCE * (upper - lower);
        let is_outlier = |time: &&f64| **time < lower - reach || **time > upper + reach;
        Self {
            loops,
            runs: seconds.len(),
            median,
            lower,
            upper,
            outliers: seconds.iter().filter(is_outlier).count(),
        }
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            loops,
            runs,
            median,
            lower,
            upper,
            outliers,
        } = self;
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        write!(
            f,
            "{} per loop: median of {runs} run{}, {loops} loop{} each; half of them within {} … {}",
            time(*median),
            plural(*runs as u64),
            plural(*loops),
            time(*lower),
            time(*upper),
        )?;
        match outliers {
            0 => Ok(()),
            1 => f.write_str("; 1 outlier"),
            count => write!(f, "; {count} outliers"),
        }
    }
}

/// Returns a quantile of sorted values, interpolated between the two nearest.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let position = part * sorted.len().saturating_sub(1) as f64;
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    let (low, high) = (at(position.floor() as usize), at(position.ceil() as usize));
    low + (high - low) * position.fract()
}

/// Formats a duration with three significant digits.
fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "µs"),
        s => (s * 1e9, "ns"),
    };
    match value {
        v if v >= 100.0 => format!("{v:.0} {unit}"),
        v if v >= 10.0 => format!("{v:.1} {unit}"),
        v => format!("{v:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurement_shows_median_spread_and_outliers() {
        let seconds = vec![10e-6, 11e-6, 12e-6, 13e-6, 90e-6];
        let text = Measurement::new(1000, seconds).to_string();
        assert_eq!(
            text,
            "12.0 µs per loop: median of 5 runs, 1000 loops each; half of them within 11.0 µs … 13.0 µs; 1 outlier"
        );
        let one = Measurement::new(1, vec![2.0]).to_string();
        assert_eq!(
            one,
            "2.00 s per loop: median of 1 run, 1 loop each; half of them within 2.00 s … 2.00 s"
        );
    }

    #[test]
    fn loops_are_added_until_a_run_is_long_enough() {
        let mut runs = Vec::new();
        let measured = measure(None, Some(2), &mut |loops| {
            runs.push(loops);
            Duration::from_millis(2) * u32::try_from(loops).unwrap()
        });
        assert_eq!(runs, [1, 2, 5, 10, 20, 20, 20]);
        assert_eq!((measured.loops, measured.runs), (20, 2));
        assert_eq!(time(0.000_000_000_5), "0.50 ns");
    }
}
