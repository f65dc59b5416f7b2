//! (module `identity`)
