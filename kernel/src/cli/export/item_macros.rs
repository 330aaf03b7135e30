//! The calls of macros that make items, such as `thread_local!`.

use std::ops::Range;

/// The call of a macro that makes items.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ItemMacro {
    /// Its range in bytes of the cell.
    pub(super) range: Range<usize>,
    /// The key by which a later call replaces it.
    pub(super) key: String,
    /// The names of its items, as far as its input has them.
    pub(super) defines: Vec<String>,
}

impl ItemMacro {
    /// Returns true if all its items are statics.
    pub(super) fn makes_statics(&self) -> bool {
        let macros = ["thread_local_", "lazy_static_"];
        macros.iter().any(|name| self.key.starts_with(name))
    }
}

/// Returns the calls of a cell that the notebook treats as items; `earlier` has the macros of
/// earlier cells.
pub(super) fn item_macros(source: &str, earlier: &str) -> Vec<ItemMacro> {
    #[cfg(feature = "evcxr")]
    let calls = phalanx_evaluator::item_macros(source, earlier).into_iter();
    #[cfg(feature = "evcxr")]
    let calls = calls.map(|(range, key, defines)| ItemMacro {
        range,
        key,
        defines,
    });
    #[cfg(not(feature = "evcxr"))]
    let calls = {
        let _ = (source, earlier);
        std::iter::empty()
    };
    calls.collect()
}
