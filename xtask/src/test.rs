//! `cargo xtask test`: all checks and tests of CI.

use crate::dist::crates::{self, Depth};
use crate::dist::wheel;
use crate::prerequisites::{self, Purpose};
use crate::{
    binaries, chromium, deny, exec, kernelspec, python::Python, sites, tidy, workspace::Workspace,
};
use anyhow::{Context, Result, ensure};
use phalanx_tests::processes::Mark;
use std::io::{BufRead, BufReader, Write};
use std::ops::AddAssign;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// Time limit for processes that are ending after all tests.
const GRACE: Duration = Duration::from_secs(5);

/// The numbers of checks and tests, by result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Checks format, invariants and lints, and runs all tests; with a filter, only the tests whose
/// names contain it.
///
/// # Errors
/// Returns an error if a requirement cannot be set up.
pub fn test(workspace: &Workspace, filter: Option<&str>) -> Result<ExitCode> {
    prerequisites::ensure(workspace, Purpose::Tests)?;
    let mut count = Count::default();
    if filter.is_none() {
        count += check(
            "format",
            exec::run(exec::cargo(workspace).args(["fmt", "--all", "--check"])),
        );
        count += check("tidy", tidy::check(workspace));
    }
    let build = binaries::build(workspace);
    let is_built = build.is_ok();
    count += check("build", build);
    if is_built {
        if filter.is_none() {
            count += check("clippy", clippy(workspace));
            count += check("documentation", documentation(workspace));
            count += check("packages", crates::check(workspace, Depth::Metadata));
            count += check_where_possible("cargo-deny", deny::check(workspace));
            count += check_where_possible("advisories", deny::advisories(workspace));
        }
        count += run_tests(workspace, filter)?;
    }
    println!(
        "\n{} passed, {} failed, {} skipped",
        count.passed, count.failed, count.skipped
    );
    Ok(if count.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn check(name: &str, outcome: Result<()>) -> Count {
    match outcome {
        Ok(()) => {
            println!("check {name} ... ok");
            Count {
                passed: 1,
                ..Count::default()
            }
        }
        Err(error) => {
            println!("check {name} ... FAILED: {error:#}");
            Count {
                failed: 1,
                ..Count::default()
            }
        }
    }
}

fn check_where_possible(name: &str, outcome: deny::Check) -> Count {
    match outcome {
        deny::Check::Done(outcome) => check(name, outcome),
        deny::Check::Skipped(reason) => {
            println!("skipped: check {name}: {reason}");
            Count {
                skipped: 1,
                ..Count::default()
            }
        }
    }
}

fn clippy(workspace: &Workspace) -> Result<()> {
    exec::run(
        exec::cargo(workspace)
            .arg("clippy")
            .args(binaries::SELECTION)
            .args(["--all-targets", "--quiet", "--", "-D", "warnings"]),
    )
}

/// Checks the links of the documentation, including that of private items.
fn documentation(workspace: &Workspace) -> Result<()> {
    exec::run(
        exec::cargo(workspace)
            .arg("doc")
            .args(binaries::SELECTION)
            .args(["--lib", "--no-deps", "--document-private-items", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn run_tests(workspace: &Workspace, filter: Option<&str>) -> Result<Count> {
    let python = Python::prepare(workspace)?;
    kernelspec::install(workspace, &python)?;
    let wheel = wheel::pack_for_tests(workspace, &python)?;
    let mark = Mark {
        name: "PHALANX_TEST_RUN",
        value: std::process::id().to_string(),
    };
    let mut command = exec::cargo(workspace);
    command
        .arg("test")
        .args(binaries::SELECTION)
        .arg("--no-fail-fast")
        .args(filter)
        .env(mark.name, &mark.value)
        .env("PHALANX_TEST_BIN", workspace.binaries())
        .env("PHALANX_TEST_WHEEL", wheel)
        .env("PHALANX_TEST_PYTHON", python.program("python"));
    if let Some(browser) = chromium::find_or_install() {
        command.env("PHALANX_TEST_CHROMIUM", browser);
    }
    sites::install();
    let mut count = count_results(&mut command)?;
    count += check("no process is left behind", check_processes(&mark));
    Ok(count)
}

fn check_processes(mark: &Mark) -> Result<()> {
    let remaining = mark.wait_or_kill(GRACE);
    ensure!(remaining.is_empty(), "still running: {remaining:?}");
    Ok(())
}

/// Runs `cargo test`, passes on its output and adds up the results.
fn count_results(command: &mut Command) -> Result<Count> {
    exec::announce(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo test")?;
    let mut count = Count::default();
    let lines = BufReader::new(child.stdout.take().context("cargo test has no output")?);
    for line in lines.split(b'\n') {
        let line = line.context("cannot read what cargo test prints")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        std::io::stdout().flush().ok();
        if let Some(result) = parse_result_line(&line) {
            count += result;
        }
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    if !status.success() && count.failed == 0 {
        // A test program did not compile, or ended before printing its results.
        count.failed += 1;
    }
    Ok(count)
}

/// Parses `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn parse_result_line(line: &str) -> Option<Count> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut count = Count::default();
    for part in counts.split("; ") {
        let (number, kind) = part.split_once(' ')?;
        let Ok(number) = number.parse() else { continue };
        match kind {
            "passed" => count.passed = number,
            "failed" => count.failed = number,
            "ignored" => count.skipped = number,
            _ => {}
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_parsed() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.31s";
        let expected = Count {
            passed: 12,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(parse_result_line(line), Some(expected));
        assert_eq!(parse_result_line("running 3 tests"), None);
    }

    #[test]
    fn failed_run_without_a_result_line_counts_as_failed() {
        let script = "echo 'test result: ok. 1 passed; 0 failed; 0 ignored'; exit 101";
        let count = count_results(exec::command("sh").args(["-c", script])).unwrap();
        assert_eq!((count.passed, count.failed), (1, 1));
    }
}
