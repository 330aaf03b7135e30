//! Commands for developers; `cargo xtask help` lists them.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod bench;
mod binaries;
mod chromium;
mod cli;
mod debian;
mod deny;
mod dist;
mod exec;
mod gallery;
mod kernelspec;
mod lab;
mod prerequisites;
mod python;
mod run;
mod sites;
mod suite;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse().and_then(cli::Command::perform) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
