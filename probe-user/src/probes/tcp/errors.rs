//! Where the kernel keeps the errors of a socket.

use crate::loader::{Globals, Kernel, LoadError};

/// Sets what the programs need to find the error of a socket, and an answer of the network in its error queue.
pub(super) fn set(globals: &mut Globals, kernel: &Kernel) -> Result<(), LoadError> {
    let offset = |record, field| kernel.types.field_offset(record, field);
    let queue = offset("sock", "sk_error_queue")?;
    let queued = offset("sk_buff", "cb")? + offset("sock_exterr_skb", "ee")?;
    globals
        .set("SOCK_ERR", offset("sock", "sk_err")?)
        .set("SOCK_ERR_SOFT", offset("sock", "sk_err_soft")?)
        .set(
            "SOCK_ERROR_QUEUE_LENGTH",
            queue + offset("sk_buff_head", "qlen")?,
        )
        .set(
            "SOCK_ERROR_QUEUE_LAST",
            queue + offset("sk_buff_head", "prev")?,
        )
        .set(
            "QUEUED_ERROR",
            queued + offset("sock_extended_err", "ee_errno")?,
        )
        .set(
            "QUEUED_ORIGIN",
            queued + offset("sock_extended_err", "ee_origin")?,
        );
    Ok(())
}
