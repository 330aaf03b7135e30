//! Help for the members of ipyparallel's classes, whose Rust has other names. The whole table is in
//! `docs/asyncresult.md`.

use super::error_subject::ErrorSubject;

/// Members, and the help for each of them.
type Members = &'static [(&'static [&'static str], &'static str)];

/// The members by type.
const TYPES: [(&str, Members); 4] = [
    ("AsyncResult", ASYNC_RESULT),
    ("Client", CLIENT),
    ("DirectView", VIEW),
    ("LoadBalancedView", VIEW),
];

const ASYNC_RESULT: Members = &[
    (
        &[
            "status",
            "submitted",
            "started",
            "completed",
            "received",
            "error",
            "after",
            "follow",
            "label",
            "execute_input",
        ],
        "`ar.metadata()` has it for each task: `ar.metadata()[0].status`",
    ),
    (
        &["execute_result"],
        "`ar.outputs()` has what the tasks display",
    ),
    (
        &["exception", "exceptions"],
        "`ar.get().err()` is the error, if there is one, `ar.get_each()?` the result of each task",
    ),
    (
        &["add_done_callback", "then"],
        "`ar.await?` waits in asynchronous code; a thread may wait, too: `std::thread::spawn(move || done(ar.get()))`",
    ),
    (
        &["cancel", "cancelled", "running"],
        "`ar.abort()?` drops the tasks that have not begun, `ar.done()` and `ar.progress()` ask how far they are",
    ),
    (&["unwrap", "expect"], "`ar.get()?` waits for the value"),
];

const CLIENT: Members = &[
    (
        &["close", "disconnect", "stop"],
        "the kernel owns the connection; `Cluster::stop()?` stops the engines",
    ),
    (
        &["activate"],
        "`%px` always works; `%pxactivate` makes further sets of magics",
    ),
    (
        &["executor", "become_dask", "stop_dask"],
        "`rc.load_balanced_view()` is one: `lbv.apply_async_with(f, x)?` submits, `lbv.imap(f, xs)?` maps",
    ),
    (
        &[
            "apply",
            "apply_sync",
            "apply_async",
            "map",
            "map_sync",
            "map_async",
            "push",
            "pull",
            "execute",
            "scatter",
            "gather",
            "imap",
        ],
        "engines are called through a view: `rc.all()`, `rc.view(0)` or `rc.load_balanced_view()`",
    ),
    (
        &["results", "metadata"],
        "`rc.get_result::<f64>(&ids)?` has the results of tasks, then `ar.get()?` and `ar.metadata()`",
    ),
    (
        &["purge_results"],
        "`rc.purge_hub_results(&ids)?` forgets results",
    ),
];

const VIEW: Members = &[
    (
        &["activate"],
        "`%px` always works; `%pxactivate` makes further sets of magics",
    ),
    (
        &["sync_imports", "importer"],
        "`:dep` and `use` apply to the engines, too",
    ),
    (
        &["use_dill", "use_cloudpickle", "use_pickle"],
        "nothing has to be set up: functions are sent as compiled code, values through serde",
    ),
    (
        &["set_flags", "temp_flags"],
        "each view has its own flags: `dv.clone().label(\"name\")`, `lbv.clone().retries(2)`",
    ),
    (
        &[
            "get_result",
            "result_status",
            "history",
            "outstanding",
            "results",
            "metadata",
        ],
        "the client has it: `rc.get_result::<f64>(&ids)?`, `rc.history()?`",
    ),
    (&["track"], "nothing is sent without a copy"),
];

/// Methods with optional arguments in Python, by their number of arguments in Rust.
const ARGUMENTS: [(&str, &str); 5] = [
    (
        "get",
        "`ar.get_timeout(Duration::from_secs(5))?` waits for the value at most so long",
    ),
    (
        "wait",
        "`ar.wait_timeout(Duration::from_secs(1))?` waits at most so long",
    ),
    (
        "queue_status",
        "`rc.queue_status_verbose()?` has the ids of the tasks",
    ),
    (
        "load_balanced_view",
        "`rc.load_balanced_view().targets([0, 2])?` is a view of some engines",
    ),
    (
        "wait_interactive",
        "`ar.wait_interactive_for(interval, timeout)?` has limits",
    ),
];

/// Methods whose arguments have defaults in Python.
const DEFAULTS: [(&str, &str); 7] = [
    (
        "display_outputs",
        "`ar.display_outputs(\"type\")?` is the default of ipyparallel; `\"engine\"` and `\"order\"` are the others",
    ),
    (
        "abort",
        "`rc.abort(&[])?` aborts all tasks that have not begun",
    ),
    (
        "shutdown",
        "`rc.shutdown(false)?` ends the engines, `rc.shutdown(true)?` the controller too",
    ),
    (
        "wait",
        "without a limit, the timeout is `None`: `rc.wait(&[], None)?` waits for all tasks, `dv.wait(None)?` for those of a view",
    ),
    (
        "wait_for_engines",
        "without a limit, the timeout is `None`: `rc.wait_for_engines(4, None)?`",
    ),
    (
        "wait_for_output",
        "without a limit, the timeout is `None`: `ar.wait_for_output(None)?`",
    ),
    (
        "wait_interactive",
        "`rc.wait_interactive(&[])?` waits for all tasks",
    ),
];

/// Returns the Rust for a member of a type, from rustc's message that there is none.
pub(super) fn help(message: &str, member: &str, subject: ErrorSubject<'_>) -> Option<&'static str> {
    // `no method named … found for struct …`, `no field … on type …`
    let ty = [
        " found for struct `",
        " found for reference `",
        " on type `",
    ]
    .iter()
    .find_map(|middle| message.split_once(middle))?
    .1;
    let (_, members) = TYPES
        .iter()
        .find(|(name, _)| subject.is_library_type(ty, &[*name]))?;
    let found = members.iter().find(|(names, _)| names.contains(&member));
    found.map(|(_, help)| *help)
}

/// Returns the Rust for an argument that a method of the library does not take.
pub(super) fn without_arguments(message: &str, method: &str) -> Option<&'static str> {
    let takes_none = message.starts_with("this method takes 0 arguments but 1 ");
    let found = ARGUMENTS.iter().find(|(name, _)| *name == method);
    found.filter(|_| takes_none).map(|(_, help)| *help)
}

/// Returns the Rust for a call of a method of the library without arguments that have defaults in
/// Python.
pub(super) fn without_defaults(message: &str, method: &str) -> Option<&'static str> {
    let (takes, supplied) = message.split_once(" but ")?;
    let supplied = supplied.split(' ').next()?.parse::<usize>().ok()?;
    let takes = takes.strip_prefix("this method takes ")?;
    let takes = takes.split(' ').next()?.parse::<usize>().ok()?;
    let found = DEFAULTS.iter().find(|(name, _)| *name == method);
    found.filter(|_| supplied < takes).map(|(_, help)| *help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_ipyparallel_have_their_rust() {
        let method = |ty: &str, name: &str| {
            let message =
                format!("no method named `{name}` found for struct `{ty}` in the current scope");
            help(&message, name, ErrorSubject::default()).unwrap_or_default()
        };
        for (ty, name, part) in [
            ("AsyncResult<u32, One>", "status", "ar.metadata()"),
            ("phalanx::AsyncResult", "exception", "ar.get().err()"),
            ("AsyncResult<u32, One>", "add_done_callback", "ar.await?"),
            ("phalanx::Client", "executor", "load_balanced_view"),
            ("Client", "close", "Cluster::stop()?"),
            ("Client", "activate", "%pxactivate"),
            ("DirectView", "activate", "%pxactivate"),
            ("reqwest::Client", "close", ""),
            ("ClientBuilder", "close", ""),
            ("Client", "größe", ""),
        ] {
            let help = method(ty, name);
            assert!(
                help.contains(part) && help.is_empty() == part.is_empty(),
                "{ty} {name}: {help}"
            );
        }
        let field = help(
            "no field `status` on type `AsyncResult`",
            "status",
            ErrorSubject::default(),
        );
        assert!(field.is_some_and(|help| help.contains("metadata")));
    }

    #[test]
    fn times_are_not_arguments_of_the_methods_that_wait() {
        let none = "this method takes 0 arguments but 1 argument was supplied";
        assert!(without_arguments(none, "get").is_some_and(|help| help.contains("get_timeout")));
        assert!(without_arguments(none, "wait").is_some_and(|help| help.contains("wait_timeout")));
        assert_eq!(without_arguments(none, "len"), None);
        let one = "this method takes 1 argument but 2 arguments were supplied";
        assert_eq!(without_arguments(one, "get"), None);
        assert_eq!(without_defaults(one, "abort"), None);
        let one = "this method takes 1 argument but 0 arguments were supplied";
        assert!(without_defaults(one, "display_outputs").is_some());
        assert_eq!(without_defaults(one, "map"), None);
        let two = "this method takes 2 arguments but 1 argument was supplied";
        assert!(without_defaults(two, "wait_for_engines").is_some());
    }
}
