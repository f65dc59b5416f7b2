//! Shared parts of the kernel programs.
#![no_std]
