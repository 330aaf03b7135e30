//! The timer of a cell.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The start of a measurement, and the running time of the cell's own code.
#[derive(Debug, Default)]
pub struct Timer(
    /// Locked for an assignment.
    Mutex<Times>,
);

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    began: Option<(Instant, Duration)>,
    ran: Duration,
}

impl Timer {
    /// Starts a measurement, reported at the end of the cell.
    pub fn begin(&self, now: Instant) {
        let mut times = self.times();
        times.began = Some((now, times.ran));
    }

    /// Adds to the running time of the cell's code.
    pub fn add(&self, ran: Duration) {
        self.times().ran += ran;
    }

    /// Returns the running time of the cell's code so far.
    pub fn ran(&self) -> Duration {
        self.times().ran
    }

    /// Returns the report for the end of the cell, if a measurement was started.
    pub fn end(&self, now: Instant) -> Option<String> {
        let times = *self.times();
        let (began, before) = times.began?;
        let ran = times.ran.saturating_sub(before);
        Some(describe(now.duration_since(began), ran))
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Formats a wall time and the running time of code within it.
pub fn describe(wall: Duration, ran: Duration) -> String {
    format!("Wall time: {} (code ran for {})\n", human(wall), human(ran))
}

fn human(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s >= 60.0 => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_reports_the_wall_time_and_the_running_time() {
        let timer = Timer::default();
        let start = Instant::now();
        assert_eq!(timer.end(start), None);
        timer.add(Duration::from_secs(9));
        timer.begin(start);
        timer.add(Duration::from_micros(250));
        assert_eq!(
            timer.end(start + Duration::from_millis(1500)).as_deref(),
            Some("Wall time: 1.50 s (code ran for 250 µs)\n")
        );
        assert_eq!(human(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(human(Duration::from_micros(12_340)), "12.3 ms");
    }
}
