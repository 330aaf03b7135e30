//! The value of a called function and its end, which come on different ways.

use super::actor::Actor;
use super::{FunctionCall, RuntimeEvent};
use bytes::Bytes;
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::{Outcome, RuntimeRequest};
use phalanx_protocol::segment::SegmentRef;
use phalanx_sys::segment;

/// The call that is under way, if any.
#[derive(Debug, Default)]
pub(super) struct Calls {
    current: Option<Call>,
}

#[derive(Debug)]
struct Call {
    run: RunId,
    /// The value comes next on the control socket.
    announced: bool,
    returned: bool,
    /// Whether it leaves something behind in the namespace.
    changed: bool,
    /// Its end, which came before its value.
    ended: Option<Outcome>,
}

/// The end of a run.
#[derive(Debug, PartialEq)]
pub(super) struct End {
    pub run: RunId,
    pub outcome: Outcome,
    /// Whether the runtime is another one than before: a snapshot from before it is out of date.
    pub stands: bool,
}

impl Calls {
    /// A function is called.
    pub fn begin(&mut self, run: RunId) {
        self.current = Some(Call {
            run,
            announced: false,
            returned: false,
            changed: false,
            ended: None,
        });
    }

    /// Whether a run is the call that is under way.
    pub fn is(&self, run: RunId) -> bool {
        self.current.as_ref().is_some_and(|call| call.run == run)
    }

    /// The function did not run: its end is all that comes.
    pub fn not_begun(&mut self) {
        if let Some(call) = &mut self.current {
            call.returned = true;
        }
    }

    /// The value comes next on the control socket.
    pub fn announce(&mut self, run: RunId, changed: bool) {
        if let Some(call) = self.current.as_mut().filter(|call| call.run == run) {
            call.announced = true;
            call.changed = changed;
        }
    }

    /// The run whose value comes next on the control socket.
    pub fn announced(&self) -> Option<RunId> {
        let call = self.current.as_ref()?;
        (call.announced && !call.returned).then_some(call.run)
    }

    /// The value is here; the end that waited for it.
    pub fn returned(&mut self) -> Option<End> {
        let call = self.current.as_mut()?;
        call.returned = true;
        let outcome = call.ended.take()?;
        self.end(outcome)
    }

    /// The end of any run; that of a call whose value is not here is held back.
    pub fn ended(&mut self, run: RunId, outcome: Outcome) -> Option<End> {
        let gone = matches!(outcome, Outcome::Abandoned { .. } | Outcome::Died { .. });
        match &mut self.current {
            Some(call) if call.run == run && (call.returned || gone) => self.end(outcome),
            Some(call) if call.run == run => {
                call.ended = Some(outcome);
                None
            }
            _ => Some(End {
                run,
                stands: !matches!(outcome, Outcome::Abandoned { .. }),
                outcome,
            }),
        }
    }

    /// The process is gone: the run whose end waits for a value that will not come.
    pub fn cut_off(&mut self) -> Option<RunId> {
        let call = self.current.take_if(|call| call.ended.is_some())?;
        Some(call.run)
    }

    fn end(&mut self, outcome: Outcome) -> Option<End> {
        let call = self.current.take()?;
        Some(End {
            run: call.run,
            stands: call.changed && !matches!(outcome, Outcome::Abandoned { .. }),
            outcome,
        })
    }
}

impl Actor {
    /// Calls a function; its arguments are sent while other things happen.
    pub(super) fn call(&mut self, run: RunId, call: FunctionCall) {
        self.capture.start(run, false, Vec::new());
        self.function.begin(run);
        self.begin();
        let request = RuntimeRequest::Call {
            run,
            artifact: call.artifact,
            offset: call.offset,
        };
        if let Err(error) = self.process.control.send_with(&request, call.args) {
            self.function.not_begun();
            self.capture.fail(run, &format!("the arguments: {error}"));
        }
    }

    pub(super) fn returned(&mut self, run: RunId, value: Vec<u8>) {
        let value = self.taken(value.into());
        self.backlog.push_back(RuntimeEvent::Value { run, value });
        if let Some(end) = self.function.returned() {
            self.ended(end);
        }
    }

    /// A value that is large is taken over; the runtime need not keep it any more then.
    fn taken(&mut self, value: Bytes) -> Bytes {
        if SegmentRef::from_bytes(&value).is_none() {
            return value;
        }
        let taken = segment::hold(vec![value]).map(|mut all| all.pop());
        let value = taken.unwrap_or_else(|error| {
            tracing::warn!(%error, "what a function gave back is gone");
            None
        });
        self.process.control.queue(&RuntimeRequest::Taken);
        // Where it is gone, the caller is told that nothing came.
        value.unwrap_or_default()
    }

    /// Hears what a process that is gone has said to its last.
    pub(super) fn hear_out(&mut self) {
        // Its snapshot has the connection too, so there is no end of it.
        self.process.control.read_all();
        self.hear_rest();
    }

    /// Hears what has come with the last message.
    pub(super) fn hear_rest(&mut self) {
        loop {
            if let Some(run) = self.function.announced() {
                let Ok(Some(value)) = self.process.control.take_raw() else {
                    return;
                };
                self.returned(run, value);
            }
            let Ok(Some(reply)) = self.process.control.take() else {
                return;
            };
            self.reply(reply);
        }
    }

    /// No value comes any more for an end that waits for it.
    pub(super) fn cut_off(&mut self, outcome: Outcome) {
        if let Some(run) = self.function.cut_off() {
            self.backlog.push_back(RuntimeEvent::Ended { run, outcome });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId(7);

    fn end(stands: bool, outcome: Outcome) -> Option<End> {
        Some(End {
            run: RUN,
            outcome,
            stands,
        })
    }

    fn abandoned() -> Outcome {
        Outcome::Abandoned {
            status: "signal 9".to_owned(),
        }
    }

    #[test]
    fn value_and_end_come_in_any_order() {
        for changed in [false, true] {
            let mut calls = Calls::default();
            calls.begin(RUN);
            assert_eq!(calls.announced(), None);
            calls.announce(RUN, changed);
            assert_eq!(calls.announced(), Some(RUN));
            assert_eq!(calls.returned(), None);
            assert_eq!(calls.announced(), None);
            let ended = calls.ended(RUN, Outcome::Completed);
            assert_eq!(ended, end(changed, Outcome::Completed));

            calls.begin(RUN);
            assert_eq!(calls.ended(RUN, Outcome::Completed), None);
            calls.announce(RUN, changed);
            assert_eq!(calls.returned(), end(changed, Outcome::Completed));
            assert_eq!(calls.cut_off(), None);
        }
    }

    #[test]
    fn a_call_whose_process_is_gone_does_not_wait_for_a_value() {
        let mut calls = Calls::default();
        calls.begin(RUN);
        calls.announce(RUN, true);
        assert_eq!(calls.ended(RUN, abandoned()), end(false, abandoned()));
        assert_eq!(calls.announced(), None);

        calls.begin(RUN);
        assert_eq!(calls.ended(RUN, Outcome::Completed), None);
        assert_eq!(calls.cut_off(), Some(RUN));
        assert_eq!(calls.cut_off(), None);
    }

    #[test]
    fn cells_end_at_once_and_leave_their_effects() {
        let mut calls = Calls::default();
        let ended = calls.ended(RUN, Outcome::Completed);
        assert_eq!(ended, end(true, Outcome::Completed));
        assert_eq!(calls.ended(RUN, abandoned()), end(false, abandoned()));
    }

    #[test]
    fn a_function_that_was_not_found_has_no_value_to_wait_for() {
        let mut calls = Calls::default();
        calls.begin(RUN);
        calls.not_begun();
        let lost = Outcome::Errored {
            message: "no such file".to_owned(),
            failure: None,
        };
        assert_eq!(calls.ended(RUN, lost.clone()), end(false, lost));
    }
}
