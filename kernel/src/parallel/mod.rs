//! Engines and everything that runs on them.
//!
//! | module | contents |
//! |---|---|
//! | [`cluster`] | the controller and the engines of this kernel |
//! | [`compile`] | compilation of cells for engines, once for all in the same state |
//! | [`fanout`] | cells on many engines: submitted, supervised, shown |
//! | [`functions`] | calls of the notebook's functions on engines |
//! | [`results`], `retention` | the stored AsyncResults, and their limits |
//! | [`artifacts`] | the libraries required by compiled code |

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

/// A handle on engines and everything that runs on them. Clones share it.
#[derive(Clone, Debug)]
pub struct Parallel {
    cluster: Cluster,
    fanout: Fanout,
    functions: Functions,
}

impl Parallel {
    /// Creates the handle from its parts.
    pub fn new(cluster: Cluster, fanout: Fanout, functions: Functions) -> Self {
        Self {
            cluster,
            fanout,
            functions,
        }
    }

    /// Returns the cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Returns the services that run cells on engines.
    pub fn fanout(&self) -> &Fanout {
        &self.fanout
    }

    /// Returns the services that call functions on engines.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Returns the AsyncResults of this session.
    pub fn results(&self) -> &Results {
        &self.fanout.results
    }
}
