//! In: rules, and what may arrive at them. Out: which rules surely concern none of it, told from a few integers each.
//!
//! Most rules of a large ruleset are about other addresses, protocols or ports than the question. Their sketches lie side
//! by side in memory, so that a walk passes a million of them in milliseconds and looks only at the others.
//!
//! INVARIANT: a sketch holds every flow that its rule may match, so what does not meet it needs no look at the rule.

use super::env::{Current, Env};
use super::reach::Reach;
use crate::model::{Dim, Family, Gate, Guard, Ranges, Rule, Step, Test, address};

/// Ends of an interval, both included; reversed where nothing is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hull<T> {
    low: T,
    high: T,
}

impl<T: Ord + Copy> Hull<T> {
    fn meets(self, other: Self) -> bool {
        let both = self.within(other);
        both.low <= both.high
    }

    fn within(self, other: Self) -> Self {
        Self {
            low: self.low.max(other.low),
            high: self.high.min(other.high),
        }
    }
}

/// The values that a rule may match in the dimensions that rules differ in most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sketch {
    source: Hull<u32>,
    destination: Hull<u32>,
    source_port: Hull<u16>,
    destination_port: Hull<u16>,
    protocol: Hull<u8>,
}

/// The sketches of all rules of a gate, chain by chain.
#[derive(Debug)]
pub(crate) struct Sketches {
    family: Option<Family>,
    chains: Vec<Box<[Sketch]>>,
}

/// No value.
const NOTHING: Hull<u8> = Hull { low: 1, high: 0 };

/// Every flow.
const EVERYTHING: Sketch = Sketch {
    source: Hull {
        low: 0,
        high: u32::MAX,
    },
    destination: Hull {
        low: 0,
        high: u32::MAX,
    },
    source_port: Hull {
        low: 0,
        high: u16::MAX,
    },
    destination_port: Hull {
        low: 0,
        high: u16::MAX,
    },
    protocol: Hull {
        low: 0,
        high: u8::MAX,
    },
};

impl Sketches {
    /// Of every rule of a gate.
    pub(crate) fn of(gate: &Gate) -> Self {
        let chains = gate.chains.iter().map(|chain| {
            let rules = chain.rules.iter();
            rules.map(|rule| Sketch::of(rule, gate.family)).collect()
        });
        Self {
            family: gate.family,
            chains: chains.collect(),
        }
    }

    /// Of a chain's rules, in order.
    pub(crate) fn chain(&self, chain: usize) -> &[Sketch] {
        self.chains.get(chain).map_or(&[], |rules| rules)
    }

    /// Of flows in one environment: what is asked, and where the flows' clients lie.
    pub(crate) fn flows<'a>(
        &self,
        env: &Env,
        asked: &dyn Fn(Dim) -> Option<&'a Ranges>,
        reach: Option<&Reach>,
    ) -> Sketch {
        let mut sketch = EVERYTHING;
        for dim in [
            Dim::Source,
            Dim::Destination,
            Dim::SourcePort,
            Dim::DestinationPort,
            Dim::Protocol,
        ] {
            match env.get(dim) {
                Current::Of(of) => {
                    if let Some(set) = asked(of) {
                        sketch.narrow(dim, set, self.family);
                    }
                    if let (Dim::Source, Some((low, high))) = (of, reach.and_then(Reach::hull)) {
                        sketch.narrow(dim, &Ranges::between(low, high), self.family);
                    }
                }
                Current::Const(value) => sketch.narrow(dim, &Ranges::one(value), self.family),
                Current::Every(..)
                | Current::OneOf(_)
                | Current::Prefix { .. }
                | Current::Own(_)
                | Current::Unknown(_) => {}
            }
        }
        sketch
    }
}

impl Sketch {
    fn of(rule: &Rule, family: Option<Family>) -> Self {
        let mut sketch = EVERYTHING;
        if matches!(rule.step, Step::Continue) {
            // What matches goes on as before.
            sketch.protocol = NOTHING;
            return sketch;
        }
        let tests = match &rule.guard {
            Guard::All(guards) => guards.as_slice(),
            one @ (Guard::Always
            | Guard::AnyOf(_)
            | Guard::Not(_)
            | Guard::Is(_)
            | Guard::Unknown(_)) => std::slice::from_ref(one),
        };
        for test in tests {
            if let Guard::Is(Test::In(dim, set)) = test {
                sketch.narrow(*dim, set, family);
            }
        }
        sketch
    }

    /// Whether flows may concern a rule.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.source.meets(other.source)
            && self.destination.meets(other.destination)
            && self.protocol.meets(other.protocol)
            && self.destination_port.meets(other.destination_port)
            && self.source_port.meets(other.source_port)
    }

    fn narrow(&mut self, dim: Dim, set: &Ranges, family: Option<Family>) {
        let (Some(low), Some(high)) = (set.min(), set.max()) else {
            self.protocol = NOTHING;
            return;
        };
        let address = Hull {
            low: folded(low, family),
            high: folded(high, family),
        };
        let port = Hull {
            low: u16::try_from(low).unwrap_or(u16::MAX),
            high: u16::try_from(high).unwrap_or(u16::MAX),
        };
        if dim == Dim::Source {
            self.source = self.source.within(address);
        } else if dim == Dim::Destination {
            self.destination = self.destination.within(address);
        } else if dim == Dim::SourcePort {
            self.source_port = self.source_port.within(port);
        } else if dim == Dim::DestinationPort {
            self.destination_port = self.destination_port.within(port);
        } else if dim == Dim::Protocol {
            self.protocol = self.protocol.within(Hull {
                low: u8::try_from(low).unwrap_or(u8::MAX),
                high: u8::try_from(high).unwrap_or(u8::MAX),
            });
        }
    }
}

/// The number line of addresses in 32 bits, in order: exact for IPv4 where the rules are IPv4's, else the highest bits.
fn folded(value: u128, family: Option<Family>) -> u32 {
    match family {
        Some(Family::V4) => {
            let base = address([0, 0, 0, 0].into());
            u32::try_from(value.saturating_sub(base)).unwrap_or(u32::MAX)
        }
        Some(Family::V6) | None => u32::try_from(value >> 96).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(family: Option<Family>, sets: &[(Dim, Ranges)]) -> Sketch {
        let mut sketch = EVERYTHING;
        for (dim, set) in sets {
            sketch.narrow(*dim, set, family);
        }
        sketch
    }

    #[test]
    fn sets_that_share_a_value_have_sketches_that_meet() {
        let words = [
            "10.0.0.1",
            "10.0.0.2",
            "255.255.255.255",
            "::1",
            "2001:db8::1",
        ];
        for family in [None, Some(Family::V4), Some(Family::V6)] {
            for left in words {
                for right in words {
                    let one = |word: &str| Ranges::host(word.parse().unwrap());
                    let (left, right) = (one(left), one(right));
                    let shares = left.meets(&right);
                    let a = sketch(family, &[(Dim::Source, left)]);
                    let b = sketch(family, &[(Dim::Source, right)]);
                    assert!(a.meets(&b) || !shares);
                }
            }
        }
        let a = sketch(
            Some(Family::V4),
            &[(Dim::Source, Ranges::host([10, 0, 0, 1].into()))],
        );
        let b = sketch(
            Some(Family::V4),
            &[(Dim::Source, Ranges::host([10, 0, 0, 2].into()))],
        );
        assert!(!a.meets(&b));
        assert!(a.meets(&EVERYTHING) && EVERYTHING.meets(&EVERYTHING));
        let nothing = sketch(None, &[(Dim::Destination, Ranges::empty())]);
        assert!(!nothing.meets(&EVERYTHING) && !EVERYTHING.meets(&nothing));
    }
}
