//! Loading and calling compiled cells: the only code that enters foreign code.

use super::listeners::Listeners;
use super::load_error;
use super::own_data;
use super::thread_data::ThreadData;
use crate::{POLLED_WORD, STOP_WORD};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use phalanx_protocol::native::{AttachProfiler, PROFILER_SYMBOL};
use phalanx_protocol::runtime::SHARED_STATICS_SYMBOL;
use phalanx_sys::file_identity::FileIdentity;
use phalanx_sys::page::SharedPage;
use rustix::fs::MemfdFlags;
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Exported by the `phalanx` library of every cell: called before the first cell, in the thread
/// that runs all cells.
const BEGIN_SYMBOL: &[u8] = b"phalanx_cell_begin\0";
/// Exported by a cell that redefines types: drops the variables of the old types.
const DROPS_SYMBOL: &[u8] = b"phalanx_cell_drops\0";
/// Exported by the `phalanx` library of every cell: flushes the cells' own stdout.
const END_SYMBOL: &[u8] = b"phalanx_cell_end\0";

/// Exported by the `phalanx` library of every cell: receives the addresses of the words for stop
/// requests and for polling.
const PAGE_SYMBOL: &[u8] = b"phalanx_cell_page\0";

type ShowPage = unsafe extern "C" fn(*const AtomicU32, *const AtomicU32);
type Entry = unsafe extern "C" fn(*mut c_void) -> *mut c_void;
/// A function of the `phalanx` library that the runtime calls.
pub(super) type LibraryHook = unsafe extern "C" fn();
type DropStore = unsafe extern "C" fn(*mut c_void);

/// All loaded cells, and the store that holds the user's variables.
pub(super) struct LoadedCells {
    /// evcxr's variable store: created by the first cell with variables, and passed to all others.
    store: *mut c_void,
    loaded: HashMap<PathBuf, LoadedLibrary>,
    /// The number of copies of libraries loaded.
    copies: u64,
    /// The libraries whose functions are called.
    bases: HashMap<PathBuf, CalledLibrary>,
    /// The begin functions that were called: each build of the `phalanx` library has one.
    begun: HashSet<usize>,
    thread_data: ThreadData,
    /// The error in loading a library that cells need, which causes their missing symbols.
    not_loaded: Option<String>,
    listeners: Listeners,
    page: Arc<SharedPage>,
    #[cfg(feature = "echo")]
    echo: super::echo::Namespace,
}

/// The first loaded instance of a cell's library.
struct LoadedLibrary {
    library: ManuallyDrop<Library>,
    /// The file it was loaded from: a new evaluator may write another cell to the same path.
    file: Option<FileIdentity>,
    /// True if every run needs a new copy, with its initial data; `None` before the second run.
    has_own_data: Option<bool>,
}

impl LoadedLibrary {
    /// Returns true if a run needs a copy: the file has changed since it was loaded, or a second run
    /// would not find its initial data.
    fn needs_copy(&mut self, artifact: &Path) -> bool {
        if self.file.is_none() || self.file != FileIdentity::of(artifact) {
            return true;
        }
        let known = &mut self.has_own_data;
        *known.get_or_insert_with(|| own_data::has_own_data(artifact))
    }
}

/// A library whose functions are called.
struct CalledLibrary {
    library: ManuallyDrop<Library>,
    /// Its load address.
    base: usize,
    /// The function that flushes the library's stdout, after each call.
    end: Option<LibraryHook>,
}

impl LoadedCells {
    /// Creates the state without cells; `page` is shared with the owner.
    pub(super) fn new(page: Arc<SharedPage>) -> Self {
        Self {
            store: std::ptr::null_mut(),
            loaded: HashMap::new(),
            copies: 0,
            bases: HashMap::new(),
            begun: HashSet::new(),
            thread_data: ThreadData::default(),
            not_loaded: None,
            listeners: Listeners::default(),
            #[cfg(feature = "echo")]
            echo: super::echo::Namespace::new(Arc::clone(&page)),
            page,
        }
    }

    /// Loads a library whose symbols are visible to all later cells.
    pub(super) fn load(&mut self, path: &Path) -> Result<(), String> {
        #[cfg(feature = "echo")]
        if super::echo::is_script(path) {
            return Ok(());
        }
        let library = open(path, RTLD_NOW | RTLD_GLOBAL).inspect_err(|error| {
            self.not_loaded.get_or_insert_with(|| error.clone());
        })?;
        // Cells may use symbols of this build of the `phalanx` library, although the loader has
        // resolved their dependency to another library of the same name, through which alone they
        // would be attached.
        let base = super::call::base(&library)?;
        super::call::attach(&library, path, base);
        self.thread_data.save(path, base);
        self.listeners.attach(&library);
        super::profiler::attach(&library);
        self.pass_page(&library);
        Ok(())
    }

    /// Loads a cell and runs it.
    ///
    /// # Errors
    /// The loader's message, if the library or its entry function cannot be loaded; nothing has run
    /// then.
    pub(super) fn run(&mut self, artifact: &Path, entry: &str) -> Result<(), String> {
        #[cfg(feature = "echo")]
        if super::echo::is_script(artifact) {
            return self.echo.run(artifact);
        }
        let copy;
        let needs_copy = |loaded: &mut LoadedLibrary| loaded.needs_copy(artifact);
        let library = match self.loaded.get_mut(artifact).map(needs_copy) {
            Some(false) => &self.loaded[artifact].library,
            Some(true) => {
                // A repeated run of a cell has new statics, as evcxr's users expect; the loader
                // would return the library that is already loaded.
                self.copies += 1;
                let path;
                (copy, path) = open_copy(artifact, self.copies)
                    .map_err(|error| format!("{}: {error}", artifact.display()))?;
                self.introduce(&copy, Path::new(&path))?;
                &copy
            }
            None => {
                let file = FileIdentity::of(artifact);
                let library = open(artifact, RTLD_NOW | RTLD_LOCAL)
                    .map_err(|error| self.not_loaded.clone().unwrap_or(error))?;
                self.introduce(&library, artifact)?;
                let loaded = LoadedLibrary {
                    library,
                    file,
                    has_own_data: None,
                };
                &self
                    .loaded
                    .entry(artifact.to_owned())
                    .or_insert(loaded)
                    .library
            }
        };
        // SAFETY: the evaluator compiled the library with an entry function of this name and type.
        let run = unsafe { library.get::<Entry>(entry.as_bytes()) }.map_err(|e| e.to_string())?;
        begin(&mut self.begun, library);
        super::call::will_run(super::call::base(library)?);
        // SAFETY: only the evaluator makes a cell export this name, as a function of this type.
        if let Ok(drops) = unsafe { library.get::<DropStore>(DROPS_SYMBOL) } {
            // SAFETY: as for the cell's entry; panics are caught inside.
            unsafe { drops(self.store) };
        }
        // SAFETY: the store is null or was created by an earlier cell's entry in this process, and
        // all cells are compiled by the same compiler from the same definition of the store. Panics
        // are caught inside, or abort.
        self.store = unsafe { run(self.store) };
        call_hook(library, END_SYMBOL);
        Ok(())
    }

    /// Attaches a newly loaded library to the `phalanx` libraries it is linked to, and makes its
    /// shared statics visible to later ones.
    fn introduce(&mut self, library: &Library, artifact: &Path) -> Result<(), String> {
        // SAFETY: the address is not used; only the evaluator makes a library export this name.
        if unsafe { library.get::<*const u8>(SHARED_STATICS_SYMBOL.as_bytes()) }.is_ok() {
            // The loader returns the same library, with its symbols now visible.
            open(artifact, RTLD_NOW | RTLD_GLOBAL)?;
        }
        super::call::attach(library, artifact, super::call::base(library)?);
        for (path, base) in super::call::loaded_after(library) {
            if ThreadData::is_of_dependencies(&path) {
                self.thread_data.save(&path, base);
            }
        }
        self.listeners.attach(library);
        super::profiler::attach(library);
        self.pass_page(library);
        Ok(())
    }

    /// Restores the state of dependencies that depend on threads, which no longer exist.
    pub(super) fn forget_threads(&self) {
        self.thread_data.restore();
    }

    /// Passes the address of the stop word to a newly loaded library.
    fn pass_page(&self, library: &Library) {
        // SAFETY: only the `phalanx` library exports this name, as a function of this type.
        if let Ok(show) = unsafe { library.get::<ShowPage>(PAGE_SYMBOL) } {
            let words = self.page.words();
            // SAFETY: as above; the page lives as long as the process, as `LoadedCells` does.
            unsafe { show(&raw const words[STOP_WORD], &raw const words[POLLED_WORD]) };
        }
    }

    /// Runs the callbacks for events of comms.
    pub(super) fn run_callbacks(&mut self) {
        #[cfg(feature = "echo")]
        self.echo.print_events();
        self.listeners.run_callbacks();
    }

    /// Loads a library, unless it is loaded, and calls the function at an offset; returns its
    /// value.
    ///
    /// # Errors
    /// The loader's message, if the library cannot be loaded; nothing has run then.
    pub(super) fn call(
        &mut self,
        artifact: &Path,
        offset: u64,
        input: &[u8],
    ) -> Result<Vec<u8>, String> {
        if !self.bases.contains_key(artifact) {
            #[cfg(feature = "echo")]
            if super::echo::is_script(artifact) {
                return self.echo.call(artifact, input);
            }
            // If it was loaded before, the loader returns the same library.
            let library = open(artifact, RTLD_NOW | RTLD_LOCAL)
                .map_err(|error| self.not_loaded.clone().unwrap_or(error))?;
            let base = super::call::base(&library)?;
            self.introduce(&library, artifact)?;
            // A second handle: a run of the same cell decides by it if it needs a copy.
            let loaded = open(artifact, RTLD_NOW | RTLD_LOCAL)?;
            self.loaded
                .entry(artifact.to_owned())
                .or_insert(LoadedLibrary {
                    library: loaded,
                    file: FileIdentity::of(artifact),
                    has_own_data: None,
                });
            let end = hook(&library, END_SYMBOL);
            let called = CalledLibrary { library, base, end };
            self.bases.insert(artifact.to_owned(), called);
        }
        let Some(CalledLibrary { library, base, end }) = self.bases.get(artifact) else {
            return Err("the library is not loaded".to_owned());
        };
        begin(&mut self.begun, library);
        let output = super::call::call(*base, offset, input);
        if let Some(end) = end {
            // SAFETY: it has no arguments and does not unwind, and its library is never unloaded.
            unsafe { end() };
        }
        Ok(output)
    }
}

fn open(path: &Path, flags: i32) -> Result<ManuallyDrop<Library>, String> {
    // SAFETY: loading runs the library's initializers, as intended for an artifact. It is never
    // unloaded, since values of its types and destructors of its thread-locals remain.
    unsafe { Library::open(Some(path), flags) }
        .map(ManuallyDrop::new)
        // The loader's message is the source of the error.
        .map_err(|error| {
            let message = error
                .source()
                .map_or(error.to_string(), ToString::to_string);
            load_error::explain(&message)
        })
}

/// Loads a library as a copy, distinct from earlier instances.
fn open_copy(artifact: &Path, number: u64) -> io::Result<(ManuallyDrop<Library>, String)> {
    let mut copy = File::from(rustix::fs::memfd_create("cell", MemfdFlags::CLOEXEC)?);
    io::copy(&mut File::open(artifact)?, &mut copy)?;
    let path = copy_path(copy.as_raw_fd(), number);
    let library = open(Path::new(&path), RTLD_NOW | RTLD_LOCAL).map_err(io::Error::other)?;
    Ok((library, path))
}

/// A path to a descriptor that no other copy has used: the loader identifies libraries by path, and
/// descriptors are reused.
fn copy_path(descriptor: i32, number: u64) -> String {
    let digits = number.to_string().into_bytes();
    let detour = digits.into_iter().map(|digit| {
        let slashes = usize::from(digit.saturating_sub(b'0')) + 1;
        format!(".{}", "/".repeat(slashes))
    });
    format!("/proc/self/fd/{}{descriptor}", detour.collect::<String>())
}

/// Calls the begin function of the `phalanx` library that a cell is linked to, unless it was called
/// before.
fn begin(begun: &mut HashSet<usize>, library: &Library) {
    if let Some(hook) = hook(library, BEGIN_SYMBOL)
        && begun.insert(hook as usize)
    {
        // SAFETY: it has no arguments and does not unwind, and its library is never unloaded.
        unsafe { hook() };
    }
}

/// The function of the `phalanx` library that receives the profiler.
pub(super) fn profiler_of(library: &Library) -> Option<AttachProfiler> {
    // SAFETY: only the `phalanx` library exports this name, as a function of this type.
    unsafe { library.get::<AttachProfiler>(PROFILER_SYMBOL) }
        .ok()
        .map(|attach| *attach)
}

/// Calls an exported function without arguments, if it exists.
fn call_hook(library: &Library, symbol: &[u8]) {
    if let Some(hook) = hook(library, symbol) {
        // SAFETY: it has no arguments and does not unwind, and its library is never unloaded.
        unsafe { hook() };
    }
}

/// Looks up an exported function without arguments.
fn hook(library: &Library, symbol: &[u8]) -> Option<LibraryHook> {
    // SAFETY: only the `phalanx` library exports these names, as functions of this type.
    unsafe { library.get::<LibraryHook>(symbol) }
        .ok()
        .map(|hook| *hook)
}

/// Writes to an invalid address, as a broken cell does.
#[cfg(feature = "echo")]
pub(super) fn fault() {
    // SAFETY: none; the crash of the process is what the script requests.
    unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_has_its_own_path_to_the_same_file() {
        let file = tempfile::tempfile().unwrap();
        let paths = (0..300).map(|number| copy_path(file.as_raw_fd(), number));
        let paths = paths.collect::<HashSet<_>>();
        assert_eq!(paths.len(), 300);
        for path in paths {
            assert!(Path::new(&path).exists(), "{path}");
        }
    }
}
