//! (module `probes`)
