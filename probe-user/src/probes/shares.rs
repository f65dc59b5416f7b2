//! The user side of the shares that containers have of tables, see `probe_common::share`.

use std::collections::HashMap;

use aya::{
    Ebpf,
    maps::{Array, MapData},
};
use probe_common::share::{Share, TABLES, common};

use super::table::Table;
use crate::{
    loader::Division,
    maps::{self, MapError},
};

/// Shares by cgroup, and how much of the common parts is taken.
pub(super) struct Shares {
    shares: Table<u64, Share>,
    common: Array<MapData, u64>,
    common_name: &'static str,
    divisions: [Division; TABLES],
}

impl Shares {
    /// Opens the maps of those names; the first has room for `capacity` containers.
    pub(super) fn open(
        ebpf: &mut Ebpf,
        [shares, common]: [&'static str; 2],
        capacity: u32,
        divisions: [Division; TABLES],
    ) -> Result<Self, MapError> {
        let failed = |source| MapError::Aya {
            map: common,
            source,
        };
        Ok(Self {
            shares: Table::open(ebpf, shares, capacity)?,
            common: Array::try_from(maps::take(ebpf, common)?).map_err(failed)?,
            common_name: common,
            divisions,
        })
    }

    /// Frees the shares of containers that are `gone`, whose entries are free again.
    pub(super) fn release(&mut self, gone: impl Fn(u64) -> bool) -> Result<(), MapError> {
        self.shares.release(|cgroup| gone(*cgroup))?;
        self.settle()
    }

    /// Corrects what containers have taken of one table, some of whose entries were freed one by one.
    pub(super) fn recount(
        &mut self,
        table: usize,
        taken: &HashMap<u64, u64>,
    ) -> Result<(), MapError> {
        for (cgroup, mut share) in self.shares.read()? {
            let now = taken.get(&cgroup).copied().unwrap_or_default();
            if share.used[table] != now {
                share.used[table] = now;
                self.shares.put(&cgroup, &share)?;
            }
        }
        self.settle()
    }

    /// Adds up what is taken of the common parts. A program that takes an entry meanwhile may be missed until the next time: the
    /// common part is larger by that one entry until then.
    fn settle(&mut self) -> Result<(), MapError> {
        let shares = self.shares.read()?;
        let map = self.common_name;
        for (table, taken) in (0..).zip(common_taken(&shares, self.divisions)) {
            self.common
                .set(table, taken, 0)
                .map_err(|source| MapError::Aya { map, source })?;
        }
        Ok(())
    }
}

/// How many common entries are taken, by table.
fn common_taken(shares: &[(u64, Share)], divisions: [Division; TABLES]) -> [u64; TABLES] {
    let mut taken = [0; TABLES];
    for (_, share) in shares {
        for ((taken, used), division) in taken.iter_mut().zip(share.used).zip(divisions) {
            *taken += common(used, division.guaranteed.into());
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_beyond_the_guarantee_is_taken_from_the_common_part() {
        let division = |guaranteed| Division {
            guaranteed,
            common: 100,
        };
        let shares = [
            (1, Share { used: [3, 0] }),
            (2, Share { used: [10, 7] }),
            (3, Share { used: [8, 9] }),
        ];
        let taken = common_taken(&shares, [division(8), division(2)]);
        assert_eq!(taken, [2, 5 + 7]);
    }
}
