//! Support for compiled cells: the display of the last expression, and the functions the runtime
//! calls.

use crate::__store::VariableStore;
use crate::backtrace;
use crate::function::Transferable;
use crate::namespace;
use crate::table::debug::{self, may_be_table};
use crate::value_text::ValueText;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::{ErrorText, MARKER_END, MARKER_START};
use std::cell::RefCell;
use std::error::Error;
use std::ffi::c_void;
use std::fmt;
use std::io::Write;
use std::ops::Deref;
use std::panic::{self, Location};
use std::process::{ExitCode, Termination};
use std::sync::{LazyLock, OnceLock};
use std::thread::{self, ThreadId};

/// Shows a value the way evcxr's protocol wants it, or the beginning of a long one; a unit value, which
/// the name of its type tells, is not shown.
///
/// Every cell compiles what calls this, so nothing here is generic.
pub fn show(type_name: &str, value: fmt::Arguments<'_>) {
    if type_name == "()" {
        return;
    }
    let text = ValueText::new(value);
    content("text/plain", format_args!("{text}"));
    if may_be_table(type_name)
        && let Some(table) = text.whole().and_then(|text| debug::table(type_name, text))
    {
        content("text/html", format_args!("{}", table.to_html()));
    }
}

/// Shows one representation of a value the way evcxr's protocol wants it.
pub(crate) fn content(mime: &str, value: fmt::Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    // A cell that closed its stdout cannot show anything.
    let _ = writeln!(
        stdout,
        "EVCXR_BEGIN_CONTENT {mime}\n{value}\nEVCXR_END_CONTENT"
    );
}

/// A type's name without the paths: `Option<String>`.
pub fn short(type_name: &str) -> String {
    let mut name = String::with_capacity(type_name.len());
    let mut word = 0;
    for c in type_name.chars() {
        if c == ':' {
            name.truncate(word);
            continue;
        }
        name.push(c);
        if !(c.is_alphanumeric() || c == '_') {
            word = name.len();
        }
    }
    name
}

/// Reports a panic in the thread that runs the cells to the owner.
pub(crate) fn report_panic(message: &str, location: &str) {
    let end = format!("{MARKER_START}end-panic{MARKER_END}");
    let report = format!("{MARKER_START}panic;{location}{MARKER_END}{message}{end}");
    // One write, so that another thread's text does not fall between; nothing to do if it fails.
    let _ = std::io::stderr().write_all(report.as_bytes());
}

/// Prints an error that leaves a cell through `?`, as evcxr's code does, and whatever else is one
/// variable alone.
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

/// Gives the error of what a cell returns a type, where the cell leaves it open.
///
/// # Errors
/// The error that it is given.
pub fn boxed<T>(returned: Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    returned
}

/// A static of a macro's making, which all cells have from the one that was loaded first.
pub struct SharedStatic<T: 'static>(LazyLock<&'static T>);

impl<T> SharedStatic<T> {
    /// Refers to what a function gives.
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

/// Statements whose variables later cells do not have: evcxr, which keeps what a `let` declares, does
/// not look into the call of a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __unkept {
    ($($statements:tt)*) => { $($statements)* };
}

pub use crate::__unkept as unkept;

/// The standard macro of that name, given its place in the notebook.
#[doc(hidden)]
#[macro_export]
macro_rules! __dbg {
    ($place:literal;) => {
        ::std::eprintln!("[{}]", $place)
    };
    ($place:literal; $value:expr $(,)?) => {
        match $value {
            value => {
                ::std::eprintln!("[{}] {} = {:#?}", $place, ::std::stringify!($value), &value);
                value
            }
        }
    };
    ($place:literal; $($value:expr),+ $(,)?) => {
        ($($crate::__dbg!($place; $value)),+,)
    };
}

/// `column!`, `file!` and `line!`, given their answers.
#[doc(hidden)]
#[macro_export]
macro_rules! __place {
    ($place:literal) => {
        $place
    };
}

pub use crate::__dbg as dbg;
pub use crate::__place as column;
pub use crate::__place as file;
pub use crate::__place as line;

thread_local! {
    /// The library's error that was formatted last, and its text.
    static FORMATTED: RefCell<Option<(String, Failure)>> = const { RefCell::new(None) };
}

/// Notes that an error of the library was formatted.
pub(crate) fn formatted(text: &str, failure: &Failure) {
    FORMATTED.set(Some((text.to_owned(), failure.clone())));
}

/// Prints an error that leaves a cell, in the form that `:efmt` has set.
pub fn report_error(text: fmt::Arguments<'_>) {
    FORMATTED.set(None);
    let text = text.to_string();
    report(text, None);
}

/// Prints an error that leaves a cell, with its causes and the place of the `?`.
#[track_caller]
pub fn report_causes(error: &(dyn Error + 'static)) {
    let location = Location::caller().to_string();
    FORMATTED.set(None);
    let mut text = error.to_string();
    let formatted = FORMATTED.take();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        // Some put the text of the cause into their own.
        if !text.ends_with(&inner) {
            text += &format!(": {inner}");
        }
        cause = error.source();
    }
    FORMATTED.set(formatted);
    report(text, Some(location));
}

/// Prints an error on stderr, in the thread that runs the cells so that its owner can tell it from other
/// text.
fn report(text: String, location: Option<String>) {
    if !in_main_thread() {
        return std::eprintln!("{text}");
    }
    let formatted = FORMATTED.take().filter(|(formatted, _)| *formatted == text);
    let error = ErrorText {
        failure: formatted.map(|(_, failure)| Box::new(failure)),
        text,
        location,
    };
    let Ok(report) = serde_json::to_string(&error) else {
        return;
    };
    let end = format!("{MARKER_START}end-error{MARKER_END}");
    let report = format!("{MARKER_START}error{MARKER_END}{report}{end}");
    // As for a panic.
    let _ = std::io::stderr().write_all(report.as_bytes());
}

/// Tells the owner that the cell returns before its end, and the user which variables it does not leave.
pub fn returned(names: &[&str]) {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    if !quoted.is_empty() {
        let names = quoted.join(", ");
        std::eprintln!("not kept, because the cell returned before its end: {names}");
    }
    // As for a panic.
    let _ = std::io::stderr().write_all(format!("{MARKER_START}returned{MARKER_END}").as_bytes());
}

/// A test, by the condition under which it passes.
#[derive(Debug)]
pub enum UnitTest {
    /// It returns no error.
    Returns(fn() -> bool),
    /// It panics.
    Panics(fn() -> bool),
    /// It is not run.
    Ignored,
}

/// Runs a test; returns true unless it returns an error.
pub fn passes<T: Termination>(test: fn() -> T) -> bool {
    test().report() == ExitCode::SUCCESS
}

/// Runs tests and prints what came of each.
///
/// # Panics
/// When one has failed.
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

/// Returns true in the main thread, which runs the cells; their standard library, loaded later than
/// the process began, cannot tell.
fn in_main_thread() -> bool {
    let thread = std::fs::read_link("/proc/thread-self").ok();
    let known = thread.as_ref().and_then(|thread| thread.to_str());
    known.is_some_and(|thread| {
        let mut parts = thread.split('/');
        parts.next() == parts.nth(1)
    })
}

/// Called by the runtime before the first cell, in the thread that runs all of them.
///
/// A panic there ends the cell, so its report is the cell's error and not text on stderr; other
/// threads' panics are reported as ever.
#[unsafe(no_mangle)]
pub extern "C" fn phalanx_cell_begin() {
    static CELLS: OnceLock<ThreadId> = OnceLock::new();
    let cells = *CELLS.get_or_init(|| thread::current().id());
    let elsewhere = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() != cells {
            return elsewhere(info);
        }
        let message = info.payload_as_str().unwrap_or("a value that is no text");
        let location = info.location().map(ToString::to_string);
        if let Some(functions) = backtrace::wanted() {
            std::eprint!("{functions}");
        }
        report_panic(message, &location.unwrap_or_default());
    }));
}

/// Called by the runtime after every cell: flushes the stdout of the cells' own standard library, and
/// tells the kernel which AsyncResults are dropped for good.
#[unsafe(no_mangle)]
pub extern "C" fn phalanx_cell_end() {
    // A cell that closed its stdout has nothing left to flush.
    let _ = std::io::stdout().flush();
    crate::async_result::report_lost_names();
}

/// Drops variables, whose types the cell that calls this does not know any more.
///
/// # Safety
/// The store is null, or what evcxr has passed to a cell in this process.
pub unsafe fn drop_variables(store: *mut c_void, names: &[&str]) {
    // SAFETY: the caller's; one cell after the other uses it.
    if let Some(store) = unsafe { store.cast::<VariableStore>().as_mut() } {
        store.drop_variables(names);
    }
}

/// Puts a variable's value where functions find it: a hidden cell of an engine, before a function
/// that refers to it.
pub fn publish<T: Transferable>(name: &str, value: &T) {
    if let Err(error) = namespace::set(name, value) {
        panic!("{error}");
    }
}

/// The value that was pushed under a name: a hidden cell of an engine, before a cell that mentions it.
pub fn pushed<T: Transferable>(name: &str) -> T {
    match namespace::get(name) {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
