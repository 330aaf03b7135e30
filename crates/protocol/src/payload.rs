//! Arguments and values within our programs: decoded once on receipt, encoded once on sending.

use crate::segment::{SegmentPart, SegmentRef};
use bytes::Bytes;

/// Arguments or a value: the bytes themselves, or a reference to a file that contains them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// The bytes.
    Inline(Bytes),
    /// A reference; boxed, since most payloads are small and there may be a million of them.
    Segment(Box<Segment>),
}

/// A reference to data in a file ([`crate::segment`]), in its encoded form.
///
/// If it was created by this process, the file stays open as long as a clone of it lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    reference: SegmentRef,
    frame: Bytes,
}

impl Segment {
    /// Decodes a frame as a reference; `None` if it is data.
    pub fn read(frame: Bytes) -> Option<Self> {
        let reference = SegmentRef::from_bytes(&frame)?;
        Some(Self { reference, frame })
    }

    /// The location of the data.
    pub fn reference(&self) -> &SegmentRef {
        &self.reference
    }

    /// The parts of the data that are in other files.
    pub fn links(&self) -> Vec<SegmentPart> {
        SegmentPart::all(&self.frame)
    }

    /// The bytes sent in place of the data.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }
}

impl Payload {
    /// Decodes a frame: data never begins with the mark of references.
    pub fn read(frame: Bytes) -> Self {
        match SegmentRef::from_bytes(&frame) {
            Some(reference) => Self::Segment(Box::new(Segment { reference, frame })),
            None => Self::Inline(frame),
        }
    }

    /// The frame that is sent for it.
    pub fn frame(&self) -> &Bytes {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Segment(segment) => &segment.frame,
        }
    }

    /// Converts it into the frame that is sent for it.
    pub fn into_frame(self) -> Bytes {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Segment(segment) => segment.frame,
        }
    }

    /// The reference, if the data is in a file.
    pub fn segment(&self) -> Option<&Segment> {
        match self {
            Self::Inline(_) => None,
            Self::Segment(segment) => Some(segment),
        }
    }

    /// The size of the data in bytes, inline or in a file.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Segment(segment) => segment.reference.len,
        }
    }
}

impl Default for Payload {
    /// An empty payload.
    fn default() -> Self {
        Self::Inline(Bytes::new())
    }
}

impl From<Segment> for Payload {
    fn from(segment: Segment) -> Self {
        Self::Segment(Box::new(segment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_what_they_are_and_written_as_they_came() {
        let reference = SegmentRef {
            pid: 1,
            fd: 2,
            device: 3,
            inode: 4,
            offset: 0,
            len: 1 << 40,
        };
        let link = SegmentPart {
            at: 7,
            segment: reference.clone(),
        };
        let frame = Bytes::from([reference.to_bytes(), link.to_bytes()].concat());
        let payload = Payload::read(frame.clone());
        let segment = payload.segment().unwrap();
        assert_eq!(
            (segment.reference(), segment.links()),
            (&reference, vec![link])
        );
        assert_eq!((payload.size(), payload.frame()), (1 << 40, &frame));
        assert_eq!(Segment::read(frame.clone()).as_ref(), Some(segment));
        assert_eq!(payload.into_frame(), frame);

        let data = Bytes::from_static(b"P42");
        let payload = Payload::read(data.clone());
        assert_eq!(payload, Payload::Inline(data.clone()));
        assert_eq!((payload.size(), payload.segment()), (3, None));
        assert_eq!(Segment::read(data), None);
        assert_eq!(Payload::default().size(), 0);
    }
}
