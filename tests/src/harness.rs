//! The test program's main function: cases that declare their requirements, and are visibly skipped
//! without them.
//!
//! Arguments and output are those of libtest, as far as cargo and people use them.

use crate::prepared::Need;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// A test case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The path of its function.
    pub name: &'static str,
    /// Finds its requirements.
    ///
    /// # Errors
    /// Returns the reason why one is missing.
    pub start: fn() -> Result<Ready, &'static str>,
}

/// A case with its requirements.
pub type Ready = Box<dyn FnOnce()>;

/// Lists a file's cases: functions with their requirements as arguments.
///
/// ```
/// use phalanx_tests::prepared::Prepared;
/// phalanx_tests::cases! { kernel_starts(prepared: Prepared) }
///
/// fn kernel_starts(prepared: Prepared) {
///     assert!(prepared.binary("phalanx").exists());
/// }
/// ```
#[macro_export]
macro_rules! cases {
    ($($name:ident($($argument:ident: $need:ty),* $(,)?))*) => {
        /// The cases of this file.
        pub const CASES: &[$crate::harness::Case] = &[$($crate::harness::Case {
            name: concat!(module_path!(), "::", stringify!($name)),
            start: || {
                $(let $argument = $crate::harness::require::<$need>()?;)*
                Ok(Box::new(move || $name($($argument),*)))
            },
        }),*];
    };
}

/// Finds a requirement.
///
/// # Errors
/// Returns the reason why it is missing.
pub fn require<N: Need>() -> Result<N, &'static str> {
    N::find().ok_or(N::WITHOUT)
}

/// Skips the running case with a reason.
pub fn skip(reason: impl Into<String>) -> ! {
    resume_unwind(Box::new(Skipped(reason.into())))
}

/// Runs a named part of the running case. It is reported and counted as a case of its own, and the
/// case goes on if it fails or is skipped.
///
/// For cases whose parts share what takes long, such as a session with a kernel.
pub fn part(name: &str, check: impl FnOnce()) {
    let outcome = catch_unwind(AssertUnwindSafe(check));
    let current = thread::current();
    let name = match current.name() {
        Some(case) => format!("{case}::{name}"),
        None => name.to_owned(),
    };
    let verdict = report(&name, outcome);
    PARTS.with_borrow_mut(|parts| parts.push((name, verdict)));
}

thread_local! {
    /// The parts of the case that runs on this thread.
    static PARTS: RefCell<Vec<(String, Verdict)>> = const { RefCell::new(Vec::new()) };
}

/// The panic payload of a skipped case.
struct Skipped(String);

/// The result of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// The parsed command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    list: bool,
    threads: Option<usize>,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut parsed = Self::default();
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            match name {
                "--exact" => parsed.exact = true,
                "--list" => parsed.list = true,
                "--skip" => parsed.skips.extend(value.or_else(|| arguments.next())),
                "--test-threads" => {
                    let threads = value.or_else(|| arguments.next());
                    parsed.threads = threads.and_then(|threads| threads.parse().ok());
                }
                "--color" | "--format" => drop(value.or_else(|| arguments.next())),
                // Other options are ignored: output is never captured.
                option if option.starts_with('-') => {}
                _ => parsed.filters.push(argument),
            }
        }
        parsed
    }

    fn selects(&self, name: &str) -> bool {
        let is_named = |part: &String| match self.exact {
            true => name == part,
            false => name.contains(part.as_str()),
        };
        let is_selected = self.filters.is_empty() || self.filters.iter().any(is_named);
        is_selected && !self.skips.iter().any(is_named)
    }

    fn threads(&self) -> usize {
        let from_environment = || std::env::var("RUST_TEST_THREADS").ok()?.parse().ok();
        let threads = self.threads.or_else(from_environment);
        threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
    }
}

/// Runs the selected cases, or all.
#[must_use]
pub fn main(files: &[&[Case]]) -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    let all = files.iter().copied().flatten();
    let total = all.clone().count();
    let selected: VecDeque<Case> = all
        .filter(|case| arguments.selects(path(case)))
        .copied()
        .collect();
    if arguments.list {
        for case in &selected {
            println!("{}: test", path(case));
        }
        return ExitCode::SUCCESS;
    }
    let (started, filtered) = (Instant::now(), total - selected.len());
    println!("\nrunning {} tests", selected.len());
    let verdicts = run(selected, arguments.threads());
    let count = |verdict| {
        verdicts
            .iter()
            .filter(|(_, other)| *other == verdict)
            .count()
    };
    let failed = count(Verdict::Failed);
    if failed > 0 {
        println!("\nfailures:");
        for (name, _) in verdicts
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::Failed)
        {
            println!("    {name}");
        }
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {} ignored; 0 measured; {filtered} filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        count(Verdict::Passed),
        count(Verdict::Skipped),
        started.elapsed().as_secs_f64(),
    );
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(101),
    }
}

/// Returns the name as libtest prints it, without the crate.
fn path(case: &Case) -> &'static str {
    case.name
        .split_once("::")
        .map_or(case.name, |(_, path)| path)
}

fn run(cases: VecDeque<Case>, threads: usize) -> Vec<(String, Verdict)> {
    // Locked to take a case or to add a verdict.
    let (pending, verdicts) = (Mutex::new(cases), Mutex::new(Vec::new()));
    let next = || {
        pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    };
    let run_pending = || {
        while let Some(case) = next() {
            let performed = perform(path(&case), &case);
            let mut verdicts = verdicts.lock().unwrap_or_else(PoisonError::into_inner);
            verdicts.extend(performed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(run_pending);
        }
    });
    let mut verdicts = verdicts
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    verdicts.sort_unstable_by(|(name, _), (other, _)| name.cmp(other));
    verdicts
}

/// Runs a case on a thread named after it, and prints its line; returns its verdict after those of
/// its parts.
fn perform(name: &str, case: &Case) -> Vec<(String, Verdict)> {
    let start = case.start;
    let builder = thread::Builder::new().name(name.to_owned());
    let handle = builder.spawn(move || {
        let outcome = catch_unwind(move || match start() {
            Err(reason) => skip(reason),
            Ok(case) => case(),
        });
        (outcome, PARTS.take())
    });
    let (outcome, mut verdicts) = match handle.map(thread::JoinHandle::join) {
        Ok(Ok(performed)) => performed,
        Ok(Err(panic)) => (Err(panic), Vec::new()),
        Err(error) => (Err(Box::new(error) as Box<_>), Vec::new()),
    };
    verdicts.push((name.to_owned(), report(name, outcome)));
    verdicts
}

/// Prints the line of a case or part, and returns its verdict.
fn report(name: &str, outcome: thread::Result<()>) -> Verdict {
    let (verdict, line) = match outcome.map_err(|panic| panic.downcast::<Skipped>()) {
        Ok(()) => (Verdict::Passed, "ok".to_owned()),
        Err(Ok(skipped)) => (Verdict::Skipped, format!("ignored, {}", skipped.0)),
        Err(Err(_)) => (Verdict::Failed, "FAILED".to_owned()),
    };
    println!("test {name} ... {line}");
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Never;

    impl Need for Never {
        const WITHOUT: &'static str = "nobody has it";

        fn find() -> Option<Self> {
            None
        }
    }

    fn passes() {}

    fn fails() {
        panic!("as it should");
    }

    fn needs(_: Never) {}

    fn skips() {
        skip("on its own account");
    }

    fn divides() {
        part("fails", fails);
        part("skips", skips);
        part("passes", passes);
    }

    crate::cases! { passes() fails() needs(never: Never) skips() divides() }

    #[test]
    fn cases_and_their_parts_are_reported_and_skipped_without_their_requirements() {
        let verdicts = run(CASES.iter().copied().collect(), 2);
        let verdicts: Vec<_> = verdicts
            .iter()
            .map(|(name, verdict)| (name.trim_start_matches("harness::tests::"), *verdict))
            .collect();
        use Verdict::{Failed, Passed, Skipped};
        let expected = [
            ("divides", Passed),
            ("divides::fails", Failed),
            ("divides::passes", Passed),
            ("divides::skips", Skipped),
            ("fails", Failed),
            ("needs", Skipped),
            ("passes", Passed),
            ("skips", Skipped),
        ];
        assert_eq!(verdicts, expected);
        assert_eq!(path(&CASES[0]), "harness::tests::passes");
    }

    #[test]
    fn command_line_is_that_of_libtest() {
        let parse = |line: &str| Arguments::parse(line.split(' ').map(str::to_owned));
        let filtered = parse("tour --skip lab --test-threads 1 --nocapture -Zunstable");
        assert_eq!(filtered.threads(), 1);
        assert!(
            filtered.selects("tour::runs")
                && !filtered.selects("tour::lab")
                && !filtered.selects("x")
        );
        let exact = parse("--exact tour::runs --test-threads=3");
        assert!(exact.selects("tour::runs") && !exact.selects("tour::runs_twice"));
        assert_eq!(exact.threads, Some(3));
    }
}
