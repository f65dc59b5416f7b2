//! Dropped packets by what their headers say.

use std::sync::Arc;

use aya::{
    Ebpf,
    maps::{Array, Map, MapData},
};
use probe_common::drops::{FlowDropKey, FlowDropStats};

use super::reasons::Reasons;
use crate::{
    loader::{Globals, Kernel, LoadError},
    maps::{self, MapError},
};

const TABLE: &str = "FLOW_DROPS";
const SWITCH: &str = "FLOW_DROPS_READ";

/// Sets where the kernel keeps the headers of a packet, and reasons that are none.
pub(super) fn set(globals: &mut Globals, kernel: &Kernel) -> Result<(), LoadError> {
    globals
        .set_offset(kernel, "SKB_HEAD", &[("sk_buff", "head")])?
        .set_offset(
            kernel,
            "SKB_NETWORK_HEADER",
            &[("sk_buff", "network_header")],
        )?
        .set_offset(kernel, "SKB_TAIL", &[("sk_buff", "tail")])?
        .set_offset(kernel, "SKB_END", &[("sk_buff", "end")])?
        .set_offset(
            kernel,
            "SHINFO_GSO_SEGS",
            &[("skb_shared_info", "gso_segs")],
        )?;
    for (name, reason) in [
        ("NOT_SPECIFIED", "SKB_DROP_REASON_NOT_SPECIFIED"),
        ("QUEUE_PURGE", "SKB_DROP_REASON_QUEUE_PURGE"),
        ("PACKET_SOCK_ERROR", "SKB_DROP_REASON_PACKET_SOCK_ERROR"),
    ] {
        let value = kernel.types.enum_value(Some("skb_drop_reason"), reason);
        // Older kernels lack some, and no reason is that number.
        if let Some(value) = value.and_then(|value| u32::try_from(value).ok()) {
            globals.set(name, value);
        }
    }
    Ok(())
}

/// Takes dropped packets out of the kernel's table. Nothing enters it before [`begin`](Self::begin).
pub struct DropsReader {
    table: Map,
    switch: Array<MapData, u32>,
    reasons: Arc<Reasons>,
}

impl DropsReader {
    pub(super) fn open(ebpf: &mut Ebpf, reasons: Arc<Reasons>) -> Result<Self, MapError> {
        let switch =
            Array::try_from(maps::take(ebpf, SWITCH)?).map_err(|source| MapError::Aya {
                map: SWITCH,
                source,
            })?;
        Ok(Self {
            table: maps::take(ebpf, TABLE)?,
            switch,
            reasons,
        })
    }

    /// Has packets that are dropped from now on entered.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn begin(&mut self) -> Result<(), MapError> {
        let switched = self.switch.set(0, 1, 0);
        switched.map_err(|source| MapError::Aya {
            map: SWITCH,
            source,
        })
    }

    /// What was dropped since the last call, and the names of the reasons.
    ///
    /// # Errors
    ///
    /// If the table cannot be read.
    pub fn take(&self) -> Result<Vec<(FlowDropKey, FlowDropStats, Arc<str>)>, MapError> {
        let mut dropped = Vec::new();
        for (key, _) in maps::lookup_all::<FlowDropKey, FlowDropStats>(&self.table, TABLE)? {
            // What was added since the reading comes with the removal.
            if let Some(stats) = maps::take_entry(&self.table, TABLE, &key)? {
                dropped.push((key, stats, self.reasons.name(key.reason)));
            }
        }
        Ok(dropped)
    }
}
