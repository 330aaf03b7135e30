//! Variables as `%who` shows them, as far as their types allow.

use crate::table::Table;
use std::fmt::{self, Write};

/// The maximum number of characters shown of a value.
const MAX_VALUE: usize = 60;

/// A variable to be shown. Method resolution prefers [`ByDebug`] to [`ByName`], which every type
/// implements.
#[derive(Debug)]
pub struct ShownVariable<'a, T: ?Sized>(pub &'a T);

/// Types that implement `Debug`.
pub trait ByDebug {
    /// Returns the beginning of the value's debug text.
    fn text(&self) -> String;
}

impl<T: fmt::Debug + ?Sized> ByDebug for ShownVariable<'_, T> {
    fn text(&self) -> String {
        let mut beginning = TruncatedText {
            text: String::new(),
            room: MAX_VALUE,
        };
        // Formatting stops as soon as the limit is reached.
        if write!(beginning, "{:?}", self.0).is_err() {
            beginning.text.push('…');
        }
        beginning.text
    }
}

/// All other types.
pub trait ByName {
    /// Returns an empty text.
    fn text(&self) -> String;
}

impl<T: ?Sized> ByName for &ShownVariable<'_, T> {
    fn text(&self) -> String {
        String::new()
    }
}

/// A variable whose size is to be determined. Method resolution prefers [`ByHeap`] to [`BySize`].
#[derive(Debug)]
pub struct MeasuredVariable<'a, T: ?Sized>(pub &'a T);

/// Types whose elements are on the heap.
pub trait ByHeap {
    /// Returns the size of the value including its elements, in bytes.
    fn bytes(&self) -> usize;
}

impl<T> ByHeap for MeasuredVariable<'_, Vec<T>> {
    fn bytes(&self) -> usize {
        size_of::<Vec<T>>() + self.0.capacity() * size_of::<T>()
    }
}

impl<T> ByHeap for MeasuredVariable<'_, Box<[T]>> {
    fn bytes(&self) -> usize {
        size_of::<Box<[T]>>() + size_of_val(&**self.0)
    }
}

impl ByHeap for MeasuredVariable<'_, String> {
    fn bytes(&self) -> usize {
        size_of::<String>() + self.0.capacity()
    }
}

/// All other types.
pub trait BySize {
    /// Returns the size of the value itself, in bytes.
    fn bytes(&self) -> usize;
}

impl<T> BySize for &MeasuredVariable<'_, T> {
    fn bytes(&self) -> usize {
        size_of::<T>()
    }
}

/// Shows variables: their names, types, sizes and values.
pub fn who(variables: &[(&str, &str, usize, String)]) {
    let mut table = Table::new(["Variable", "Type", "Size", "Value"]);
    for (name, ty, bytes, value) in variables {
        table = table.row([*name, *ty, &size(*bytes), value.as_str()]);
    }
    // If the kernel does not reply, nothing is shown.
    let _ = table.display();
}

fn size(bytes: usize) -> String {
    let size = bytes as f64;
    match size {
        s if s >= 1e9 => format!("{:.1} GB", s / 1e9),
        s if s >= 1e6 => format!("{:.1} MB", s / 1e6),
        s if s >= 1e4 => format!("{:.1} kB", s / 1e3),
        _ => format!("{bytes} B"),
    }
}

/// A text that is truncated while it is written.
struct TruncatedText {
    text: String,
    room: usize,
}

impl Write for TruncatedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.room = self.room.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(if c == '\n' { ' ' } else { c });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ByDebug as _, ByHeap as _, ByName as _, BySize as _, MeasuredVariable, ShownVariable, size,
    };

    struct Opaque(#[expect(dead_code, reason = "it takes room")] u64);

    #[test]
    #[expect(
        clippy::needless_borrow,
        reason = "the reference is what chooses the trait"
    )]
    fn values_are_shown_as_their_traits_allow() {
        let many = vec![1.0; 1_000_000];
        let text = (&ShownVariable(&many)).text();
        assert!(
            text.starts_with("[1.0, 1.0,") && text.ends_with('…'),
            "{text}"
        );
        assert_eq!((&MeasuredVariable(&many)).bytes(), 8_000_024);
        let opaque = Opaque(1);
        assert_eq!((&ShownVariable(&opaque)).text(), "");
        assert_eq!((&MeasuredVariable(&opaque)).bytes(), 8);
        assert_eq!((&ShownVariable("a")).text(), "\"a\"");
        assert_eq!([24, 8_000_024].map(size), ["24 B", "8.0 MB"]);
    }
}
