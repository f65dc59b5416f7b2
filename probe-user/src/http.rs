//! (module `http`)
