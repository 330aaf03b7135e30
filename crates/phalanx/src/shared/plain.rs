//! Types that consist of nothing but their bytes.

/// A type [`Shared`](crate::Shared) can hold: numbers, arrays of numbers, and types of your own
/// that consist of numbers.
///
/// # Safety
/// Every bit pattern is a valid value of the type, and it has no padding: `#[repr(C)]`, and `Plain`
/// fields that fill it.
///
/// ```no_run
/// use phalanx::prelude::*;
/// #[derive(Clone, Copy)]
/// #[repr(C)]
/// struct Particle {
///     position: [f64; 3],
///     mass: f64,
/// }
/// // SAFETY: four numbers, without padding.
/// unsafe impl phalanx::Plain for Particle {}
/// let all: Shared<[Particle]> = Shared::new(vec![Particle { position: [0.0; 3], mass: 1.0 }; 8]);
/// assert_eq!(all.iter().map(|particle| particle.mass).sum::<f64>(), 8.0);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known to be plain data, which several processes can look at",
    note = "numbers and arrays of them are; other types are pushed as they are, or in a `Vec`",
    note = "for a `#[repr(C)]` type of plain fields without padding: `unsafe impl phalanx::Plain for {Self} {{}}`"
)]
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

macro_rules! plain {
    ($($number:ty)*) => {
        $(
            // SAFETY: a number has no padding, and all bit patterns are numbers.
            unsafe impl Plain for $number {}
        )*
    };
}

plain!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);

// SAFETY: an array is its items, without padding.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}
