//! Large plain data in memory that the processes of one machine share.
//!
//! | file | contents |
//! |---|---|
//! | `plain.rs` | the types it can consist of: unsafe |
//! | `memory.rs` | unnamed files, mapped: unsafe |
//! | `out_of_band.rs` | plain data in transit, outside of its value's bytes |

pub(crate) mod memory;
pub(crate) mod out_of_band;
mod plain;

pub use plain::Plain;

use memory::StableBytes;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, Deref, RangeBounds};
use std::sync::Arc;

/// The number of items of a longer slice that [`Debug`](fmt::Debug) shows.
const SHOWN: usize = 100;

/// Data smaller than this, in bytes, is stored inline, and copied on arrival.
const OUT_OF_BAND_THRESHOLD: usize = 1 << 12;

/// An immutable slice of plain data that the engines of one machine map instead of copying:
/// `Shared<[f64]>`.
///
/// Made from a `Vec` without a copy. Pushed, scattered, passed to a function, captured by
/// [`task!`](crate::task!) or returned, it is written once to memory that all processes of the
/// machine map read-only; engines on other machines receive its bytes. While the data lives,
/// sending it again does not write it again. Cheap to clone; a part of it ([`slice`](Self::slice))
/// shares the memory, which lives as long as any process uses it, even after the sender has exited.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let dv = Client::connect()?.all();
/// let table: Shared<[f64]> = (0..1_000_000).map(|i| f64::from(i).sqrt()).collect();
/// dv.push("table", &table)?; // mapped by the engines of this machine, not copied
/// let last = dv.apply_sync_with(|t: Shared<[f64]>| t[t.len() - 1], Reference("table"))?;
/// assert!(last.iter().all(|last| *last == table[999_999]));
/// # Ok::<(), phalanx::Error>(())
/// ```
pub struct Shared<S: ?Sized> {
    chunk: StableBytes,
    /// The number of items, which may be zero-sized.
    count: usize,
    slice: PhantomData<S>,
}

impl<T: Plain> Shared<[T]> {
    /// Wraps the items of a list without moving them.
    pub fn new(items: Vec<T>) -> Self {
        let items = Arc::new(items);
        let (start, len) = (items.as_ptr().cast(), size_of_val(items.as_slice()));
        let count = items.len();
        // SAFETY: plain data is initialized bytes, which stay in place while the list lives and can
        // no longer be mutated.
        let chunk = unsafe { StableBytes::new(start, len, items) }.sent_again();
        Self::of(chunk, count)
    }

    /// Returns a part of it, which shares the memory.
    ///
    /// # Panics
    /// If the range is out of bounds, as for slices.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(to) => *to,
            Bound::Unbounded => self.count,
        };
        let count = self[from..to].len();
        let bytes = from * size_of::<T>()..to * size_of::<T>();
        let chunk = self.chunk.part(bytes).unwrap_or_else(|| self.chunk.clone());
        Self::of(chunk, count)
    }

    /// Checks that the bytes are `count` items, suitably aligned.
    fn checked(chunk: StableBytes, count: usize) -> Option<Self> {
        let chunk = if chunk.as_ptr().addr().is_multiple_of(align_of::<T>()) {
            chunk
        } else {
            StableBytes::copy(&chunk)
        };
        let is_right = count.checked_mul(size_of::<T>()) == Some(chunk.len());
        is_right.then(|| Self::of(chunk.sent_again(), count))
    }

    fn of(chunk: StableBytes, count: usize) -> Self {
        Self {
            chunk,
            count,
            slice: PhantomData,
        }
    }
}

impl<T: Plain> Deref for Shared<[T]> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the bytes are `count` aligned items: either they were a list of them, or
        // `checked` has verified it. All bytes are valid plain data, and they never change.
        unsafe { std::slice::from_raw_parts(self.chunk.as_ptr().cast(), self.count) }
    }
}

impl<T: Plain> AsRef<[T]> for Shared<[T]> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<S: ?Sized> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self {
            chunk: self.chunk.clone(),
            ..*self
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Shared<[T]> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count <= SHOWN {
            return (**self).fmt(f);
        }
        let more = format!("… {} in all", self.count);
        let first = self.iter().take(SHOWN).map(|item| item as &dyn fmt::Debug);
        f.debug_list()
            .entries(first)
            .entry(&format_args!("{more}"))
            .finish()
    }
}

impl<T: Plain + PartialEq> PartialEq for Shared<[T]> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Plain> Default for Shared<[T]> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<T: Plain> From<Vec<T>> for Shared<[T]> {
    fn from(items: Vec<T>) -> Self {
        Self::new(items)
    }
}

impl<T: Plain> From<&[T]> for Shared<[T]> {
    fn from(items: &[T]) -> Self {
        Self::new(items.to_vec())
    }
}

impl<T: Plain> FromIterator<T> for Shared<[T]> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::new(items.into_iter().collect())
    }
}

/// The serialized form: the type and number of the items, and their bytes or a reference to them.
type SerializedShared<'a> = (&'a str, u64, u64, Option<u64>, RawItems<'a>);

impl<T: Plain> Serialize for Shared<[T]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let offset = (self.chunk.len() >= OUT_OF_BAND_THRESHOLD)
            .then(|| out_of_band::put(&self.chunk))
            .flatten();
        let bytes = match offset {
            Some(_) => &[],
            None => &*self.chunk,
        };
        let (size, count) = (size_of::<T>() as u64, self.count as u64);
        let written: SerializedShared<'_> =
            (type_name::<T>(), size, count, offset, RawItems(bytes));
        written.serialize(serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for Shared<[T]> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, size, count, offset, Bytes(bytes)) =
            <(String, u64, u64, Option<u64>, Bytes)>::deserialize(deserializer)?;
        let expected = (type_name::<T>(), size_of::<T>() as u64);
        check_bytes(&name, size, count, offset, bytes, expected)
            .and_then(|chunk| {
                Self::checked(chunk, count as usize)
                    .ok_or_else(|| "there are fewer or more bytes than items".to_owned())
            })
            .map_err(|why| {
                out_of_band::fails(&why);
                D::Error::custom(why)
            })
    }
}

/// Checks that the bytes found are `count` items of the expected type.
#[inline(never)]
fn check_bytes(
    name: &str,
    size: u64,
    count: u64,
    offset: Option<u64>,
    bytes: Vec<u8>,
    expected: (&str, u64),
) -> Result<StableBytes, String> {
    use crate::type_names::plain;
    if (plain(name), size) != (plain(expected.0), expected.1) {
        return Err(format!(
            "it is of type Shared<[{}]> (items of {size} bytes), and Shared<[{}]> (of {}) is wanted",
            plain(name),
            plain(expected.0),
            expected.1
        ));
    }
    match offset {
        None => Ok(StableBytes::copy(&bytes)),
        Some(offset) => size
            .checked_mul(count)
            .and_then(|len| out_of_band::take(offset, len))
            .ok_or_else(|| "its out-of-band data is missing".to_owned()),
    }
}

struct RawItems<'a>(&'a [u8]);

impl Serialize for RawItems<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = items.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_bytes(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Parts, decode_parts};

    fn there_and_back<T: Plain>(items: &Shared<[T]>) -> Result<Shared<[T]>, String> {
        decode_parts(&Parts::of(items).unwrap())
    }

    #[test]
    fn lists_and_their_parts_share_memory() {
        let items = vec![1.5f64; 1000];
        let start = items.as_ptr();
        let shared = Shared::new(items);
        assert_eq!(shared.as_ptr(), start);
        let part = shared.clone().slice(10..=20);
        assert_eq!(part.as_ptr(), shared[10..].as_ptr());
        assert_eq!((part.len(), shared.slice(..).len()), (11, 1000));
        // Large data is written out of band, and only once.
        let back = there_and_back(&shared).unwrap();
        assert_eq!(back.as_ptr(), start);
        drop(shared);
        assert_eq!(back.iter().sum::<f64>(), 1500.0);
    }

    #[test]
    fn empty_lists_and_zero_sized_items_are_supported() {
        assert_eq!(there_and_back(&Shared::<[u8]>::default()).unwrap().len(), 0);
        let nothings = Shared::new(vec![[0u64; 0]; 5]);
        assert_eq!(there_and_back(&nothings).unwrap().len(), 5);
        assert_eq!(nothings.slice(2..).len(), 3);
        let empty = Shared::new(vec![1u128; 3]).slice(3..);
        assert!(there_and_back(&empty).unwrap().is_empty());
    }

    #[test]
    fn arrays_and_user_types_are_plain() {
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[repr(C)]
        struct Particle {
            position: [f64; 3],
            mass: f64,
        }
        // SAFETY: four numbers without padding.
        unsafe impl Plain for Particle {}
        let one = Particle {
            position: [1.0, 2.0, 3.0],
            mass: 4.0,
        };
        for count in [1, 1000] {
            let particles = Shared::new(vec![one; count]);
            assert_eq!(there_and_back(&particles).unwrap(), particles);
        }
    }

    #[test]
    fn other_item_types_are_rejected() {
        for count in [1, 10_000] {
            let parts = Parts::of(&Shared::new(vec![1.0f64; count])).unwrap();
            let error = decode_parts::<Shared<[i64]>>(&parts).unwrap_err();
            assert!(
                error.contains("Shared<[f64]>") && error.contains("Shared<[i64]>"),
                "{error}"
            );
            let error = decode_parts::<Shared<[f32]>>(&parts).unwrap_err();
            assert!(error.contains("items of 8 bytes"), "{error}");
        }
    }

    #[test]
    fn other_formats_contain_the_data() {
        let shared: Shared<[u16]> = (0..10_000).collect();
        let json = serde_json::to_string(&shared).unwrap();
        let back: Shared<[u16]> = serde_json::from_str(&json).unwrap();
        assert_eq!(back, shared);
    }

    #[test]
    fn long_lists_are_abbreviated() {
        assert_eq!(format!("{:?}", Shared::new(vec![1, 2])), "[1, 2]");
        let many = format!("{:?}", Shared::new(vec![0u8; 1000]));
        assert!(many.ends_with("0, … 1000 in all]"), "{many}");
    }
}
