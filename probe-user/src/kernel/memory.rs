//! Memory of this process.

/// Returns to the system what is free: for who has just needed a lot that nobody needs again.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function may be called at any time; it returns free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}
