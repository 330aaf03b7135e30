//! Functions, called as an engine calls them.

use crate::codec::{EncodedList, Parts, read_frame};
use crate::function::args::{Arguments, EncodedArgs, EncodedParts, Reference};
use crate::function::frame::ArgumentFrames;
use crate::function::frame::value_frame;
use crate::function::invoke::{WithCaptures, WithoutCaptures};
use crate::function::trampoline::{many, single};
use crate::host::Frame;
use crate::shared::Shared;
use phalanx_protocol::native::value;
use phalanx_protocol::native::{CallFailure, Trampoline};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::c_void;

unsafe extern "C" fn keep(to: *mut c_void, bytes: *const u8, len: usize) {
    // SAFETY: `call` passes a `Vec`, and the trampoline passes bytes that are valid during the
    // call.
    unsafe { (*to.cast::<Vec<u8>>()).extend_from_slice(std::slice::from_raw_parts(bytes, len)) }
}

/// Calls a function as an engine does.
fn call(function: Trampoline, captures: &Parts, args: EncodedParts) -> Vec<u8> {
    let frames = ArgumentFrames::of(captures, vec![args]).unwrap();
    let (frame, mut reply) = (&frames.frames[0], Vec::new());
    // SAFETY: the bytes are valid during the call, and `keep` expects a `Vec`.
    unsafe { function(frame.as_ptr(), frame.len(), (&raw mut reply).cast(), keep) };
    reply
}

fn arguments<P>(arguments: impl Arguments<P>) -> EncodedParts {
    let mut to = EncodedArgs::new();
    arguments.encode_all(&mut to);
    to.finish().unwrap()
}

fn value_of<T: DeserializeOwned>(reply: Vec<u8>) -> T {
    let mut value = None;
    let frame = Frame::open(reply).unwrap();
    let read = read_frame(&frame, "a value", &mut |from| {
        value = Some(T::deserialize(from)?);
        Ok(())
    });
    read.unwrap();
    value.unwrap()
}

fn failure(reply: &[u8]) -> CallFailure {
    assert_eq!(reply[0], value::RAISED);
    serde_json::from_slice(&reply[1..]).unwrap()
}

type Both = (u64, String);

fn trampolines<F: Fn(u64, String) -> (String, u64) + Copy>(_: F) -> [Trampoline; 2] {
    [
        single::<WithoutCaptures<F>, Both>,
        many::<WithoutCaptures<F>, Both>,
    ]
}

fn joined(number: u64, text: String) -> (String, u64) {
    assert!(number != 13, "no luck");
    (format!("{text}{number}"), number)
}

#[test]
fn function_is_called_with_its_arguments() {
    let [once, each] = trampolines(joined);
    let reply = call(once, &Parts::default(), arguments::<Both>((7u64, "größe ")));
    assert_eq!(value_of::<(String, u64)>(reply), ("größe 7".to_owned(), 7));
    let items: Vec<(u64, &str)> = vec![(1, "a"), (300, "b"), (3, "")];
    let mut args = EncodedParts::default();
    args.value(Parts::of(&items).unwrap());
    let reply = call(each, &Parts::default(), args);
    let expected = [("a1", 1), ("b300", 300), ("3", 3)];
    let expected = expected.map(|(text, number)| (text.to_owned(), number));
    assert_eq!(value_of::<Vec<(String, u64)>>(reply), expected);
}

#[test]
fn failed_calls_report_the_reason() {
    let [once, each] = trampolines(joined);
    let mut args = EncodedParts::default();
    args.value(Parts::of(&7u64).unwrap());
    let failed = failure(&call(once, &Parts::default(), args));
    assert_eq!(failed.ename, "DeserializeError");
    let why = "argument 2 cannot be read as String: it is cut off";
    assert_eq!(failed.evalue, why);
    let args = arguments::<Both>((7u64, Reference("nothing")));
    let failed = failure(&call(once, &Parts::default(), args));
    assert_eq!(failed.ename, "NameError");
    let mut args = EncodedParts::default();
    args.value(Parts::of(&vec![(1u64, "a", 0u8)]).unwrap());
    let failed = failure(&call(each, &Parts::default(), args));
    assert_eq!(failed.ename, "DeserializeError");
    assert!(failed.evalue.contains("left over"), "{}", failed.evalue);
    let mut args = EncodedParts::default();
    args.value(Parts::of(&vec![(1u64, vec![0xffu8])]).unwrap());
    let failed = failure(&call(each, &Parts::default(), args));
    let why = "argument 1 cannot be read as Vec<(u64, String)>: ";
    assert!(failed.evalue.starts_with(why), "{}", failed.evalue);
    let reply = call(once, &Parts::default(), arguments::<Both>((13u64, "")));
    assert!(reply.is_empty());
}

#[test]
fn captures_and_plain_data_are_passed() {
    fn of<F: Fn(&Shared<[f64]>, Shared<[f64]>) -> Shared<[f64]> + Copy>(_: F) -> [Trampoline; 2] {
        type P = (Shared<[f64]>,);
        [
            single::<WithCaptures<F, Shared<[f64]>>, P>,
            many::<WithCaptures<F, Shared<[f64]>>, P>,
        ]
    }
    let added = |left: &Shared<[f64]>, right: Shared<[f64]>| -> Shared<[f64]> {
        left.iter().zip(&*right).map(|(l, r)| l + r).collect()
    };
    let [once, each] = of(added);
    for len in [3, 2_000, 200_000] {
        let ones: Shared<[f64]> = vec![1.0; len].into();
        let numbers: Shared<[f64]> = (0..len).map(|i| i as f64).collect();
        let twos: Shared<[f64]> = vec![2.0; len].into();
        let captures = Parts::of(&ones).unwrap();
        let reply = call(once, &captures, arguments::<(Shared<[f64]>,)>(&numbers));
        let sum: Shared<[f64]> = value_of(reply);
        assert!(sum.iter().enumerate().all(|(i, x)| *x == i as f64 + 1.0));
        let mut args = EncodedParts::default();
        args.value(Parts::of(&vec![&ones, &twos, &ones]).unwrap());
        let reply = call(each, &captures, args);
        let sums: Vec<f64> = list(reply).iter().map(|sum| sum[len - 1]).collect();
        assert_eq!(sums, [2.0, 3.0, 2.0]);
    }
}

/// Deserializes the items of a list one by one.
fn list(reply: Vec<u8>) -> Vec<Shared<[f64]>> {
    let mut list = EncodedList::of(Frame::open(reply).unwrap());
    let mut all = Vec::new();
    while let Some(read) = list.read("Shared", &mut |from| {
        all.push(serde::Deserialize::deserialize(from)?);
        Ok(())
    }) {
        read.unwrap();
    }
    all
}

#[test]
fn unserializable_result_is_an_error() {
    #[derive(serde::Deserialize)]
    struct Secret;
    impl Serialize for Secret {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("it is secret"))
        }
    }
    fn of<F: Fn() -> Secret + Copy>(_: F) -> [Trampoline; 2] {
        [
            single::<WithoutCaptures<F>, ()>,
            many::<WithoutCaptures<F>, ()>,
        ]
    }
    let [once, each] = of(|| Secret);
    let mut args = EncodedParts::default();
    args.value(Parts::of(&vec![(), ()]).unwrap());
    for reply in [
        call(once, &Parts::default(), EncodedParts::default()),
        call(each, &Parts::default(), args),
    ] {
        let failed = failure(&reply);
        assert_eq!(failed.ename, "SerializeError");
        let why = "Secret";
        assert!(failed.evalue.contains(why) && failed.evalue.ends_with("it is secret"));
    }
}

#[test]
fn list_items_are_read_one_by_one() {
    let parts = Parts::after(vec![value::POSTCARD], &|to| vec![5u64, 600].serialize(to));
    let mut list = EncodedList::of(Frame::open(value_frame(parts.unwrap()).unwrap()).unwrap());
    let mut all = Vec::new();
    let mut read = |list: &mut EncodedList| {
        list.read("u64", &mut |from| {
            all.push(<u64 as serde::Deserialize>::deserialize(from)?);
            Ok(())
        })
    };
    assert_eq!(read(&mut list), Some(Ok(())));
    assert_eq!(read(&mut list), Some(Ok(())));
    assert_eq!(read(&mut list), None);
    let mut cut = EncodedList::of(Frame::open(vec![value::POSTCARD, 2, 5]).unwrap());
    assert_eq!(read(&mut cut), Some(Ok(())));
    let failed = read(&mut cut).unwrap().unwrap_err().to_string();
    assert!(failed.contains("Vec<u64>: it is cut off"));
    assert_eq!(read(&mut cut), None);
    assert_eq!(all, [5, 600, 5]);
}

#[test]
fn values_serialized_by_a_function_do_not_mix_with_its_result() {
    fn of<F: Fn(u64) -> Shared<[u64]> + Copy>(_: F) -> [Trampoline; 2] {
        [
            single::<WithoutCaptures<F>, (u64,)>,
            many::<WithoutCaptures<F>, (u64,)>,
        ]
    }
    let [_, each] = of(|number: u64| {
        let shared: Shared<[u64]> = vec![number; 1000].into();
        let text = serde_json::to_string(&shared).unwrap();
        assert!(text.len() > 2000, "its data is in the text");
        crate::namespace::set("meanwhile", &shared).unwrap();
        let back: Shared<[u64]> = crate::namespace::get("meanwhile").unwrap();
        back
    });
    let mut args = EncodedParts::default();
    args.value(Parts::of(&vec![1u64, 2]).unwrap());
    let lists: Vec<Shared<[u64]>> = value_of(call(each, &Parts::default(), args));
    assert_eq!(lists.len(), 2);
    assert!(lists[0].iter().all(|n| *n == 1) && lists[1].iter().all(|n| *n == 2));
}
