//! What everything that one cell causes needs to know of it.

use crate::cell::SourceMap;
use crate::channel::Outlet;
use crate::report::{Fault, Place};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// A running cell, as seen by what runs on its behalf. Clones share it.
#[derive(Clone, Debug)]
pub struct CellContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    outlet: Outlet,
    source: Arc<str>,
    name: String,
    interrupted: CancellationToken,
    /// Why a magic within the running Rust text failed. Held for an assignment.
    magic_fault: Mutex<Option<Fault>>,
}

impl CellContext {
    /// The context of a cell.
    pub fn new(outlet: Outlet, source: &str, count: usize) -> Self {
        Self(Arc::new(Inner {
            outlet,
            source: source.into(),
            name: format!("In[{count}]"),
            interrupted: CancellationToken::new(),
            magic_fault: Mutex::default(),
        }))
    }

    /// Where the cell's outputs go.
    pub fn outlet(&self) -> &Outlet {
        &self.0.outlet
    }

    /// Cancelled when the user interrupts the cell.
    pub fn interrupted(&self) -> &CancellationToken {
        &self.0.interrupted
    }

    /// A place in the cell.
    pub fn place(&self, map: SourceMap) -> Place {
        Place {
            name: self.0.name.clone(),
            text: Arc::clone(&self.0.source),
            map,
            span: None,
        }
    }

    /// Keeps why a magic within the cell's Rust text failed: that ends the text by a panic, which
    /// is then reported as this. The first one counts.
    pub fn set_magic_fault(&self, fault: Fault) {
        self.fault().get_or_insert(fault);
    }

    /// Takes what `set_magic_fault` has kept.
    pub fn take_magic_fault(&self) -> Option<Fault> {
        self.fault().take()
    }

    fn fault(&self) -> std::sync::MutexGuard<'_, Option<Fault>> {
        self.0
            .magic_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
