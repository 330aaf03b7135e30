//! Support for compiled cells: the display of the last expression, and the functions the runtime
//! calls.

use crate::__store::VariableStore;
use crate::backtrace;
use crate::codec::Transferable;
use crate::display::print_content;
use crate::last_error;
use crate::loaded_cells;
use crate::namespace;
use crate::table::debug::{self, may_be_table};
use crate::type_names::plain;
use crate::value_text::ValueText;
use phalanx_protocol::host::{ErrorText, MARKER_END, MARKER_START};
use std::error::Error;
use std::ffi::c_void;
use std::fmt;
use std::io::Write;
use std::ops::Deref;
use std::panic::{self, Location};
use std::process::{ExitCode, Termination};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::thread::{self, ThreadId};

/// Shows a value in evcxr's output protocol; a long value is truncated. A value of type `()`,
/// recognized by the type's name, is not shown.
///
/// Not generic: every cell compiles the calls of this function.
pub fn show(type_name: &str, value: fmt::Arguments<'_>) {
    if type_name == "()" {
        return;
    }
    let text = ValueText::new(value);
    print_content("text/plain", format_args!("{text}"));
    if may_be_table(type_name)
        && let Some(table) = text.whole().and_then(|text| debug::table(type_name, text))
    {
        print_content("text/html", format_args!("{}", table.to_html()));
    }
}

/// Returns a type's name without its paths: `Option<String>`.
pub fn short(type_name: &str) -> String {
    plain(type_name)
}

/// Reports a panic in the thread that runs the cells to the owner.
pub(crate) fn report_panic(message: &str, location: &str) {
    let end = format!("{MARKER_START}end-panic{MARKER_END}");
    let report = format!("{MARKER_START}panic;{location}{MARKER_END}{message}{end}");
    // A single write, so that output of other threads cannot interleave; a failure is ignored.
    let _ = std::io::stderr().write_all(report.as_bytes());
}

/// Prints an error that leaves a cell through `?`, which is how evcxr's code calls `eprintln!`; any
/// other call with a single variable works as usual.
#[doc(hidden)]
#[macro_export]
macro_rules! __eprintln {
    ($format:literal, $value:ident) => {
        $crate::__cell::report_error(::std::format_args!($format, $value))
    };
    ($($arguments:tt)*) => {
        ::std::eprintln!($($arguments)*)
    };
}

pub use crate::__eprintln as eprintln;

/// Fixes the error type of a cell's return value where the cell leaves it to inference.
///
/// # Errors
/// Returns the error of `returned`.
pub fn boxed<T>(returned: Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    returned
}

/// A static declared by a macro; all cells use the instance of the cell that was loaded first.
pub struct SharedStatic<T: 'static>(LazyLock<&'static T>);

impl<T> SharedStatic<T> {
    /// Refers to the static that a function returns.
    pub const fn new(get: fn() -> &'static T) -> Self {
        Self(LazyLock::new(get))
    }
}

impl<T> Deref for SharedStatic<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for SharedStatic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Wraps statements whose variables are not kept for later cells: evcxr keeps the variables of
/// `let` statements, but does not look into macro calls.
#[doc(hidden)]
#[macro_export]
macro_rules! __unkept {
    ($($statements:tt)*) => { $($statements)* };
}

pub use crate::__unkept as unkept;

/// The standard macro of the same name, with its location in the notebook.
#[doc(hidden)]
#[macro_export]
macro_rules! __dbg {
    ($location:literal;) => {
        ::std::eprintln!("[{}]", $location)
    };
    ($location:literal; $value:expr $(,)?) => {
        match $value {
            value => {
                ::std::eprintln!("[{}] {} = {:#?}", $location, ::std::stringify!($value), &value);
                value
            }
        }
    };
    ($location:literal; $($value:expr),+ $(,)?) => {
        ($($crate::__dbg!($location; $value)),+,)
    };
}

/// `column!`, `file!` and `line!`, with their values as an argument.
#[doc(hidden)]
#[macro_export]
macro_rules! __place {
    ($location:literal) => {
        $location
    };
}

pub use crate::__dbg as dbg;
pub use crate::__place as column;
pub use crate::__place as file;
pub use crate::__place as line;

/// Prints an error that leaves a cell, in the format set by `:efmt`.
pub fn report_error(text: fmt::Arguments<'_>) {
    last_error::take();
    let text = text.to_string();
    report(text, None);
}

/// Prints an error that leaves a cell, with its causes and the location of the `?`.
#[track_caller]
pub fn report_causes(error: &(dyn Error + 'static)) {
    let location = Location::caller().to_string();
    last_error::take();
    let mut text = error.to_string();
    let formatted = last_error::take();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        // Some errors include the text of their cause in their own.
        if !text.ends_with(&inner) {
            text += &format!(": {inner}");
        }
        cause = error.source();
    }
    last_error::restore(formatted);
    report(text, Some(location));
}

/// Writes an error to stderr between markers, if this is the thread that runs cells, so that the
/// owner can distinguish it from other text.
fn report(text: String, location: Option<String>) {
    if !in_main_thread() {
        return std::eprintln!("{text}");
    }
    let formatted = last_error::take().filter(|error| error.text == text);
    let error = ErrorText {
        failure: formatted.map(|error| Box::new(error.failure)),
        text,
        location,
    };
    let Ok(report) = serde_json::to_string(&error) else {
        return;
    };
    let end = format!("{MARKER_START}end-error{MARKER_END}");
    let report = format!("{MARKER_START}error{MARKER_END}{report}{end}");
    // See `report_panic`.
    let _ = std::io::stderr().write_all(report.as_bytes());
}

/// Reports to the owner that the cell returned early, and to the user which variables it did not
/// define.
pub fn returned(names: &[&str]) {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    if !quoted.is_empty() {
        let names = quoted.join(", ");
        std::eprintln!("not kept, because the cell returned before its end: {names}");
    }
    // See `report_panic`.
    let _ = std::io::stderr().write_all(format!("{MARKER_START}returned{MARKER_END}").as_bytes());
}

/// A test, by its condition for passing.
#[derive(Debug)]
pub enum UnitTest {
    /// Passes if it returns no error.
    Returns(fn() -> bool),
    /// Passes if it panics.
    Panics(fn() -> bool),
    /// Not run.
    Ignored,
}

/// Runs a test; returns true unless it returns an error.
pub fn passes<T: Termination>(test: fn() -> T) -> bool {
    test().report() == ExitCode::SUCCESS
}

/// Runs tests and prints the result of each.
///
/// # Panics
/// If a test has failed.
#[track_caller]
pub fn run_tests(tests: &[(&str, UnitTest)]) {
    let plural = if tests.len() == 1 { "" } else { "s" };
    println!("running {} test{plural}", tests.len());
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for (path, test) in tests {
        let (run, panics) = match test {
            UnitTest::Returns(run) => (run, false),
            UnitTest::Panics(run) => (run, true),
            UnitTest::Ignored => {
                ignored += 1;
                println!("test {path} ... ignored");
                continue;
            }
        };
        let ended = panic::catch_unwind(run);
        let why = match &ended {
            Ok(true) if panics => Some("it does not panic".to_owned()),
            Ok(true) => None,
            Ok(false) => Some("it gives back an error".to_owned()),
            Err(_) if panics => None,
            Err(payload) => {
                let text = payload
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned());
                let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
                Some(text.unwrap_or_else(|| "it panics".to_owned()))
            }
        };
        match why {
            None => {
                passed += 1;
                println!("test {path} ... ok");
            }
            Some(why) => {
                failed += 1;
                let why = why.replace('\n', "\n    ");
                println!("test {path} ... FAILED\n    {why}");
            }
        }
    }
    println!("{passed} passed; {failed} failed; {ignored} ignored");
    if failed > 0 {
        panic!("{failed} of {} tests failed", tests.len());
    }
}

/// Returns true in the main thread, which runs the cells. The cells' standard library cannot
/// identify it, since it is loaded after the process has started.
fn in_main_thread() -> bool {
    let thread = std::fs::read_link("/proc/thread-self").ok();
    let known = thread.as_ref().and_then(|thread| thread.to_str());
    known.is_some_and(|thread| {
        let mut parts = thread.split('/');
        parts.next() == parts.nth(1)
    })
}

/// Called by the runtime before the first cell, in the thread that runs all cells.
///
/// A panic in that thread ends the cell and is reported as the cell's error instead of text on
/// stderr; panics of other threads are printed as usual, behind a marker if the code is that of a
/// cell which ran before.
#[unsafe(no_mangle)]
pub extern "C" fn phalanx_cell_begin() {
    static CELLS: OnceLock<ThreadId> = OnceLock::new();
    let cells = *CELLS.get_or_init(|| thread::current().id());
    let elsewhere = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() != cells {
            if info.location().is_some_and(is_in_other_cell) {
                let marker = format!("{MARKER_START}other-cell{MARKER_END}");
                // A failure is ignored, as by the report that follows.
                let _ = std::io::stderr().write_all(marker.as_bytes());
            }
            return elsewhere(info);
        }
        let message = info.payload_as_str().unwrap_or("a value that is no text");
        if let Some(functions) = backtrace::user_functions() {
            std::eprint!("{functions}");
        }
        report_panic(message, &place(info.location()));
    }));
}

/// The line of the crate with the statement that the cell is running; 0 between cells.
static LINE: AtomicU32 = AtomicU32::new(0);

/// Records the line of the statement that is about to run. Called by cells.
pub fn at(line: u32) {
    LINE.store(line, Ordering::Relaxed);
}

/// The parts of paths of code that users do not see: the standard library, and packages.
const HIDDEN: [&str; 4] = [
    "/rustc/",
    "/rustlib/src/",
    "/registry/src/",
    "/git/checkouts/",
];

/// Returns the file of each cell's code, as it names itself.
const CELL_FILE: &str = "src/lib.rs";

/// Returns true for a place in the code of a cell other than the one that is running, or ran last.
fn is_in_other_cell(location: &Location<'_>) -> bool {
    let file = location.file();
    // Each cell has a copy of the name.
    file == CELL_FILE && loaded_cells::is_in_other_cell(file.as_ptr().addr())
}

/// The place of a panic; in the statement that led there, if it is in hidden code or in a closure of
/// another cell.
fn place(location: Option<&Location<'_>>) -> String {
    let line = LINE.load(Ordering::Relaxed);
    let is_hidden = |location: &Location<'_>| {
        let file = location.file();
        HIDDEN.iter().any(|part| file.contains(part))
    };
    match location {
        Some(location) if line > 0 && (is_hidden(location) || is_in_other_cell(location)) => {
            format!("{CELL_FILE}:{line}:1")
        }
        Some(location) => location.to_string(),
        None => String::new(),
    }
}

/// Called by the runtime after every cell: flushes the stdout of the cells' own standard library,
/// updates the displays of an engine's widgets, and reports the AsyncResults that no variable names
/// any more.
#[unsafe(no_mangle)]
pub extern "C" fn phalanx_cell_end() {
    crate::widgets::settle();
    // A cell that has closed its stdout has nothing to flush.
    let _ = std::io::stdout().flush();
    at(0);
    crate::async_result::report_lost_names();
}

/// Drops variables whose types are unknown to the calling cell.
///
/// # Safety
/// `store` is null, or the pointer that evcxr has passed to a cell of this process.
pub unsafe fn drop_variables(store: *mut c_void, names: &[&str]) {
    // SAFETY: guaranteed by the caller; cells use the store one at a time.
    if let Some(store) = unsafe { store.cast::<VariableStore>().as_mut() } {
        store.drop_variables(names);
    }
}

/// Stores a variable's value where functions find it. Called by a hidden cell on an engine before a
/// function that refers to the variable.
pub fn publish<T: Transferable>(name: &str, value: &T) {
    if let Err(error) = namespace::set(name, value) {
        panic!("{error}");
    }
}

/// Returns the value that was pushed under a name. Called by a hidden cell on an engine before a
/// cell that mentions the name.
pub fn pushed<T: Transferable>(name: &str) -> T {
    match namespace::get(name) {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
