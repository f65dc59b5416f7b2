//! (module `maps`)
