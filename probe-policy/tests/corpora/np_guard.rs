//! Connection lists.
