//! Arguments and values in transit: bytes, or a reference to a file that contains them.
//!
//! Arguments begin with two numbers of eight bytes: the length of their bytes, and the offset of
//! the function's captures within these. Out-of-band data begins at the next multiple of 64 bytes.

use super::args::{ArgumentBuffers, ArgumentReader, DecodedArgument, EncodedParts};
use crate::Error;
use crate::codec::{Parts, SerializedValue, StoredValue, word};
use crate::error::LibraryError;
use crate::shared::memory::{ALIGN, SegmentWriter, StableBytes, WrittenSegment};
use crate::shared::out_of_band::OutOfBandAreas;
use phalanx_protocol::native::arguments::{HEAD, elsewhere};
use phalanx_protocol::native::value;
use phalanx_protocol::segment::{SEGMENT_THRESHOLD, SegmentPart, SegmentRef};
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::IntoRawFd;

/// The frames to send: one for each task.
pub(crate) struct ArgumentFrames {
    pub(crate) frames: Vec<Vec<u8>>,
    /// The file that references in the frames refer to, kept until the receiver has opened it.
    _file: Option<WrittenSegment>,
}

impl ArgumentFrames {
    /// Builds the frames of all tasks: their arguments, with the captures of the function.
    ///
    /// # Errors
    /// `EnvironmentError` if there is no memory for them.
    pub(crate) fn of(captures: &Parts, tasks: Vec<EncodedParts>) -> Result<Self, Error> {
        let mut frames = Vec::with_capacity(tasks.len());
        let mut segment = None;
        // Large captures are written once, to a file that all tasks refer to.
        let len = captures.bytes.len() as u64 + captures.areas.len();
        if tasks.len() > 1 && len >= SEGMENT_THRESHOLD as u64 {
            segment = SegmentWriter::begin();
        }
        let once = match &mut segment {
            None => None,
            Some(segment) => Some(written_once(captures, segment).map_err(no_memory)?),
        };
        for mut task in tasks {
            let captures_at = task.bytes.len() as u64;
            match once {
                Some((from, len)) => task.elsewhere(from, len),
                None if captures.bytes.is_empty() => {}
                None => task.value(captures.clone()),
            }
            let head = [task.bytes.len() as u64, captures_at];
            let whole = FrameParts {
                head: head.map(u64::to_le_bytes).concat(),
                bytes: task.bytes,
                areas: task.areas,
            };
            let frame = match (&mut segment, once) {
                (Some(segment), Some(_)) => whole.into_segment(segment, RepeatedData::Linked),
                _ => whole.written(&mut segment, RepeatedData::Linked),
            };
            frames.push(frame.map_err(no_memory)?);
        }
        let file = segment
            .map(SegmentWriter::seal)
            .transpose()
            .map_err(no_memory)?;
        Ok(Self {
            frames,
            _file: file,
        })
    }
}

/// Writes captures that all tasks share; returns their offset and length in the file.
fn written_once(captures: &Parts, segment: &mut SegmentWriter) -> io::Result<(u64, u64)> {
    let whole = FrameParts {
        head: [captures.bytes.len() as u64, 0]
            .map(u64::to_le_bytes)
            .concat(),
        bytes: captures.bytes.as_slice(),
        areas: captures.areas.clone(),
    };
    let written = SegmentRef::from_bytes(&whole.into_segment(segment, RepeatedData::Written)?);
    Ok(written.map_or((0, 0), |written| (written.offset, written.len)))
}

/// Serializes the value of a function in the form that `phalanx_protocol::native::value` describes.
///
/// # Errors
/// Returns an error if there is no memory for it.
#[inline(never)]
pub(super) fn value_frame(parts: Parts) -> io::Result<Vec<u8>> {
    let Parts { bytes, areas } = parts;
    let head = head(bytes.len(), &areas);
    into_frame(FrameParts { head, bytes, areas })
}

/// Like [`value_frame`], for a value that was kept in its serialized form.
///
/// # Errors
/// Returns an error if there is no memory for it.
pub(super) fn stored_value_frame(value: StoredValue) -> io::Result<Vec<u8>> {
    let (bytes, areas) = value.split();
    let mut head = head(1 + bytes.len(), &areas);
    head.push(value::POSTCARD);
    into_frame(FrameParts { head, bytes, areas })
}

/// Returns the head of a value with out-of-band data; empty without.
fn head(len: usize, areas: &OutOfBandAreas) -> Vec<u8> {
    let mut head = Vec::new();
    if areas.len() > 0 {
        head.extend_from_slice(&[value::OUT_OF_BAND, 0, 0, 0, 0, 0, 0, 0]);
        head.extend_from_slice(&(len as u64).to_le_bytes());
    }
    head
}

fn into_frame(whole: FrameParts<impl Deref<Target = [u8]>>) -> io::Result<Vec<u8>> {
    let mut segment = None;
    let frame = whole.written(&mut segment, RepeatedData::Written)?;
    if let Some(segment) = segment {
        // The caller now owns the file descriptor.
        let _ = segment.seal()?.into_file().map(File::into_raw_fd);
    }
    Ok(frame)
}

/// The treatment of data that has been written to a file before.
#[derive(Clone, Copy)]
enum RepeatedData {
    /// A link refers to the earlier file.
    Linked,
    /// Written again, since the receiver expects a single file.
    Written,
}

/// A value's bytes and its out-of-band data.
struct FrameParts<B> {
    head: Vec<u8>,
    bytes: B,
    areas: OutOfBandAreas,
}

impl<B: Deref<Target = [u8]>> FrameParts<B> {
    /// Builds one frame. Large data goes to the shared file, or into the frame where there are no
    /// memory files.
    fn written(
        mut self,
        segment: &mut Option<SegmentWriter>,
        repeated: RepeatedData,
    ) -> io::Result<Vec<u8>> {
        let len = self.head.len() + self.bytes.len() + self.areas.len() as usize;
        if len >= SEGMENT_THRESHOLD {
            if segment.is_none() {
                *segment = SegmentWriter::begin();
            }
            if let Some(segment) = segment {
                return self.into_segment(segment, repeated);
            }
        }
        self.head.extend_from_slice(&self.bytes);
        let base = self.head.len().next_multiple_of(ALIGN);
        for (offset, area) in self.areas.iter() {
            self.head.resize(base + *offset as usize, 0);
            self.head.extend_from_slice(area);
        }
        Ok(self.head)
    }

    /// Writes everything to the file; returns the reference to it.
    fn into_segment(
        self,
        segment: &mut SegmentWriter,
        repeated: RepeatedData,
    ) -> io::Result<Vec<u8>> {
        let len = self.head.len() + self.bytes.len();
        if self.areas.on_pages() {
            segment.align_page(len.next_multiple_of(ALIGN) as u64);
        }
        let from = segment.align();
        segment.write(&self.head)?;
        segment.write(&self.bytes)?;
        let base = (from + len as u64).next_multiple_of(ALIGN as u64);
        let mut links = Vec::new();
        for (offset, area) in self.areas.iter() {
            segment.seek(base + offset);
            match repeated {
                RepeatedData::Linked => links.extend(segment.write_once(area, from)?),
                RepeatedData::Written => segment.write(area)?,
            }
        }
        let mut bytes = segment.reference(from)?.to_bytes().to_vec();
        bytes.extend(links.iter().flat_map(SegmentPart::to_bytes));
        Ok(bytes)
    }
}

fn no_memory(error: io::Error) -> Error {
    LibraryError::NoMemory(&error).into()
}

/// Received arguments: inline, or mapped.
pub(super) struct ReceivedArguments<'a> {
    bytes: &'a [u8],
    chunk: Option<StableBytes>,
    /// Captures shared by all tasks.
    captures: Option<StableBytes>,
}

impl<'a> ReceivedArguments<'a> {
    /// Maps the file that a reference refers to; inline arguments are used as they are.
    ///
    /// # Errors
    /// Returns an error if the file no longer exists.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let Some(reference) = SegmentRef::from_bytes(bytes) else {
            let captures = elsewhere(bytes).and_then(|elsewhere| {
                let from = usize::try_from(elsewhere.from).ok()?;
                let to = from.checked_add(usize::try_from(elsewhere.len).ok()?)?;
                Some(StableBytes::copy(bytes.get(from..to)?))
            });
            return Ok(Self {
                bytes,
                chunk: None,
                captures,
            });
        };
        let open = |reference: &SegmentRef, links: &[SegmentPart]| {
            StableBytes::open_linked(reference, links).map_err(|error| {
                format!(
                    "the {} bytes it is given are no longer where process {} had them: {error}",
                    reference.len, reference.pid
                )
            })
        };
        let chunk = open(&reference, &SegmentPart::all(bytes))?;
        let captures = match elsewhere(&chunk) {
            None => None,
            Some(elsewhere) => {
                let captures = SegmentRef {
                    offset: elsewhere.from,
                    len: elsewhere.len,
                    ..reference
                };
                Some(open(&captures, &[])?)
            }
        };
        Ok(Self {
            bytes,
            chunk: Some(chunk),
            captures,
        })
    }

    /// Returns the out-of-band data of the arguments; `None` if they are truncated.
    pub(super) fn buffers(&self) -> Option<ArgumentBuffers<'_>> {
        let bytes = self.bytes();
        let end = HEAD.checked_add(usize::try_from(word(bytes)?).ok()?)?;
        let from = end.next_multiple_of(ALIGN).min(bytes.len());
        let chunk = self.chunk.as_ref();
        Some(ArgumentBuffers {
            bytes: bytes.get(from..)?,
            chunk: chunk.and_then(|chunk| chunk.part(from..chunk.len())),
        })
    }

    /// Returns the captures, if any, and the arguments.
    pub(super) fn split<'b>(
        &'b self,
        buffers: &'b ArgumentBuffers<'b>,
    ) -> Option<(Option<SerializedValue<'b>>, ArgumentReader<'b>)> {
        let bytes = self.bytes();
        let end = HEAD.checked_add(usize::try_from(word(bytes)?).ok()?)?;
        let captures_at = usize::try_from(word(bytes.get(8..)?)?).ok()?;
        let bytes = bytes.get(HEAD..end)?;
        let reader = |rest| ArgumentReader { rest, buffers };
        let captures = match bytes.get(captures_at..)? {
            [] => None,
            _ if self.captures.is_some() => {
                Some(SerializedValue::of_chunk(self.captures.as_ref()?)?)
            }
            rest => match reader(rest).next()? {
                DecodedArgument::Value(captures) => Some(captures),
                DecodedArgument::Reference(_) => return None,
            },
        };
        Some((captures, reader(bytes.get(..captures_at)?)))
    }

    fn bytes(&self) -> &[u8] {
        match &self.chunk {
            Some(chunk) => chunk,
            None => self.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::read_frame;
    use crate::host::Frame;
    use crate::shared::Shared;
    use serde::de::DeserializeOwned;

    fn argument<A: DeserializeOwned>(arguments: &mut ArgumentReader<'_>) -> Result<A, String> {
        match arguments.next() {
            Some(DecodedArgument::Value(value)) => value.value(),
            _ => Err("it is cut off".to_owned()),
        }
    }

    fn from_value<T: DeserializeOwned>(frame: &Frame) -> Result<T, Error> {
        let mut value = None;
        read_frame(frame, "a value", &mut |from| {
            value = Some(T::deserialize(from)?);
            Ok(())
        })?;
        Ok(value.unwrap())
    }

    fn written<T: serde::Serialize>(value: &T) -> Parts {
        Parts::after(vec![value::POSTCARD], &|to| value.serialize(to)).unwrap()
    }

    /// Reads a capture and two arguments as an engine does.
    fn read_back(frame: &[u8]) -> (Vec<u64>, Vec<f64>, Shared<[f64]>, StoredValue) {
        let input = ReceivedArguments::open(frame).unwrap();
        let buffers = input.buffers().unwrap();
        let (captures, mut arguments) = input.split(&buffers).unwrap();
        let captures = captures.unwrap().value().unwrap();
        let list = argument(&mut arguments).unwrap();
        let shared = argument(&mut arguments).unwrap();
        let stored = read_stored(&mut arguments);
        assert!(argument::<u8>(&mut arguments).is_err());
        (captures, list, shared, stored)
    }

    #[test]
    fn arguments_of_every_size_round_trip() {
        for items in [3, 5_000, 500_000] {
            let captures: Vec<u64> = (0..items / 2).collect();
            let list: Vec<f64> = (0..items).map(|i| i as f64).collect();
            let shared: Shared<[f64]> = list.iter().map(|x| x * 2.0).collect();
            let task = || {
                let mut encoded = EncodedParts::default();
                encoded.value(Parts::of(&list).unwrap());
                encoded.value(Parts::of(&shared).unwrap());
                encoded.value(Parts::of(&shared.slice(1..)).unwrap());
                encoded
            };
            let captured = Parts::of(&captures).unwrap();
            let frames = ArgumentFrames::of(&captured, vec![task(), task()]).unwrap();
            for frame in &frames.frames {
                let large = SegmentRef::from_bytes(frame).is_some();
                assert_eq!(large, items == 500_000);
                let read = read_back(frame);
                assert_eq!((read.0, read.1), (captures.clone(), list.clone()));
                assert_eq!(read.2, shared);
                assert_eq!(read.3.value::<Shared<[f64]>>().unwrap(), shared.slice(1..));
            }
            let stored = read_back(&frames.frames[1]);
            let closed = frames.frames[1].clone();
            drop(frames);
            // A value that was read stays valid; nobody else can access the data once the sender
            // has dropped it.
            assert_eq!(stored.2, shared);
            drop(shared);
            assert_eq!(
                ReceivedArguments::open(&closed).is_err(),
                SegmentRef::from_bytes(&closed).is_some()
            );
        }
    }

    #[test]
    fn large_captures_are_written_once() {
        let captured: (Vec<u64>, Shared<[f64]>) =
            ((0..100_000).collect(), Shared::new(vec![0.25; 200_000]));
        let parts = Parts::of(&captured).unwrap();
        let task = |number: u32| {
            let mut task = EncodedParts::default();
            task.value(Parts::of(&number).unwrap());
            task
        };
        let frames = ArgumentFrames::of(&parts, (0..100).map(task).collect()).unwrap();
        for (number, frame) in frames.frames.iter().enumerate() {
            let reference = SegmentRef::from_bytes(frame).unwrap();
            assert!(
                reference.offset + reference.len < 2_500_000,
                "{reference:?}"
            );
            let input = ReceivedArguments::open(frame).unwrap();
            let buffers = input.buffers().unwrap();
            let (captures, mut arguments) = input.split(&buffers).unwrap();
            let read_back = captures.unwrap().value::<(Vec<u64>, Shared<[f64]>)>();
            assert_eq!(read_back.unwrap(), captured);
            let value: u32 = argument(&mut arguments).unwrap();
            assert_eq!(value as usize, number);
            // On another machine, the bytes of the task are followed by the captures.
            let own = StableBytes::open(&reference).unwrap();
            let location = elsewhere(&own).unwrap();
            let (offset, len) = (location.from, location.len);
            let captures = SegmentRef {
                offset,
                len,
                ..reference
            };
            let mut sent = own.to_vec();
            sent.resize(sent.len().next_multiple_of(ALIGN), 0);
            let from = (sent.len() as u64).to_le_bytes();
            sent[location.at..location.at + 8].copy_from_slice(&from);
            sent.extend_from_slice(&StableBytes::open(&captures).unwrap());
            let input = ReceivedArguments::open(&sent).unwrap();
            let buffers = input.buffers().unwrap();
            let (captures, _) = input.split(&buffers).unwrap();
            let read_back = captures.unwrap().value::<(Vec<u64>, Shared<[f64]>)>();
            assert_eq!(read_back.unwrap(), captured);
        }
    }

    #[test]
    fn repeated_data_is_not_written_again() {
        use std::os::unix::fs::MetadataExt;
        let table: Shared<[f64]> = (0..500_000).map(f64::from).collect();
        let other: Shared<[u64]> = (0..200_000).collect();
        let captures = Parts::of(&table).unwrap();
        let send = |number: u32, captures: &Parts| {
            let mut task = EncodedParts::default();
            task.value(Parts::of(&number).unwrap());
            task.value(Parts::of(&(1u8, &table)).unwrap());
            task.value(Parts::of(&vec![number; 100_000]).unwrap());
            task.value(Parts::of(&other).unwrap());
            task.value(Parts::of(&table.slice(1..)).unwrap());
            ArgumentFrames::of(captures, vec![task]).unwrap()
        };
        let allocated = |frames: &ArgumentFrames| {
            let own = SegmentRef::from_bytes(&frames.frames[0]).unwrap();
            std::fs::metadata(own.path()).unwrap().blocks() * 512
        };
        let check = |frames: &ArgumentFrames, number: u32| {
            let input = ReceivedArguments::open(&frames.frames[0]).unwrap();
            let buffers = input.buffers().unwrap();
            let (captures, mut arguments) = input.split(&buffers).unwrap();
            if let Some(captures) = captures {
                assert_eq!(captures.value::<Shared<[f64]>>().unwrap(), table);
            }
            assert_eq!(argument::<u32>(&mut arguments).unwrap(), number);
            let stored = read_stored(&mut arguments);
            let (one, back): (u8, Shared<[f64]>) = stored.value().unwrap();
            assert_eq!((one, &back), (1, &table));
            let list: Vec<u32> = argument(&mut arguments).unwrap();
            assert_eq!(list, vec![number; 100_000]);
            let back: Shared<[u64]> = argument(&mut arguments).unwrap();
            assert_eq!(back, other);
            let part: Shared<[f64]> = argument(&mut arguments).unwrap();
            assert_eq!(part, table.slice(1..));
        };
        let first = send(1, &Parts::default());
        assert_eq!(SegmentPart::all(&first.frames[0]), []);
        check(&first, 1);
        let large = allocated(&first);
        // The receiver has opened it or not; the data is the sender's.
        drop(first);
        let second = send(2, &Parts::default());
        assert_eq!(SegmentPart::all(&second.frames[0]).len(), 2);
        check(&second, 2);
        // Of large data, only the part that does not start on a page boundary is written.
        assert!(allocated(&second) < large - 5_000_000, "{large}");
        let third = send(3, &captures);
        assert_eq!(SegmentPart::all(&third.frames[0]).len(), 3);
        check(&third, 3);
        // A result is a single file owned by its receiver.
        let frame = value_frame(written(&table)).unwrap();
        assert_eq!(SegmentPart::all(&frame), []);
        let back = from_value::<Shared<[f64]>>(&Frame::open(frame).unwrap());
        assert_eq!(back.unwrap(), table);
    }

    #[test]
    fn values_round_trip() {
        type Value = (Vec<f64>, Shared<[u64]>);
        for items in [2, 5_000, 300_000] {
            let value: Value = (vec![0.5; items], (0..items as u64).collect());
            let parts = || written(&value);
            let read = |frame: Vec<u8>| {
                let reference = SegmentRef::from_bytes(&frame);
                assert_eq!(reference.is_some(), items == 300_000);
                let read = from_value::<Value>(&Frame::open(frame).unwrap()).unwrap();
                assert_eq!(read, value);
                // The file belongs to the caller.
                reference.map(|file| std::fs::File::open(file.path()).unwrap());
            };
            read(value_frame(parts()).unwrap());
            read(stored_value_frame(Parts::of(&value).unwrap().into()).unwrap());
            let mut task = EncodedParts::default();
            task.value(Parts::of(&value).unwrap());
            let frames = ArgumentFrames::of(&Parts::default(), vec![task]).unwrap();
            let input = ReceivedArguments::open(&frames.frames[0]).unwrap();
            let buffers = input.buffers().unwrap();
            let (_, mut arguments) = input.split(&buffers).unwrap();
            let stored = read_stored(&mut arguments);
            assert_eq!(stored.value::<Value>().unwrap(), value);
            read(stored_value_frame(stored).unwrap());
        }
        assert_eq!(value_frame(written(&7u8)).unwrap(), [value::POSTCARD, 7]);
    }

    fn read_stored(arguments: &mut ArgumentReader<'_>) -> StoredValue {
        match arguments.next() {
            Some(DecodedArgument::Value(value)) => arguments.keep(value),
            _ => panic!("it is cut off"),
        }
    }

    #[test]
    fn truncated_arguments_are_an_error() {
        let mut task = EncodedParts::default();
        task.value(Parts::of(&Shared::new(vec![1u8; 10_000])).unwrap());
        let frames = ArgumentFrames::of(&Parts::default(), vec![task]).unwrap();
        let whole = &frames.frames[0];
        for len in [0, 7, 15, 20, whole.len() - 1] {
            let input = ReceivedArguments::open(&whole[..len]).unwrap();
            let Some(buffers) = input.buffers() else {
                continue;
            };
            let read = match input.split(&buffers) {
                Some((_, mut arguments)) => argument::<Shared<[u8]>>(&mut arguments).is_ok(),
                None => false,
            };
            assert!(!read, "{len}");
        }
    }
}
