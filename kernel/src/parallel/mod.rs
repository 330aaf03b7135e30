//! Engines and what is done on them.
//!
//! | module | what |
//! |---|---|
//! | [`cluster`] | the controller and the engines of this kernel |
//! | [`compile`] | cells compiled for engines, once for all in the same state |
//! | [`fanout`] | a cell on many engines: submitted, watched, shown |
//! | [`functions`] | functions of the notebook, called on engines |
//! | [`results`], `retention` | the AsyncResults the kernel holds, within limits |
//! | [`artifacts`] | the compiled cells and libraries that engines ask for |

pub mod artifacts;
pub mod cluster;
pub mod compile;
pub mod fanout;
pub mod functions;
pub mod results;
mod retention;
