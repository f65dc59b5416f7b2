//! (module `privileges`)
