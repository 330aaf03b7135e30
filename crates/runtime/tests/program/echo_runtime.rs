//! The runtime process started by the tests.

fn main() -> std::process::ExitCode {
    phalanx_runtime::process_main()
}
