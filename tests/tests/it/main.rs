//! End-to-end tests: our programs as installed, used by real clients.
//!
//! They run in `cargo xtask test`, which prepares their requirements; in a plain `cargo test` they
//! are skipped with a reason. Every wait has a time limit, and no process outlives its test.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bare_toolchain;
mod crashes;
mod dates;
mod dependencies;
mod differences;
mod errors;
mod examples;
mod faults;
mod floods;
mod folders;
mod foreign_tour;
mod frontends;
mod functions;
mod hour;
mod in_place;
mod install;
mod ipyparallel_client;
mod jupyter_run;
mod kernel_test;
mod keys;
mod lab;
mod launchers;
mod leaks;
mod lone_engine;
mod members;
mod mixed;
mod nbclient;
mod notebooks;
mod parallel_magics;
mod readers;
mod recovery;
mod rustdoc;
mod session;
mod tools;
mod tour;
mod wheel;

use std::process::ExitCode;

fn main() -> ExitCode {
    phalanx_tests::harness::main(&[
        bare_toolchain::CASES,
        crashes::CASES,
        dates::CASES,
        dependencies::CASES,
        differences::CASES,
        errors::CASES,
        examples::CASES,
        faults::CASES,
        floods::CASES,
        folders::CASES,
        foreign_tour::CASES,
        frontends::CASES,
        functions::CASES,
        hour::CASES,
        in_place::CASES,
        install::CASES,
        ipyparallel_client::CASES,
        jupyter_run::CASES,
        kernel_test::CASES,
        keys::CASES,
        lab::CASES,
        launchers::CASES,
        leaks::CASES,
        lone_engine::CASES,
        members::CASES,
        mixed::CASES,
        nbclient::CASES,
        notebooks::CASES,
        parallel_magics::CASES,
        readers::CASES,
        recovery::CASES,
        rustdoc::CASES,
        session::CASES,
        tools::CASES,
        tour::CASES,
        wheel::CASES,
    ])
}
