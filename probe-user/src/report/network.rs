//! Rows of `nodeprobe flows`, `tcp` and `dns`.

mod flows;
mod lookups;
mod narrow;
mod tcp;

pub use self::{
    flows::{Counted, FlowBook, FlowRows, Seen},
    lookups::{LookupBook, lookup_view},
    narrow::{Cidr, Narrow},
    tcp::tcp_rows,
};
