//! What every namespace begins with, hidden from `:vars`, completion and messages.

use std::path::Path;

/// The items every cell is compiled with.
///
/// The trait makes evcxr's first attempt at showing the last expression succeed for every `Debug`
/// type, which halves the time of such a cell: see [`super::source`]. It is implemented for
/// references, and so loses against any other `evcxr_display`.
pub(super) const ITEMS: &str = "\
trait __PhalanxShown { fn evcxr_display(&self); }
impl<T: std::fmt::Debug + ?Sized> __PhalanxShown for &T {
    fn evcxr_display(&self) { phalanx::__cell::show(std::any::type_name::<T>(), format_args!(\"{:?}\", self)) }
}";

/// The name and configuration of the dependency on the `phalanx` library.
pub(super) fn dependency(library: &Path) -> (&'static str, String) {
    (
        "phalanx",
        format!("{{ path = {:?} }}", library.display().to_string()),
    )
}

/// Whether a name is ours and none of the user's business.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with("__Phalanx") || name.starts_with("phalanx_cell_") || name.starts_with("evcxr_")
}
