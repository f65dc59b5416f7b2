//! (module `agent`)
