//! The plan of a `%px`: its options, combined with the defaults and the connected engines.

use super::{MagicError, MagicProblem, PxOptions, Targets};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::GroupBy;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::Signal;
use std::time::Duration;

/// The blocking mode of a `%px`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// Waits until all engines are done.
    Wait,
    /// Returns an AsyncResult at once.
    Return,
}

/// The display mode of the engines' outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// Shown as they arrive.
    AsTheyArrive,
    /// Grouped, and shown at the end.
    AtTheEnd,
}

/// The default options, changed by `%pxconfig`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as in `PxOptions`")]
pub struct PxDefaults {
    pub targets: Targets,
    pub blocking: Blocking,
    pub streaming: Streaming,
    /// Seconds; negative for never.
    pub progress_after: f64,
    pub signal: Signal,
    pub verbose: bool,
}

impl Default for PxDefaults {
    fn default() -> Self {
        Self {
            targets: Targets::All,
            blocking: Blocking::Wait,
            streaming: Streaming::AsTheyArrive,
            progress_after: 2.0,
            signal: Signal::Number(Signal::INTERRUPT),
            verbose: false,
        }
    }
}

impl PxDefaults {
    /// Sets the options given to `%pxconfig`.
    pub fn set(&mut self, options: PxOptions) {
        if let Some((targets, _)) = options.targets {
            self.targets = targets;
        }
        self.blocking = options.blocking.unwrap_or(self.blocking);
        self.streaming = options.streaming.unwrap_or(self.streaming);
        self.progress_after = options.progress_after.unwrap_or(self.progress_after);
        self.signal = options.signal.unwrap_or_else(|| self.signal.clone());
        self.verbose = options.verbose.unwrap_or(self.verbose);
    }
}

/// An executable `%px`.
#[derive(Clone, Debug, PartialEq)]
pub struct PxPlan {
    /// The engines, in the order of results.
    pub targets: Vec<EngineId>,
    /// The targets as typed, for messages.
    pub named: Targets,
    /// The blocking mode.
    pub blocking: Blocking,
    /// The display mode.
    pub streaming: Streaming,
    /// The grouping of outputs shown at the end.
    pub group_by: GroupBy,
    /// The local variable that receives the AsyncResult.
    pub out: Option<String>,
    /// True if the cell runs locally as well.
    pub local: bool,
    /// The time after which a progress bar is shown; `None` for never.
    pub progress_after: Option<Duration>,
    /// The signal sent to the engines if the cell is interrupted.
    pub signal: Signal,
    /// True if the names of the engines are printed.
    pub verbose: bool,
}

impl PxPlan {
    /// Combines typed options with the defaults and the connected engines.
    ///
    /// # Errors
    /// Returns [`Failure::NoEngines`], or [`Failure::Usage`] for engines that do not exist.
    pub fn new(
        options: PxOptions,
        defaults: &PxDefaults,
        live: &[EngineId],
    ) -> Result<Self, PlanError> {
        if live.is_empty() {
            return Err(PlanError::NoEngines);
        }
        let (named, span) = match options.targets {
            Some((targets, span)) => (targets, span),
            None => (defaults.targets.clone(), 0..0),
        };
        let targets = named.resolve(live).map_err(|error| {
            let problem = MagicProblem::Targets {
                error,
                live: live.to_vec(),
                foreign: 0,
                silent: Vec::new(),
            };
            MagicError::new(span, problem)
        })?;
        let blocking = options.blocking.unwrap_or(defaults.blocking);
        let streaming = if options.local {
            Streaming::AtTheEnd
        } else {
            options.streaming.unwrap_or(defaults.streaming)
        };
        let progress = options.progress_after.unwrap_or(defaults.progress_after);
        Ok(Self {
            targets,
            named,
            blocking,
            streaming,
            group_by: options.group_by.unwrap_or_default(),
            out: options.out,
            local: options.local,
            progress_after: Duration::try_from_secs_f64(progress).ok(),
            signal: options.signal.unwrap_or_else(|| defaults.signal.clone()),
            verbose: options.verbose.unwrap_or(defaults.verbose),
        })
    }

    /// Formats the engines as ipyparallel does: `all`, `1`, `[0, 1, 2, 3, ..., 8, 9, 10, 11]`.
    pub fn engine_list(&self) -> String {
        /// The number of ids at each end of an abbreviated list.
        const ENDS: usize = 4;
        let (head, tail) = match &self.named {
            Targets::All => return "all".to_owned(),
            Targets::Id(id) => return id.to_string(),
            _ if self.targets.len() > 10 => (
                &self.targets[..ENDS],
                &self.targets[self.targets.len() - ENDS..],
            ),
            _ => (&self.targets[..], &[][..]),
        };
        let text = |ids: &[EngineId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut words = text(head);
        if !tail.is_empty() {
            words.push("...".to_owned());
            words.extend(text(tail));
        }
        format!("[{}]", words.join(", "))
    }
}

/// The error of a `%px` that cannot be planned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// No engines are connected.
    #[error("there are no engines")]
    NoEngines,
    /// The targets do not exist.
    #[error(transparent)]
    Targets(#[from] MagicError),
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::NoEngines => Self::NoEngines,
            PlanError::Targets(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::magic::{Magic, parse};

    fn plan(line: &str, live: &[u32]) -> Result<PxPlan, PlanError> {
        let Magic::Px { options, .. } = parse(line, &[]).unwrap().magic else {
            panic!("{line}")
        };
        let live: Vec<EngineId> = live.iter().copied().map(EngineId).collect();
        PxPlan::new(options, &PxDefaults::default(), &live)
    }

    #[test]
    fn typed_options_override_the_defaults() {
        let plain = plan("%%px", &[0, 1]).unwrap();
        assert_eq!(plain.targets, [EngineId(0), EngineId(1)]);
        assert_eq!(plain.blocking, Blocking::Wait);
        assert_eq!(plain.streaming, Streaming::AsTheyArrive);
        assert_eq!(plain.progress_after, Some(Duration::from_secs(2)));

        let typed = plan("%%px -a -t -1 -r --progress-after -1", &[0, 1]).unwrap();
        assert_eq!(typed.targets, [EngineId(1)]);
        assert_eq!(typed.blocking, Blocking::Return);
        assert_eq!(typed.group_by, GroupBy::Order);
        assert_eq!(typed.progress_after, None);
        assert_eq!(
            plan("%%px --local", &[0]).unwrap().streaming,
            Streaming::AtTheEnd
        );
    }

    #[test]
    fn engines_are_listed_in_ipyparallels_format() {
        let live: Vec<u32> = (0..12).collect();
        for (line, words) in [
            ("%%px", "all"),
            ("%%px -t -1", "-1"),
            ("%%px -t ::5", "[0, 5, 10]"),
            ("%%px -t :", "[0, 1, 2, 3, ..., 8, 9, 10, 11]"),
        ] {
            assert_eq!(plan(line, &live).unwrap().engine_list(), words);
        }
    }

    #[test]
    fn missing_engines_are_reported() {
        assert_eq!(plan("%px 1", &[]), Err(PlanError::NoEngines));
        let Err(PlanError::Targets(error)) = plan("%px -t 7 1", &[0, 2]) else {
            panic!()
        };
        assert_eq!(error.to_string(), "there is no engine 7");
        assert_eq!(
            error.problem.hint().as_deref(),
            Some("the engines are 0, 2")
        );
        assert_eq!(error.span, 7..8);
    }

    #[test]
    fn pxconfig_changes_the_defaults() {
        let line = "%pxconfig --noblock -t 1 --progress-after 0 --signal-on-interrupt SIGTERM";
        let Magic::PxConfig(options) = parse(line, &[]).unwrap().magic else {
            panic!()
        };
        let mut defaults = PxDefaults::default();
        defaults.set(options);
        assert_eq!(defaults.targets, Targets::Id(1));
        assert_eq!(defaults.signal.number(), Some(15));
        assert_eq!(defaults.blocking, Blocking::Return);
        assert_eq!(defaults.streaming, Streaming::AsTheyArrive);
    }
}
