//! Every message of Phalanx as a type; no I/O, no async, no sockets.
//!
//! | module | content |
//! |---|---|
//! | [`id`] | the newtyped ids of all messages |
//! | [`frame`] | the framing of messages between our own processes |
//! | [`output`], [`failure`] | the outputs and failures of cells, wherever they ran |
//! | [`exit`] | the end of a runtime process |
//! | [`look`] | the rendering of Phalanx's own bars and tables |
//! | [`glob`] | glob patterns, as SQLite and Python understand them |
//! | [`date`] | dates in the format of Jupyter's clients |
//! | [`comm`] | comms between code and frontends: messages between the library and its owner |
//! | [`widget`] | the models of widgets, and their displays |
//! | [`native`] | the C interface between a runtime process and the libraries it loads |
//! | [`segment`], `payload` | references to large data, between processes of one machine |
//! | [`cell_crate`] | the name of the crate of cells |
//! | [`host`] | messages between the `phalanx` library and its runtime's owner |
//! | [`apply`] | such messages about functions, engines and the hub |
//! | [`runtime`] | messages between a runtime process and its owner (kernel or engine) |
//! | [`evaluator`] | messages between the kernel and an evaluator process |
//! | [`analysis`] | messages between the analysis process and the kernel or an evaluator |
//! | [`release`] | the versions of our programs, which are compared before anything else |
//! | [`parallel`] | ipyparallel 9's messages between client, controller and engine |

pub mod apply;
pub mod cell_crate;
pub mod comm;
mod execute_reply;
pub mod exit;
pub mod failure;
pub mod frame;
pub mod host;
pub mod id;
pub mod look;
pub mod native;
pub mod output;
pub mod release;
pub mod segment;
pub mod widget;

#[cfg(feature = "jupyter")]
pub mod analysis;
#[cfg(feature = "jupyter")]
pub mod date;
#[cfg(feature = "jupyter")]
pub mod evaluator;
#[cfg(feature = "jupyter")]
pub mod glob;
#[cfg(feature = "jupyter")]
pub mod parallel;
#[cfg(feature = "payload")]
pub mod payload;
#[cfg(feature = "jupyter")]
pub mod runtime;

/// The Jupyter messages themselves.
#[cfg(feature = "jupyter")]
pub use jupyter_protocol as jupyter;
