//! (module `cli`)
