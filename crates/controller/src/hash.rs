//! Hash maps for keys that are looked up several times per task: the standard library's, with a
//! randomly seeded hash function that takes a fraction of the time of the default one for ids of 50
//! bytes.

use foldhash::fast::RandomState;

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
pub(crate) type HashSet<K> = std::collections::HashSet<K, RandomState>;
