//! (module `loader`)
