//! In: ranges of integers. Out: one exact set of them, with set algebra.
//!
//! Addresses, ports, protocols, flags and every other numeric dimension are sets of this type. Addresses of both
//! families share one number line: an IPv4 address is the IPv6 address `::ffff:a.b.c.d`, as sockets map it.
//!
//! Invariants: ranges are inclusive at both ends, sorted, disjoint, and no two of them touch (`1-2,3-4` is `1-4`), so
//! that equal sets are equal values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, LazyLock};

/// An inclusive range of integers, `low <= high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    low: u128,
    high: u128,
}

impl Range {
    /// The range, or nothing where it is reversed.
    pub fn new(low: u128, high: u128) -> Option<Self> {
        (low <= high).then_some(Self { low, high })
    }

    /// One value.
    pub fn one(value: u128) -> Self {
        Self {
            low: value,
            high: value,
        }
    }

    /// The lowest value.
    pub fn low(self) -> u128 {
        self.low
    }

    /// The highest value, which belongs to the range.
    pub fn high(self) -> u128 {
        self.high
    }
}

/// An exact set of integers. One range is stored in place, so that a million `-s A` rules cost no allocation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ranges(Store);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Store {
    One([Range; 1]),
    /// Never of length one.
    Many(Arc<[Range]>),
}

/// Where IPv4 lies on the number line of addresses: `::ffff:0:0/96`.
const V4_BASE: u128 = 0xffff_0000_0000;

/// An address on the number line.
pub fn address(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => V4_BASE | u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The address at a place of the number line.
pub fn to_address(value: u128) -> IpAddr {
    match u32::try_from(value ^ V4_BASE) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(value)),
    }
}

impl Ranges {
    /// No value.
    pub fn empty() -> Self {
        static NONE: LazyLock<Arc<[Range]>> = LazyLock::new(|| Arc::from([]));
        Self(Store::Many(Arc::clone(&NONE)))
    }

    /// Every value of 128 bits.
    pub fn full() -> Self {
        Self(Store::One([Range {
            low: 0,
            high: u128::MAX,
        }]))
    }

    /// One value.
    pub fn one(value: u128) -> Self {
        Self::from(Range::one(value))
    }

    /// The values from `low` to `high`, both included; empty where the range is reversed.
    pub fn between(low: u128, high: u128) -> Self {
        Range::new(low, high).map_or_else(Self::empty, Self::from)
    }

    /// The addresses of the loopback interface, of both families (RFC 1122, RFC 4291).
    pub fn loopback() -> Self {
        let v4 = V4_BASE | 0x7f00_0000;
        Self::between(v4, v4 | 0x00ff_ffff).union(&Self::one(1))
    }

    /// Every IPv4 address.
    pub fn ipv4() -> Self {
        Self::between(V4_BASE, V4_BASE | 0xffff_ffff)
    }

    /// Every IPv6 address: all but the mapped IPv4 ones.
    pub fn ipv6() -> Self {
        Self::ipv4().complement()
    }

    /// The addresses of a network; bits of the host part are ignored.
    pub fn network(net: ipnet::IpNet) -> Self {
        Self::between(address(net.network()), address(net.broadcast()))
    }

    /// One address.
    pub fn host(ip: IpAddr) -> Self {
        Self::one(address(ip))
    }

    /// Any ranges, in any order, overlapping or not.
    pub fn from_unsorted(mut ranges: Vec<Range>) -> Self {
        // Mostly two sorted runs: a stable sort merges them.
        ranges.sort();
        let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if last.high == u128::MAX || range.low <= last.high + 1 => {
                    last.high = last.high.max(range.high);
                }
                Some(_) | None => merged.push(range),
            }
        }
        Self::from_canonical(merged)
    }

    fn from_canonical(ranges: Vec<Range>) -> Self {
        match ranges.as_slice() {
            [] => Self::empty(),
            [one] => Self(Store::One([*one])),
            [_, _, ..] => Self(Store::Many(ranges.into())),
        }
    }

    /// The ranges in ascending order.
    pub fn ranges(&self) -> &[Range] {
        match &self.0 {
            Store::One(one) => one,
            Store::Many(many) => many,
        }
    }

    /// No value at all.
    pub fn is_empty(&self) -> bool {
        self.ranges().is_empty()
    }

    /// Every value of 128 bits.
    pub fn is_full(&self) -> bool {
        matches!(self.ranges(), [only] if only.low == 0 && only.high == u128::MAX)
    }

    /// The lowest value.
    pub fn min(&self) -> Option<u128> {
        self.ranges().first().map(|range| range.low)
    }

    /// The highest value.
    pub fn max(&self) -> Option<u128> {
        self.ranges().last().map(|range| range.high)
    }

    /// The only value, where there is just one.
    pub fn single(&self) -> Option<u128> {
        match self.ranges() {
            [only] if only.low == only.high => Some(only.low),
            _ => None,
        }
    }

    /// How many values, saturating.
    pub fn count(&self) -> u128 {
        self.ranges().iter().fold(0u128, |sum, range| {
            sum.saturating_add((range.high - range.low).saturating_add(1))
        })
    }

    /// Whether a value belongs to the set.
    pub fn contains(&self, value: u128) -> bool {
        let ranges = self.ranges();
        let after = ranges.partition_point(|range| range.low <= value);
        after
            .checked_sub(1)
            .and_then(|at| ranges.get(at))
            .is_some_and(|range| value <= range.high)
    }

    /// Whether every value of this set is in the other.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.intersect(other) == *self
    }

    /// Whether the two share a value; cheaper than the intersection.
    pub fn meets(&self, other: &Self) -> bool {
        let (few, many) = if self.ranges().len() <= other.ranges().len() {
            (self, other)
        } else {
            (other, self)
        };
        few.ranges().iter().any(|range| {
            let ranges = many.ranges();
            let at = ranges.partition_point(|candidate| candidate.high < range.low);
            ranges
                .get(at)
                .is_some_and(|candidate| candidate.low <= range.high)
        })
    }

    /// The values in both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let (mut left, mut right) = (
            self.ranges().iter().peekable(),
            other.ranges().iter().peekable(),
        );
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            if let Some(range) = Range::new(a.low.max(b.low), a.high.min(b.high)) {
                both.push(range);
            }
            if a.high < b.high {
                left.next()
            } else {
                right.next()
            };
        }
        Self::from_canonical(both)
    }

    /// The values in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return other.clone();
        }
        let both = self.ranges().iter().chain(other.ranges());
        Self::from_unsorted(both.copied().collect())
    }

    /// The values of this set that are not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.intersect(&other.complement())
    }

    /// Every value of 128 bits that is not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.ranges().len() + 1);
        let mut next = Some(0);
        for range in self.ranges() {
            if let Some(low) = next
                && low < range.low
            {
                gaps.push(Range {
                    low,
                    high: range.low - 1,
                });
            }
            next = range.high.checked_add(1);
        }
        if let Some(low) = next {
            gaps.push(Range {
                low,
                high: u128::MAX,
            });
        }
        Self::from_canonical(gaps)
    }
}

impl Default for Ranges {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Range> for Ranges {
    fn from(range: Range) -> Self {
        Self(Store::One([range]))
    }
}

impl FromIterator<u128> for Ranges {
    fn from_iter<I: IntoIterator<Item = u128>>(values: I) -> Self {
        Self::from_unsorted(values.into_iter().map(Range::one).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_equal_values() {
        let a = Ranges::from_unsorted(vec![Range { low: 3, high: 4 }, Range { low: 1, high: 2 }]);
        assert_eq!(a, Ranges::between(1, 4));
        assert_eq!(a.complement().complement(), a);
        assert_eq!(Ranges::full().complement(), Ranges::empty());
        assert!(Ranges::between(5, 4).is_empty());
    }

    #[test]
    fn ipv4_lies_inside_the_number_line_of_ipv6() {
        let v4: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(to_address(address(v4)), v4);
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(to_address(address(v6)), v6);
        assert!(Ranges::ipv4().contains(address(v4)));
        assert!(!Ranges::ipv4().contains(address(v6)));
    }
}
