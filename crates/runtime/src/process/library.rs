//! Loading compiled cells and calling them: the one place where foreign code is entered.

use super::listeners::Listeners;
use super::load_error;
use super::own_data;
use super::thread_data::ThreadData;
use crate::{ASKED_WORD, STOP_WORD};
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
/// that runs all of them.
const BEGIN_SYMBOL: &[u8] = b"phalanx_cell_begin\0";
/// Exported by a cell that defines types anew: drops the variables that have the old ones.
const DROPS_SYMBOL: &[u8] = b"phalanx_cell_drops\0";
/// Exported by the `phalanx` library of every cell: flushes the cells' own stdout.
const END_SYMBOL: &[u8] = b"phalanx_cell_end\0";

/// Exported by the `phalanx` library of every cell: told where it reads that the cell is to stop,
/// and where it writes that it has looked.
const PAGE_SYMBOL: &[u8] = b"phalanx_cell_page\0";

type ShowPage = unsafe extern "C" fn(*const AtomicU32, *const AtomicU32);
type Entry = unsafe extern "C" fn(*mut c_void) -> *mut c_void;
/// A function of the `phalanx` library that the runtime calls.
pub(super) type LibraryHook = unsafe extern "C" fn();
type DropStore = unsafe extern "C" fn(*mut c_void);

/// Every cell that was loaded, and the store that holds the user's variables.
pub(super) struct LoadedCells {
    /// evcxr's variable store: made by the first cell that has variables, passed to every other.
    store: *mut c_void,
    loaded: HashMap<PathBuf, LoadedLibrary>,
    /// The number of copies of libraries that were loaded.
    copies: u64,
    /// The load addresses of libraries whose functions are called.
    bases: HashMap<PathBuf, CalledLibrary>,
    /// The functions that have been called to begin: each build of the `phalanx` library has one.
    begun: HashSet<usize>,
    thread_data: ThreadData,
    /// The reason why a library that cells need could not be loaded: the cause of whatever they
    /// lack.
    not_loaded: Option<String>,
    listeners: Listeners,
    page: Arc<SharedPage>,
    #[cfg(feature = "echo")]
    echo: super::echo::Namespace,
}

/// A cell's library, as it was loaded first.
struct LoadedLibrary {
    library: ManuallyDrop<Library>,
    /// The file it was loaded from: a new evaluator may write another cell to the same path.
    file: Option<FileIdentity>,
    /// True if another run needs another copy, with data as it was; `None` before the second run.
    has_own_data: Option<bool>,
}

impl LoadedLibrary {
    /// Returns true unless the file at the path is still the one that is loaded, and a second run of
    /// it finds nothing changed.
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
    base: usize,
    end: Option<LibraryHook>,
}

impl LoadedCells {
    /// No cells; `page` is the one shared with the owner.
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

    /// Loads a library whose symbols all later cells may use.
    pub(super) fn load(&mut self, path: &Path) -> Result<(), String> {
        #[cfg(feature = "echo")]
        if super::echo::is_script(path) {
            return Ok(());
        }
        let library = open(path, RTLD_NOW | RTLD_GLOBAL).inspect_err(|error| {
            self.not_loaded.get_or_insert_with(|| error.clone());
        })?;
        // Cells may be bound to this build of the `phalanx` library although the loader has given them
        // another one of the same name to depend on, by which alone they would be attached.
        let base = super::call::base(&library)?;
        super::call::attach(&library, path, base);
        self.thread_data.save(path, base);
        self.listeners.attach(&library);
        super::profiler::attach(&library);
        self.show_page(&library);
        Ok(())
    }

    /// Loads a cell and runs it to its end.
    ///
    /// # Errors
    /// With the loader's message, when the library or its entry cannot be had; nothing ran then.
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
                // Running a cell again gives it new statics, as evcxr's users expect; the loader would
                // hand out the library it already has.
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
        // SAFETY: the evaluator compiled the library with an entry of this type under this name.
        let run = unsafe { library.get::<Entry>(entry.as_bytes()) }.map_err(|e| e.to_string())?;
        begin(&mut self.begun, library);
        // SAFETY: the evaluator alone has a cell export this name, as a function of this type.
        if let Ok(drops) = unsafe { library.get::<DropStore>(DROPS_SYMBOL) } {
            // SAFETY: as for the cell's entry; panics are caught inside.
            unsafe { drops(self.store) };
        }
        // SAFETY: the store is null or was made by an earlier cell's entry in this process, and all
        // cells are compiled by the same compiler from the same definition of the store. Panics are
        // caught inside, or abort.
        self.store = unsafe { run(self.store) };
        call_hook(library, END_SYMBOL);
        Ok(())
    }

    /// Makes a library that was just loaded known to what it is linked to, and its statics to what is
    /// loaded later.
    fn introduce(&mut self, library: &Library, artifact: &Path) -> Result<(), String> {
        // SAFETY: the address is not used; only the evaluator has a library export this name.
        if unsafe { library.get::<*const u8>(SHARED_STATICS_SYMBOL.as_bytes()) }.is_ok() {
            // It is the same one, and visible from now on.
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
        self.show_page(library);
        Ok(())
    }

    /// Makes what dependencies know of their threads what it was: there are none any more.
    pub(super) fn forget_threads(&self) {
        self.thread_data.restore();
    }

    /// Gives a library that was just loaded the address of the stop word.
    fn show_page(&self, library: &Library) {
        // SAFETY: only the `phalanx` library exports this name, as a function of this type.
        if let Ok(show) = unsafe { library.get::<ShowPage>(PAGE_SYMBOL) } {
            let words = self.page.words();
            // SAFETY: as above; the page lives as long as the process, as `LoadedCells` does.
            unsafe { show(&raw const words[STOP_WORD], &raw const words[ASKED_WORD]) };
        }
    }

    /// Has the code hear what frontends have done with its comms.
    pub(super) fn run_callbacks(&mut self) {
        #[cfg(feature = "echo")]
        self.echo.print_events();
        self.listeners.run_callbacks();
    }

    /// Loads a library, unless it is, and calls the function at an offset; returns its value.
    ///
    /// # Errors
    /// With the loader's message, when the library cannot be had; nothing ran then.
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
            // Loaded before, it is the same one.
            let library = open(artifact, RTLD_NOW | RTLD_LOCAL)
                .map_err(|error| self.not_loaded.clone().unwrap_or(error))?;
            let base = super::call::base(&library)?;
            self.introduce(&library, artifact)?;
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
            // SAFETY: it takes nothing and does not unwind, and its library is never unloaded.
            unsafe { end() };
        }
        Ok(output)
    }
}

fn open(path: &Path, flags: i32) -> Result<ManuallyDrop<Library>, String> {
    // SAFETY: loading runs the library's initialisers; that is what an artifact is for. It is never
    // unloaded, since values of its types and destructors of its thread-locals live on.
    unsafe { Library::open(Some(path), flags) }
        .map(ManuallyDrop::new)
        // The loader's own words are beneath.
        .map_err(|error| {
            let message = error
                .source()
                .map_or(error.to_string(), ToString::to_string);
            load_error::explain(&message)
        })
}

/// Loads a library as if it were another one.
fn open_copy(artifact: &Path, number: u64) -> io::Result<(ManuallyDrop<Library>, String)> {
    let mut copy = File::from(rustix::fs::memfd_create("cell", MemfdFlags::CLOEXEC)?);
    io::copy(&mut File::open(artifact)?, &mut copy)?;
    let path = copy_path(copy.as_raw_fd(), number);
    let library = open(Path::new(&path), RTLD_NOW | RTLD_LOCAL).map_err(io::Error::other)?;
    Ok((library, path))
}

/// A way to a descriptor that no other copy has taken: the loader takes what it finds on the same
/// way for the same library, and descriptors are used again.
fn copy_path(descriptor: i32, number: u64) -> String {
    let digits = number.to_string().into_bytes();
    let detour = digits.into_iter().map(|digit| {
        let slashes = usize::from(digit.saturating_sub(b'0')) + 1;
        format!(".{}", "/".repeat(slashes))
    });
    format!("/proc/self/fd/{}{descriptor}", detour.collect::<String>())
}

/// Begins with the `phalanx` library that a cell is linked to, unless that has been done.
fn begin(begun: &mut HashSet<usize>, library: &Library) {
    if let Some(hook) = hook(library, BEGIN_SYMBOL)
        && begun.insert(hook as usize)
    {
        // SAFETY: it takes nothing and does not unwind, and its library is never unloaded.
        unsafe { hook() };
    }
}

/// The function of the `phalanx` library that takes the profiler.
pub(super) fn profiler_of(library: &Library) -> Option<AttachProfiler> {
    // SAFETY: only the `phalanx` library exports this name, as a function of this type.
    unsafe { library.get::<AttachProfiler>(PROFILER_SYMBOL) }
        .ok()
        .map(|attach| *attach)
}

/// Calls an exported function without arguments, if there is one.
fn call_hook(library: &Library, symbol: &[u8]) {
    if let Some(hook) = hook(library, symbol) {
        // SAFETY: it takes nothing and does not unwind, and its library is never unloaded.
        unsafe { hook() };
    }
}

/// An exported function without arguments.
fn hook(library: &Library, symbol: &[u8]) -> Option<LibraryHook> {
    // SAFETY: only the `phalanx` library exports these names, as functions of this type.
    unsafe { library.get::<LibraryHook>(symbol) }
        .ok()
        .map(|hook| *hook)
}

/// Writes where nothing is, as a broken cell does.
#[cfg(feature = "echo")]
pub(super) fn fault() {
    // SAFETY: none; the process ends here, which is what the script asks for.
    unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_has_a_way_of_its_own_to_the_same_file() {
        let file = tempfile::tempfile().unwrap();
        let paths = (0..300).map(|number| copy_path(file.as_raw_fd(), number));
        let paths = paths.collect::<HashSet<_>>();
        assert_eq!(paths.len(), 300);
        for path in paths {
            assert!(Path::new(&path).exists(), "{path}");
        }
    }
}
