//! Maps whose keys are looked up several times for each task: the standard library's, with a hash that
//! takes a fraction of the time of its own for ids of 50 bytes. It is seeded at random, too.

use foldhash::fast::RandomState;

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
pub(crate) type HashSet<K> = std::collections::HashSet<K, RandomState>;
