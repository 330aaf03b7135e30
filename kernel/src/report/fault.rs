//! A failure on its way to the user.

use crate::source_map::SourceMap;
use phalanx_protocol::failure::Failure;
use std::ops::Range;
use std::sync::Arc;

/// A failure, and the text whose lines it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The failure itself.
    pub failure: Failure,
    /// The place it is about.
    pub place: Option<FaultSource>,
    /// Further advice, beside what the failure itself calls for.
    pub help: Option<String>,
    /// True if engines' failures have been shown at length as they happened.
    pub shown: bool,
}

/// The text a failure is about.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSource {
    /// The name of the text: `In[3]`.
    pub name: String,
    /// The text: a whole cell, or a magic's line.
    pub text: Arc<str>,
    /// From the places a failure names to places in the text.
    pub map: SourceMap,
    /// The faulty bytes of the text, for failures that name no place themselves.
    pub span: Option<Range<usize>>,
}

impl Fault {
    /// A failure at a place.
    pub fn at(failure: impl Into<Failure>, place: FaultSource) -> Self {
        Self {
            failure: failure.into(),
            place: Some(place),
            help: None,
            shown: false,
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            place: None,
            help: None,
            shown: false,
        }
    }
}
