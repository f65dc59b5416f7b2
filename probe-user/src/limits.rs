//! (module `limits`)
