//! Views: sets of engines, and the operations on them.
//!
//! | file | contents |
//! |---|---|
//! | `targets.rs` | the engines of a view |
//! | `direct.rs` | [`DirectView`]: functions on each engine |
//! | `group.rs` | the engines of a direct view, independent of the types of values |
//! | `data.rs` | values to and from the engines' namespaces |
//! | `scatter.rs` | items distributed over engines |
//! | `balanced.rs` | [`LoadBalancedView`]: each task on the engine the scheduler chooses |
//! | `map.rs` | maps on both kinds of view |
//! | `imap.rs` | a map over an input that is read as needed |
//! | `wrappers.rs` | functions bound to a view |
//! | `submit.rs` | the request that all submissions are sent as |

mod balanced;
mod data;
mod direct;
mod group;
mod imap;
mod map;
mod scatter;
mod submit;
mod targets;
mod wrappers;

pub use balanced::{IntoDependency, LoadBalancedView};
pub use direct::DirectView;
pub use imap::Imap;
pub use map::{Map, MapItem};
pub use scatter::{IntoSpread, Scatter, Spread};
pub use targets::{IntoTargets, StepBy, SteppedRange};
pub use wrappers::{ParallelFunction, RemoteFunction};
