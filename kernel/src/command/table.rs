//! The table of all commands, used by the parser, by help and by completion.

/// A command.
#[derive(Debug, PartialEq)]
pub struct CommandSpec {
    /// The name, with its `:`.
    pub name: &'static str,
    /// The arguments, as shown by help.
    pub usage: &'static str,
    /// A description in one line.
    pub about: &'static str,
    /// The kind of its argument, for completion.
    pub values: ArgumentKind,
    /// The handler.
    pub handler: CommandHandler,
}

/// The kind of a command's argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArgumentKind {
    /// No argument, or one that cannot be completed.
    Free,
    /// One of these.
    Closed(&'static [&'static str]),
    /// One of these or another text.
    Open(&'static [&'static str]),
    /// A folder.
    Folder,
    /// A crate's name, or the path of a folder that contains a crate.
    Crate,
    /// Rust.
    Rust,
    /// The name of a variable.
    Variable,
    /// A command's name.
    Command,
}

/// The handler of a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CommandHandler {
    /// Evaluated by evcxr.
    Evcxr,
    /// Evaluated by evcxr, after which the runtime is restarted.
    Renewal,
    /// `:cd`
    ChangeFolder,
    /// `:dep`
    Dependency,
    /// `:doc`
    Documentation,
    /// `:env`
    Environment,
    /// `:help`
    Help,
    /// `:last_error_json`
    LastErrorJson,
    /// `:log`
    Log,
    /// `:quit`
    Quit,
    /// `:snapshot`
    Snapshot,
    /// `:test`
    Test,
    /// `:time`
    Time,
    /// `:timing`
    Timing,
    /// `:vars`
    Variables,
    /// `:version`
    Version,
}

const SWITCH: ArgumentKind = ArgumentKind::Closed(&["0", "1"]);

/// Every command, sorted by name.
pub const COMMANDS: &[CommandSpec] = &[
    evcxr(
        ":allow_static_linking",
        "0|1",
        SWITCH,
        "allows linking dependencies statically into each cell (1, the default) or not",
    ),
    evcxr(
        ":build_env",
        "NAME=VALUE",
        ArgumentKind::Free,
        "sets an environment variable for compiling alone",
    ),
    evcxr(
        ":cache",
        "[MIB]",
        ArgumentKind::Free,
        "sets the size of evcxr's cache of compiled crates, 0 for none; build folders are kept in any case",
    ),
    ours(
        ":cd",
        "[DIR]",
        ArgumentKind::Folder,
        CommandHandler::ChangeFolder,
        "changes the working folder of cells, `!` lines and relative dependencies",
    ),
    ours(
        ":clear",
        "",
        ArgumentKind::Free,
        CommandHandler::Renewal,
        "forgets all variables, functions, types and dependencies",
    ),
    evcxr(
        ":clear_cache",
        "",
        ArgumentKind::Free,
        "empties the cache of `:cache`",
    ),
    evcxr(
        ":codegen_backend",
        "[NAME]",
        ArgumentKind::Open(&["cranelift", "default", "llvm"]),
        "shows or sets the codegen backend of rustc (nightly)",
    ),
    ours(
        ":dep",
        "NAME [= SPEC] | DIR",
        ArgumentKind::Crate,
        CommandHandler::Dependency,
        "adds a dependency, here and for the engines: a crate's name, a line of Cargo.toml, or the folder of a crate",
    ),
    ours(
        ":doc",
        "NAME",
        ArgumentKind::Rust,
        CommandHandler::Documentation,
        "shows the documentation of a variable, keyword, type or module",
    ),
    evcxr(
        ":efmt",
        "[FORMAT]",
        ArgumentKind::Closed(&["{}", "{:?}", "{:#?}"]),
        "shows or sets how errors that leave a cell through `?` are formatted",
    ),
    ours(
        ":env",
        "[NAME=VALUE]",
        ArgumentKind::Free,
        CommandHandler::Environment,
        "sets an environment variable for cells, `!` lines and compiling, or lists those set",
    ),
    evcxr(
        ":explain",
        "",
        ArgumentKind::Free,
        "explains the last error",
    ),
    evcxr(
        ":fmt",
        "[FORMAT]",
        ArgumentKind::Open(&["{:?}", "{:#?}", "{}"]),
        "sets how values are shown, `{:?}` without one",
    ),
    ours(
        ":help",
        "[NAME]",
        ArgumentKind::Command,
        CommandHandler::Help,
        "lists commands and magics, or describes one",
    ),
    evcxr(
        ":internal_debug",
        "",
        ArgumentKind::Free,
        "turns evcxr's own debugging output on and off",
    ),
    evcxr(
        ":last_compile_dir",
        "",
        ArgumentKind::Free,
        "shows the folder cells are compiled in",
    ),
    ours(
        ":last_error_json",
        "",
        ArgumentKind::Free,
        CommandHandler::LastErrorJson,
        "shows the last compile errors as rustc gave them",
    ),
    evcxr(
        ":lean",
        "[0|1]",
        ArgumentKind::Closed(&["0", "1"]),
        "shows how the last cell was compiled, or sets if cells are compiled with only the earlier items they use (1, the default) or with all (0)",
    ),
    evcxr(
        ":linker",
        "[NAME]",
        ArgumentKind::Closed(&["lld", "mold", "system"]),
        "shows or sets the linker",
    ),
    evcxr(
        ":load_config",
        "[--quiet]",
        ArgumentKind::Closed(&["--quiet"]),
        "loads `evcxr.toml`, `init.evcxr` and `prelude.rs` again",
    ),
    ours(
        ":log",
        "off|error|warn|info|debug|trace",
        ArgumentKind::Closed(&["off", "error", "warn", "info", "debug", "trace"]),
        CommandHandler::Log,
        "sets the least severe level of `log` and `tracing` that is shown (default `warn`)",
    ),
    evcxr(
        ":offline",
        "0|1",
        SWITCH,
        "makes cargo work without the network (1) or with it",
    ),
    evcxr(
        ":opt",
        "[LEVEL]",
        ArgumentKind::Closed(&["0", "1", "2", "3", "s", "z"]),
        "sets the level of optimization, or changes between 0 and 2",
    ),
    evcxr(
        ":preserve_vars_on_panic",
        "0|1",
        SWITCH,
        "keeps variables after a panic (1, the default) or not",
    ),
    ours(
        ":quit",
        "",
        ArgumentKind::Free,
        CommandHandler::Quit,
        "ends the kernel",
    ),
    ours(
        ":restart",
        "",
        ArgumentKind::Free,
        CommandHandler::Renewal,
        "starts a new process for cells: variables are lost, functions, types and dependencies kept",
    ),
    evcxr(
        ":sccache",
        "0|1",
        SWITCH,
        "compiles dependencies through sccache (1) or not",
    ),
    evcxr(
        ":show_deps",
        "",
        ArgumentKind::Free,
        "shows the dependencies",
    ),
    ours(
        ":snapshot",
        "0|1",
        SWITCH,
        CommandHandler::Snapshot,
        "turns snapshots on (1, the default) or off: without them, a crash or an interrupt loses all variables",
    ),
    evcxr(":t", "NAME", ArgumentKind::Variable, "short for `:type`"),
    ours(
        ":test",
        "[NAME]",
        ArgumentKind::Free,
        CommandHandler::Test,
        "runs the `#[test]` functions of the notebook, or those whose paths contain the name",
    ),
    ours(
        ":time",
        "[CODE]",
        ArgumentKind::Rust,
        CommandHandler::Time,
        "runs the code, or the rest of the cell, and reports the time taken",
    ),
    evcxr(
        ":time_passes",
        "",
        ArgumentKind::Free,
        "makes rustc report the times of its passes (nightly)",
    ),
    ours(
        ":timing",
        "",
        ArgumentKind::Free,
        CommandHandler::Timing,
        "turns the report of each cell's running time on or off",
    ),
    evcxr(
        ":toolchain",
        "[NAME]",
        ArgumentKind::Free,
        "shows or sets the toolchain that compiles cells",
    ),
    evcxr(
        ":type",
        "NAME",
        ArgumentKind::Variable,
        "shows the type of a variable",
    ),
    evcxr(
        ":types",
        "",
        ArgumentKind::Free,
        "shows values with their types, or no longer does",
    ),
    ours(
        ":vars",
        "",
        ArgumentKind::Free,
        CommandHandler::Variables,
        "lists the variables and their types",
    ),
    ours(
        ":version",
        "",
        ArgumentKind::Free,
        CommandHandler::Version,
        "shows the versions of Phalanx and evcxr",
    ),
];

/// Returns the command of this name, which includes its `:`.
pub fn find(name: &str) -> Option<&'static CommandSpec> {
    COMMANDS.iter().find(|spec| spec.name == name)
}

const fn evcxr(
    name: &'static str,
    usage: &'static str,
    values: ArgumentKind,
    about: &'static str,
) -> CommandSpec {
    ours(name, usage, values, CommandHandler::Evcxr, about)
}

const fn ours(
    name: &'static str,
    usage: &'static str,
    values: ArgumentKind,
    handler: CommandHandler,
    about: &'static str,
) -> CommandSpec {
    CommandSpec {
        name,
        usage,
        about,
        values,
        handler,
    }
}
