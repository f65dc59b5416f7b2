//! (module `kernel`)
