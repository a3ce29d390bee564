//! Bytes on their way into an outbox.
//!
//! Owns the ways to hold the bytes of a body: as a part of the program, alone, or shared. Leaves
//! to `outbox` when a copy is cheaper than keeping them.

use std::sync::Arc;

/// The bytes of a whole body. Large ones are sent without a copy, however they are held.
///
/// ```
/// use std::sync::Arc;
/// use pushlab::proto::{Bytes, Outbox};
/// let page: Arc<[u8]> = vec![b'x'; 10_000].into();
/// let (mut first, mut second) = (Outbox::new(), Outbox::new());
/// first.push(Bytes::Shared(Arc::clone(&page)));
/// second.push(Bytes::Shared(page));
/// assert_eq!(first.chunks().next().map(<[u8]>::as_ptr), second.chunks().next().map(<[u8]>::as_ptr));
/// assert_eq!(Bytes::from("text").as_bytes(), b"text");
/// ```
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Bytes that are part of the program.
    Static(&'static [u8]),
    /// Bytes with one owner.
    Owned(Vec<u8>),
    /// Bytes that many connections share.
    Shared(Arc<[u8]>),
}

impl Bytes {
    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// The number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Bytes {
    /// No bytes, and no memory.
    fn default() -> Self {
        Self::Static(b"")
    }
}

macro_rules! bytes_from {
    ($($type:ty: $value:ident => $bytes:expr;)*) => {
        $(impl From<$type> for Bytes {
            #[inline]
            fn from($value: $type) -> Self { $bytes }
        })*
    };
}

bytes_from! {
    &'static str: text => Self::Static(text.as_bytes());
    &'static [u8]: bytes => Self::Static(bytes);
    String: text => Self::Owned(text.into_bytes());
    Vec<u8>: bytes => Self::Owned(bytes);
    Arc<[u8]>: bytes => Self::Shared(bytes);
}

impl<const N: usize> From<&'static [u8; N]> for Bytes {
    #[inline]
    fn from(bytes: &'static [u8; N]) -> Self {
        Self::Static(bytes)
    }
}
