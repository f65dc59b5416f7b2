//! (module `render`)
