//! Rigs for the integration tests.

pub mod prometheus;
