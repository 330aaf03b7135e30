//! Values that handles share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A value that is locked for a lookup or a change. Clones share it.
#[derive(Debug, Default)]
pub struct Locked<T>(Arc<Mutex<T>>);

impl<T> Locked<T> {
    /// Locks the value; the guard must not be held across an await.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Locked<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
