//! Rows of `nodeprobe flows`, `tcp` and `dns`.

mod flows;
mod lookups;
mod tcp;

pub use self::{
    flows::{Counted, FlowBook, FlowRows, Seen, flow_row},
    lookups::{LookupBook, lookup_view},
    tcp::tcp_rows,
};
