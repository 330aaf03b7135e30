//! Views: which engines are meant, and how they are given work.
//!
//! | file | what |
//! |---|---|
//! | `targets.rs` | which engines |
//! | `direct.rs` | [`DirectView`]: functions on each of them |
//! | `group.rs` | the engines of one, whatever the types |
//! | `data.rs` | values to and from their namespaces |
//! | `scatter.rs` | items spread over them |
//! | `balanced.rs` | [`LoadBalancedView`]: each task on the engine the scheduler chooses |
//! | `map.rs` | maps of either |
//! | `wrappers.rs` | functions with their view |
//! | `submit.rs` | the request all come down to |

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

pub use balanced::{IntoTasks, LoadBalancedView};
pub use direct::DirectView;
pub use imap::Imap;
pub use map::{Map, MapItem};
pub use scatter::{IntoSpread, Scatter, Spread};
pub use targets::{IntoTargets, StepBy, SteppedRange};
pub use wrappers::{ParallelFunction, RemoteFunction};
