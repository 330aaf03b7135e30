//! The number of small tasks that are sent to an engine together.

use phalanx_protocol::parallel::BatchedReply;
use std::time::Duration;

/// The approximate duration of the tasks in one message to an engine: long compared with the
/// transport of a message, short compared with what users notice.
const BATCH_DURATION: Duration = Duration::from_millis(4);

/// The maximum number of tasks in one message to an engine.
const MAX_TASKS: usize = 256;

/// The factor by which a message may exceed the largest one so far, since estimates from few tasks
/// are poor.
const GROWTH: usize = 4;

/// The durations of the finished tasks of one batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BatchPace {
    /// The number of pending tasks.
    pub left: usize,
    /// The mean duration of a task; `None` before the first has ended.
    mean: Option<Duration>,
    /// The largest number of tasks that ended with one message.
    largest: usize,
}

impl BatchPace {
    /// Records that an engine has completed tasks of one message.
    pub fn ended(&mut self, tasks: &[BatchedReply]) {
        let took = tasks
            .iter()
            .filter_map(|task| (task.completed - task.started).to_std().ok());
        let took = took.fold(Duration::ZERO, Duration::saturating_add);
        let Ok(count) = u32::try_from(tasks.len().max(1)) else {
            return;
        };
        let mean = took / count;
        self.mean = Some(self.mean.map_or(mean, |before| (before + mean) / 2));
        self.largest = self.largest.max(tasks.len());
    }

    /// The number of tasks to send to an engine in one message.
    pub fn at_once(&self) -> usize {
        let Some(mean) = self.mean else { return 1 };
        let enough = BATCH_DURATION.as_nanos() / mean.as_nanos().max(1);
        let limit = MAX_TASKS.min(self.largest * GROWTH).max(1);
        usize::try_from(enough).unwrap_or(limit).clamp(1, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};
    use phalanx_protocol::id::MsgId;

    fn tasks(count: usize, micros: i64) -> Vec<BatchedReply> {
        let ended = BatchedReply {
            msg_id: MsgId::new("1"),
            started: DateTime::UNIX_EPOCH,
            completed: DateTime::UNIX_EPOCH + TimeDelta::microseconds(micros),
            output: false,
        };
        vec![ended; count]
    }

    #[test]
    fn batches_of_short_tasks_grow_and_long_tasks_are_sent_alone() {
        let mut pace = BatchPace::default();
        assert_eq!(pace.at_once(), 1);
        for (count, next) in [(1, 4), (4, 16), (16, 64), (64, 256), (256, 256)] {
            pace.ended(&tasks(count, 5));
            assert_eq!(pace.at_once(), next);
        }
        for _ in 0..3 {
            pace.ended(&tasks(1, 10_000));
        }
        assert_eq!(pace.at_once(), 1);

        let mut pace = BatchPace::default();
        pace.ended(&tasks(1, 1000));
        assert_eq!(pace.at_once(), 4);
        pace.ended(&tasks(4, 1000));
        assert_eq!(pace.at_once(), 4, "as many as are enough");
        // The clock was set back.
        pace.ended(&tasks(4, -5));
        assert!(pace.at_once() >= 4);
    }
}
