//! Values that cells own, drop and clone without knowing their content.
//!
//! Every cell compiles drop and clone of the types it uses, with all their fields. For an opaque
//! type, each is a call into the library.

/// Declares a type that consists of one pointer: `opaque! { pub struct Handle of Content }`.
macro_rules! opaque {
    ($(#[$meta:meta])* $vis:vis struct $name:ident of $content:ty) => {
        $(#[$meta])*
        $vis struct $name(std::mem::ManuallyDrop<Box<$content>>);

        #[allow(dead_code, reason = "some types use only one of the two")]
        impl $name {
            /// Moves the content behind a pointer.
            #[inline(never)]
            fn wrap(content: $content) -> Self {
                Self(std::mem::ManuallyDrop::new(Box::new(content)))
            }

            /// Returns the content, taken from behind the pointer.
            #[inline(never)]
            fn into_content(mut self) -> $content {
                // SAFETY: taken only once: neither `self` nor its destructor is used afterwards.
                let content = unsafe { std::mem::ManuallyDrop::take(&mut self.0) };
                std::mem::forget(self);
                *content
            }
        }

        impl Drop for $name {
            #[inline(never)]
            fn drop(&mut self) {
                // SAFETY: dropped only here, and not used afterwards.
                unsafe { std::mem::ManuallyDrop::drop(&mut self.0) };
            }
        }

        impl std::ops::Deref for $name {
            type Target = $content;

            #[inline]
            fn deref(&self) -> &$content {
                &self.0
            }
        }

        impl std::ops::DerefMut for $name {
            #[inline]
            fn deref_mut(&mut self) -> &mut $content {
                &mut self.0
            }
        }
    };
    (@clone $name:ident) => {
        impl Clone for $name {
            #[inline(never)]
            fn clone(&self) -> Self {
                Self::wrap((**self).clone())
            }
        }
    };
}

pub(crate) use opaque;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    opaque! {
        struct Counted of Arc<()>
    }
    opaque!(@clone Counted);

    #[test]
    fn content_is_dropped_once() {
        let count = Arc::new(());
        let first = Counted::wrap(Arc::clone(&count));
        let copy = first.clone();
        assert_eq!(Arc::strong_count(&count), 3);
        drop(first);
        assert_eq!(Arc::strong_count(&count), 2);
        let content = copy.into_content();
        assert_eq!(Arc::strong_count(&count), 2);
        drop(content);
        assert_eq!(Arc::strong_count(&count), 1);
    }
}
