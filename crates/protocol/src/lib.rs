//! Every message of Phalanx as a type; no I/O, no async, no sockets.
//!
//! | module | between |
//! |---|---|
//! | [`id`] | the newtyped ids all others use |
//! | [`frame`] | the length-prefixed form in which our own processes exchange messages |
//! | [`output`], [`failure`] | what a cell produced, and how it failed, wherever it ran |
//! | [`look`] | the bars and tables that Phalanx itself shows |
//! | [`date`] | dates as Jupyter's clients read them |
//! | [`comm`] | comms between code and frontends, as the library and its owner exchange them |
//! | [`native`] | a runtime process and the libraries it loads |
//! | [`segment`], `payload` | processes of one machine, in place of large data |
//! | [`host`] | the `phalanx` library in a cell and the process that owns its runtime |
//! | [`apply`] | likewise, about functions, engines and the hub |
//! | [`runtime`] | a runtime process and its owner (kernel or engine) |
//! | [`evaluator`] | the kernel and an evaluator process |
//! | [`analysis`] | the analysis process, and the kernel or an evaluator |
//! | [`release`] | the versions of our programs, compared before anything else |
//! | [`parallel`] | client, controller and engine: ipyparallel 9's wire protocol and our metadata on it |

pub mod apply;
pub mod comm;
mod execute_reply;
pub mod failure;
pub mod frame;
pub mod host;
pub mod id;
pub mod look;
pub mod native;
pub mod output;
pub mod release;
pub mod segment;

#[cfg(feature = "jupyter")]
pub mod analysis;
#[cfg(feature = "jupyter")]
pub mod date;
#[cfg(feature = "jupyter")]
pub mod evaluator;
#[cfg(feature = "jupyter")]
pub mod parallel;
#[cfg(feature = "payload")]
pub mod payload;
#[cfg(feature = "jupyter")]
pub mod runtime;

/// The Jupyter messages themselves.
#[cfg(feature = "jupyter")]
pub use jupyter_protocol as jupyter;
