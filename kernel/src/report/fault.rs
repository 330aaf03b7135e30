//! A failure with its location.

use crate::source_map::SourceMap;
use phalanx_protocol::failure::Failure;
use std::ops::Range;
use std::sync::Arc;

/// A failure, and the text it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The failure itself.
    pub failure: Failure,
    /// The location, if it has one.
    pub location: Option<FaultSource>,
    /// Advice in addition to the failure's own hint.
    pub help: Option<String>,
    /// True if the engines' failures were shown in full as they happened.
    pub shown: bool,
}

/// The text that a failure refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSource {
    /// The name of the text: `In[3]`.
    pub name: String,
    /// The text: a whole cell, or a magic's line.
    pub text: Arc<str>,
    /// The map from the failure's locations to the text.
    pub map: SourceMap,
    /// The faulty bytes of the text, for failures without locations of their own.
    pub span: Option<Range<usize>>,
}

impl Fault {
    /// Creates a fault with a location.
    pub fn at(failure: impl Into<Failure>, location: FaultSource) -> Self {
        Self {
            failure: failure.into(),
            location: Some(location),
            help: None,
            shown: false,
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            location: None,
            help: None,
            shown: false,
        }
    }
}
