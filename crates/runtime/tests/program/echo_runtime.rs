//! The runtime process the tests start.

fn main() -> std::process::ExitCode {
    phalanx_runtime::process_main()
}
