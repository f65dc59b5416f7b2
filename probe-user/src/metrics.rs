//! (module `metrics`)
