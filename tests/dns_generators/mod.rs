//! In: a seed. Out: random resolver configs of each kind, for the DNS oracle.
//!
//! A kind's generator takes what people really write, and what breaks: other blanks, quotes, case, line ends, repeated
//! and misspelt lines. A new kind is one file here and one line of [`GENERATORS`].

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod dnsmasq;
mod named;
mod resolv_conf;
mod unbound;

/// A config, and whom and what the oracle asks beyond its own questions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Generated {
    /// The config's text.
    pub(crate) config: String,
    /// Further client addresses.
    pub(crate) clients: Vec<&'static str>,
    /// Further names below `chime.aws`, whose first label starts with `small`.
    pub(crate) names: Vec<&'static str>,
}

/// Makes a config.
pub(crate) type Generate = fn(&mut Random) -> Generated;

/// The oracle's kinds, the program that each needs, and their generators.
pub(crate) const GENERATORS: &[(&str, &str, Generate)] = &[
    ("resolv.conf", "python3", resolv_conf::generate),
    ("unbound", "unbound", unbound::generate),
    ("named", "named", named::generate),
    ("dnsmasq", "dnsmasq", dnsmasq::generate),
];

/// xorshift64*: the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator for a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound.max(1)
    }

    /// True once in `of` times.
    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    /// One of these.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap();
        from.get(at).copied().unwrap()
    }
}
