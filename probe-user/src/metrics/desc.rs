//! What a metric family is: its name, type, unit, labels and budget.

use probe_common::hist::MIN_EXPONENT;

/// Prefix of every name but the standard `process_…` ones.
pub const PREFIX: &str = "nodeprobe_";

/// Labels that name a container, in this order. The registry adds `node` to families that start with them.
pub(super) const CONTAINER_LABELS: [&str; 3] = ["namespace", "pod", "container"];

/// Base unit of a family; part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// The unit as names and `# UNIT` lines spell it, empty for [`Unit::None`].
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }
}

/// Which upper bounds a histogram shows in its classic form. The native form always has every power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// Every second power of two from 2^-20 s (0.95 µs) to 2^4 s (16 s): 13 bounds.
    Fine,
    /// Every fourth one in that range: 7 bounds.
    Coarse,
    /// None but `+Inf`: useful in the native form only.
    InfOnly,
}

impl Bounds {
    /// Indices of the histogram buckets whose upper bounds are shown, ascending, without `+Inf`.
    pub fn buckets(self) -> impl Iterator<Item = usize> {
        const FIRST: usize = (-20 - MIN_EXPONENT) as usize;
        const LAST: usize = (4 - MIN_EXPONENT) as usize;
        let (end, step) = match self {
            Self::Fine => (LAST + 1, 2),
            Self::Coarse => (LAST + 1, 4),
            Self::InfOnly => (FIRST, 1),
        };
        (FIRST..end).step_by(step)
    }
}

/// Type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; a whole number.
    Counter,
    /// Only grows; kept exactly in nanoseconds, shown in seconds.
    SecondsCounter,
    /// Goes up and down.
    Gauge,
    /// Always 1; the labels are the information.
    Info,
    /// Durations by bucket.
    Histogram(Bounds),
}

impl Kind {
    /// Time series that one label combination costs a scraper of the text form.
    pub fn cost(self) -> usize {
        match self {
            // The bounds, `+Inf`, `_sum` and `_count`.
            Self::Histogram(bounds) => bounds.buckets().count() + 3,
            Self::Counter | Self::SecondsCounter | Self::Gauge | Self::Info => 1,
        }
    }

    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Counter | Self::SecondsCounter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram(_) => "",
        }
    }
}

/// A metric family. Families are `static`s in [`super::families`].
#[derive(Debug)]
pub struct Desc {
    /// The whole name as queries and the table of metrics spell it: prefix, unit and `_total` or `_info` included.
    /// Histogram samples add `_bucket`, `_sum` and `_count`. Encoders take it apart with [`Desc::stem`].
    pub name: &'static str,
    /// One or two sentences for people. No quotes, backslashes or line breaks: formats escape them differently.
    pub help: &'static str,
    /// Type.
    pub kind: Kind,
    /// Unit.
    pub unit: Unit,
    /// Names of the labels whose values callers pass, in this order. `node` is never among them: families by
    /// container get it from the registry.
    pub labels: &'static [&'static str],
    /// Time series, as [`Kind::cost`] counts them. Of a family by container: what is reserved for each container. Of
    /// others: the cap of the family.
    pub budget: usize,
    /// Whether it is filled without being asked for.
    pub default_on: bool,
}

impl Desc {
    /// The name without unit and suffix: what encoders add these to.
    pub fn stem(&self) -> &'static str {
        let name = self
            .name
            .strip_suffix(self.kind.suffix())
            .unwrap_or(self.name);
        match self.unit {
            Unit::None => name,
            unit => name
                .strip_suffix(unit.name())
                .and_then(|n| n.strip_suffix('_'))
                .unwrap_or(name),
        }
    }

    /// Whether the series belong to containers: they carry `node`, retire, and count against the target's budget.
    pub fn per_container(&self) -> bool {
        self.labels.starts_with(&CONTAINER_LABELS)
    }

    /// Whether a value of this label survives in the overflow series: labels with a handful of values that
    /// dashboards split by.
    pub(super) fn keeps_on_overflow(label: &str) -> bool {
        Self::kept_values(label).is_some()
    }

    /// Most values of a label that survives in the overflow series.
    fn kept_values(label: &str) -> Option<usize> {
        match label {
            "kind" => Some(3),
            "state" | "direction" | "role" => Some(2),
            _ => None,
        }
    }

    /// Most series of one container that have no detail: combinations of the label values that overflow keeps.
    pub(super) fn plain_series(&self) -> usize {
        let values = self
            .labels
            .iter()
            .filter_map(|label| Self::kept_values(label));
        values.product()
    }

    /// Series with detail that are reserved for each container.
    pub(super) fn detail_share(&self) -> usize {
        (self.budget / self.kind.cost()).saturating_sub(self.plain_series())
    }
}

#[cfg(test)]
mod tests {
    use probe_common::hist::upper_bound_seconds;

    use super::*;

    #[test]
    fn bounds_and_costs_are_those_of_the_table() {
        let ends = |b: Bounds| {
            let bounds: Vec<f64> = b.buckets().map(upper_bound_seconds).collect();
            (
                bounds.len(),
                bounds.first().copied(),
                bounds.last().copied(),
            )
        };
        let lowest = Some(2f64.powi(-20));
        assert_eq!(ends(Bounds::Fine), (13, lowest, Some(16.0)));
        assert_eq!(ends(Bounds::Coarse), (7, lowest, Some(16.0)));
        assert_eq!(ends(Bounds::InfOnly), (0, None, None));
        let costs =
            [Bounds::Fine, Bounds::Coarse, Bounds::InfOnly].map(|b| Kind::Histogram(b).cost());
        assert_eq!(costs, [16, 10, 3]);
    }
}
