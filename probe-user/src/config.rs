//! (module `config`)
