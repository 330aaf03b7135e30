//! Default loggers for `log` and `tracing`, so that cells show messages without setup unless the
//! notebook depends on a crate that sets a logger.

use phalanx_protocol::id::{EngineId, EngineUuid};
use std::collections::{BTreeMap, BTreeSet};

/// Crates that set a logger or a subscriber, which is possible only once.
const LOGGERS: [&str; 16] = [
    "colog",
    "console-subscriber",
    "env_logger",
    "fern",
    "flexi_logger",
    "log4rs",
    "logforth",
    "pretty_env_logger",
    "simple_logger",
    "simplelog",
    "slog-stdlog",
    "stderrlog",
    "test-log",
    "tracing-forest",
    "tracing-subscriber",
    "tracing-tree",
];

/// The levels of `:log`, by number.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The logging state of the notebook's processes.
#[derive(Debug, Default)]
pub struct Logging {
    known: BTreeSet<String>,
    /// The crates with a default logger in the local process.
    set: BTreeSet<&'static str>,
    /// The code that was run locally to set loggers and levels, in order; engines run it later.
    steps: Vec<String>,
    /// The number of steps each engine has run.
    engines: BTreeMap<EngineUuid, usize>,
}

/// Engines without the current loggers or level.
#[derive(Debug, PartialEq)]
pub struct MissingLoggers {
    /// The engines.
    pub engines: Vec<(EngineId, EngineUuid)>,
    /// The code they have to run.
    pub code: String,
    /// The number of steps they have run after that.
    steps: usize,
}

impl Logging {
    /// Adds dependencies. Returns code that sets their loggers.
    pub fn added<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Vec<&'static str> {
        self.known.extend(names.into_iter().map(str::to_owned));
        self.missing()
    }

    /// Handles a new local process. Returns code that sets its loggers.
    pub fn restarted(&mut self) -> Vec<&'static str> {
        self.set.clear();
        self.missing()
    }

    /// Records code that changes the level.
    pub fn set_level(&mut self, code: &str) {
        self.steps.push(code.to_owned());
    }

    /// Returns the steps that these engines have not run.
    pub fn pending_steps(&self, engines: &[(EngineId, EngineUuid)]) -> Option<MissingLoggers> {
        let steps = self.steps.len();
        let known = |uuid| self.engines.get(uuid).copied().unwrap_or_default();
        let behind = engines.iter().filter(|(_, uuid)| known(uuid) < steps);
        let behind: Vec<_> = behind.cloned().collect();
        // Running a step again is harmless.
        let first = behind.iter().map(|(_, uuid)| known(uuid)).min()?;
        let code = self.steps[first..].join("\n");
        Some(MissingLoggers {
            engines: behind,
            code,
            steps,
        })
    }

    /// Records the steps that were sent to their engines.
    pub fn sent(&mut self, missing: MissingLoggers) {
        for (_, uuid) in missing.engines {
            self.engines.insert(uuid, missing.steps);
        }
    }

    /// Resets the state after everything was cleared, including the dependencies.
    pub fn cleared(&mut self) {
        *self = Self::default();
    }

    /// Returns true if a default logger is set.
    pub fn is_set(&self) -> bool {
        !self.set.is_empty()
    }

    fn missing(&mut self) -> Vec<&'static str> {
        if LOGGERS.iter().any(|logger| self.known.contains(*logger)) {
            return Vec::new();
        }
        let defaults = [("log", LOG), ("tracing", TRACING)];
        let wanted = defaults
            .into_iter()
            .filter(|(name, _)| self.known.contains(*name) && self.set.insert(*name));
        let wanted: Vec<_> = wanted.map(|(_, code)| code).collect();
        for code in &wanted {
            if !self.steps.iter().any(|step| step == code) {
                self.steps.push((*code).to_owned());
            }
        }
        wanted
    }
}

/// Returns code that changes the level.
pub fn level_code(level: &str) -> Option<String> {
    let number = LEVELS.iter().position(|known| *known == level)?;
    Some(format!("phalanx::__log::show_up_to({number});"))
}

const LOG: &str = r#"
mod phalanx_log {
    struct Logger;
    impl ::log::Log for Logger {
        fn enabled(&self, metadata: &::log::Metadata<'_>) -> bool {
            ::phalanx::__log::shows(metadata.level() as usize)
        }
        fn log(&self, record: &::log::Record<'_>) {
            if self.enabled(record.metadata()) {
                ::phalanx::__log::write(record.level() as usize, record.target(), *record.args());
            }
        }
        fn flush(&self) {}
    }
    pub fn set() {
        if ::log::set_logger(&Logger).is_ok() {
            ::log::set_max_level(::log::LevelFilter::Trace);
        }
    }
}
phalanx_log::set();
"#;

const TRACING: &str = r#"
mod phalanx_tracing {
    use ::tracing::field::{Field, Visit};
    use ::tracing::span::{Attributes, Id, Record};
    use ::tracing::subscriber::Interest;
    use ::tracing::{Event, Level, Metadata};
    struct Collector;
    struct Text(String);
    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn ::std::fmt::Debug) {
            match field.name() {
                "message" => self.0.insert_str(0, &format!("{value:?}")),
                name => self.0.push_str(&format!(" {name}={value:?}")),
            }
        }
    }
    fn number(level: &Level) -> usize {
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        1 + levels.iter().position(|known| known == level).unwrap_or(4)
    }
    impl ::tracing::Subscriber for Collector {
        fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
            Interest::sometimes()
        }
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            ::phalanx::__log::shows(number(metadata.level()))
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut text = Text(String::new());
            event.record(&mut text);
            let metadata = event.metadata();
            let level = number(metadata.level());
            ::phalanx::__log::write(level, metadata.target(), format_args!("{}", text.0));
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }
    pub fn set() {
        let _ = ::tracing::subscriber::set_global_default(Collector);
    }
}
phalanx_tracing::set();
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_logger_is_set_once_and_only_if_no_dependency_sets_one() {
        let mut logging = Logging::default();
        assert!(logging.added(["rand"]).is_empty() && !logging.is_set());
        assert_eq!(logging.added(["log"]), [LOG]);
        assert_eq!(logging.added(["tracing"]), [TRACING]);
        assert!(logging.added(["serde"]).is_empty());
        assert_eq!(logging.restarted(), [LOG, TRACING]);
        logging.cleared();
        assert!(logging.added(["tracing", "tracing-subscriber"]).is_empty());
        assert_eq!(logging.pending_steps(&[engine(0)]), None);
        assert_eq!(
            level_code("debug").as_deref(),
            Some("phalanx::__log::show_up_to(4);")
        );
    }

    fn engine(id: u32) -> (EngineId, EngineUuid) {
        (EngineId(id), EngineUuid::new(format!("engine {id}")))
    }

    #[test]
    fn engines_receive_each_step_once() {
        let mut logging = Logging::default();
        logging.added(["log"]);
        let pending_steps = logging.pending_steps(&[engine(0)]).unwrap();
        assert_eq!(
            (
                pending_steps.engines.as_slice(),
                pending_steps.code.as_str()
            ),
            (&[engine(0)][..], LOG)
        );
        // Until they have been sent, they are missing.
        assert_eq!(
            logging.pending_steps(&[engine(0)]).as_ref(),
            Some(&pending_steps)
        );
        logging.sent(pending_steps);
        assert_eq!(logging.pending_steps(&[engine(0)]), None);
        logging.set_level("level");
        logging.restarted();
        let pending_steps = logging.pending_steps(&[engine(0), engine(1)]).unwrap();
        assert_eq!(pending_steps.engines, [engine(0), engine(1)]);
        assert_eq!(pending_steps.code, format!("{LOG}\nlevel"));
    }
}
