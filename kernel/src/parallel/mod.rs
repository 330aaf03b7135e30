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

use cluster::Cluster;
use fanout::Fanout;
use functions::Functions;
use results::Results;

/// The engines, and everything that is done on them; clones share it.
#[derive(Clone, Debug)]
pub struct Parallel {
    cluster: Cluster,
    fanout: Fanout,
    functions: Functions,
}

impl Parallel {
    /// The handle on these parts.
    pub fn new(cluster: Cluster, fanout: Fanout, functions: Functions) -> Self {
        Self {
            cluster,
            fanout,
            functions,
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Cells on engines.
    pub fn fanout(&self) -> &Fanout {
        &self.fanout
    }

    /// Functions on engines.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// The AsyncResults of this session.
    pub fn results(&self) -> &Results {
        &self.fanout.results
    }
}
