//! The serialized elements of a list, a tuple or a map.

use super::decoder::{DecodeError, ValueDecoder};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

/// The remaining elements of a list, a tuple or a map.
pub(super) struct Elements<'a, 'de> {
    pub(super) from: &'a mut ValueDecoder<'de>,
    pub(super) remaining: usize,
}

impl Elements<'_, '_> {
    #[inline]
    fn is_next(&mut self) -> bool {
        let remaining = self.remaining.checked_sub(1);
        self.remaining = remaining.unwrap_or_default();
        remaining.is_some()
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        match self.is_next() {
            true => seed.deserialize(&mut *self.from).map(Some),
            false => Ok(None),
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.remaining)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        self.next_element_seed(seed)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        seed.deserialize(&mut *self.from)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.remaining)
    }
}
