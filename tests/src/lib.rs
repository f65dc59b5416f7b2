//! Rigs for the integration tests.
