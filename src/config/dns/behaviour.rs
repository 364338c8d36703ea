//! In: what a resolver's lowering learnt about EDNS0, sizes and transports, hop by hop. Out: the settings and facts of a
//! reading.
//!
//! Invariants: setting names are fixed, policies ask for them; no value here is a guess: what a file does not tell is
//! [`Known::Unknown`] with its reason.

use super::super::{FactValue, Reading, Setting, SettingValue};
use crate::source::{Span, Spanned};

/// What a reply may have without EDNS0 (RFC 1035, 4.2.1).
pub(in crate::config) const PLAIN_UDP: u64 = 512;

/// Something that the file settles, does not concern, or leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum Known<T> {
    /// This.
    Is(T),
    /// Does not apply: no UDP on this hop, nothing is asked upstream.
    Moot,
    /// Not known; why, completing "cannot tell without ...".
    Unknown(String),
}

/// A value with the line that decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Held<T> {
    /// What it is.
    pub(in crate::config) value: Known<T>,
    /// The line that decides; `None` for a built-in default.
    pub(in crate::config) span: Option<Span>,
    /// Why it is so, as a clause: "`edns-buffer-size: 512` sets it", "the default since 1.12".
    pub(in crate::config) why: String,
    /// Lines that look as if they decided but do not, each with what is wrong with it.
    pub(in crate::config) ignored: Vec<Spanned<String>>,
}

impl<T> Held<T> {
    /// A built-in default.
    pub(in crate::config) fn default_is(value: T, why: impl Into<String>) -> Self {
        Self {
            value: Known::Is(value),
            span: None,
            why: why.into(),
            ignored: Vec::new(),
        }
    }

    /// Set by a line.
    pub(in crate::config) fn set(value: T, span: Span, why: impl Into<String>) -> Self {
        Self {
            value: Known::Is(value),
            span: Some(span),
            why: why.into(),
            ignored: Vec::new(),
        }
    }

    /// Does not apply.
    pub(in crate::config) fn moot(span: Option<Span>, why: impl Into<String>) -> Self {
        Self {
            value: Known::Moot,
            span,
            why: why.into(),
            ignored: Vec::new(),
        }
    }

    /// Cannot be known; `missing` completes "cannot tell without ...".
    pub(in crate::config) fn unknown(span: Option<Span>, missing: impl Into<String>) -> Self {
        let missing = missing.into();
        Self {
            why: format!("it depends on {missing}"),
            value: Known::Unknown(missing),
            span,
            ignored: Vec::new(),
        }
    }

    fn map(&self, value: impl FnOnce(&T) -> SettingValue) -> SettingValue {
        match &self.value {
            Known::Is(known) => value(known),
            Known::Moot => SettingValue::NotApplicable,
            Known::Unknown(missing) => SettingValue::Unknown(missing.clone()),
        }
    }

    fn setting(&self, name: &'static str, value: impl FnOnce(&T) -> SettingValue) -> Setting {
        let value = self.map(value);
        Setting {
            name,
            effect: effect(name, &value),
            value,
            span: self.span,
            why: self.why.clone(),
            ignored: self.ignored.clone(),
        }
    }
}

/// What a setting does to those who look names up, as a clause.
fn effect(name: &str, value: &SettingValue) -> String {
    match (name, value) {
        ("dns.edns0", SettingValue::On) => "queries carry EDNS0".to_owned(),
        ("dns.edns0", SettingValue::Off) => "queries carry no EDNS0".to_owned(),
        ("dns.edns0.upstream-size", SettingValue::Number(size)) => {
            format!("servers are asked for at most {size} bytes over UDP")
        }
        ("dns.edns0.client-size", SettingValue::Number(size)) => {
            format!("clients are offered {size} bytes over UDP")
        }
        ("dns.udp.max-reply", SettingValue::Number(0)) => "nothing comes over UDP".to_owned(),
        ("dns.udp.max-reply", SettingValue::Number(size)) => {
            format!("answers over UDP are cut at {size} bytes")
        }
        ("dns.tcp", SettingValue::On) => "TCP works".to_owned(),
        ("dns.tcp", SettingValue::Off) => "TCP does not work".to_owned(),
        ("dns.nameservers", SettingValue::Number(0)) => "none is used".to_owned(),
        ("dns.nameservers", SettingValue::Number(1)) => "one is used".to_owned(),
        ("dns.nameservers", SettingValue::Number(count)) => format!("{count} are used"),
        _ => String::new(),
    }
}

/// Whether queries to the upstream (of a stub: to its nameserver) carry an OPT record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Edns0 {
    /// All do.
    Always,
    /// None does.
    Never,
    /// Those whose client sent one: a transparent forwarder.
    IfClient,
    /// Some do: it depends on the server asked.
    Sometimes,
}

/// A resolver's EDNS0 and transport, hop by hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Behaviour {
    /// Towards the upstream; [`Known::Moot`] where nothing is ever asked upstream.
    pub(in crate::config) edns0: Held<Edns0>,
    /// The sizes advertised upstream, ascending.
    pub(in crate::config) upstream_sizes: Held<Vec<u64>>,
    /// The size in the OPT of replies to clients; moot for a stub.
    pub(in crate::config) client_size: Held<u64>,
    /// The largest reply that passes over UDP without truncation: towards an EDNS0 client, for a stub from its
    /// nameserver; 0: none at all.
    pub(in crate::config) max_reply: Held<u64>,
    /// Whether TCP works towards clients and upstream, as far as this program decides it.
    pub(in crate::config) tcp: Held<bool>,
    /// How many nameservers or forwarders are used; moot where it iterates from the root.
    pub(in crate::config) nameservers: Held<u64>,
    /// Whether a line of the file can change the sizes. Where none can, the sizes are facts but no requirement can be
    /// about them.
    pub(in crate::config) sizes_are_settable: bool,
}

impl Behaviour {
    /// Puts the settings and facts of the machine contract into a reading.
    pub(in crate::config) fn report(&self, reading: &mut Reading) {
        let size = |size: &u64| {
            if self.sizes_are_settable {
                SettingValue::Number(*size)
            } else {
                SettingValue::NotApplicable
            }
        };
        reading.settings.extend([
            self.edns0.setting("dns.edns0", |edns0| match edns0 {
                Edns0::Always => SettingValue::On,
                Edns0::Never | Edns0::Sometimes => SettingValue::Off,
                Edns0::IfClient => SettingValue::PassesThrough,
            }),
            self.upstream_sizes
                .setting("dns.edns0.upstream-size", |sizes| {
                    sizes.first().map_or(SettingValue::NotApplicable, size)
                }),
            self.client_size.setting("dns.edns0.client-size", size),
            self.max_reply.setting("dns.udp.max-reply", size),
            self.tcp.setting("dns.tcp", |works| {
                if *works {
                    SettingValue::On
                } else {
                    SettingValue::Off
                }
            }),
            self.nameservers
                .setting("dns.nameservers", |count| SettingValue::Number(*count)),
        ]);
        let word = |text: &str| FactValue::Word(text.to_owned());
        reading.facts.extend([
            (
                "dns.edns0.upstream".to_owned(),
                match &self.edns0.value {
                    Known::Is(Edns0::Always) => word("always"),
                    Known::Is(Edns0::Never) => word("never"),
                    Known::Is(Edns0::IfClient) => word("if-client"),
                    Known::Is(Edns0::Sometimes) => word("sometimes"),
                    Known::Moot => word("none-sent"),
                    Known::Unknown(_) => FactValue::Unknown,
                },
            ),
            (
                "dns.edns0.upstream-size".to_owned(),
                match &self.upstream_sizes.value {
                    Known::Is(sizes) => FactValue::Numbers(sizes.clone()),
                    Known::Moot => FactValue::Numbers(Vec::new()),
                    Known::Unknown(_) => FactValue::Unknown,
                },
            ),
            (
                "dns.edns0.client-size".to_owned(),
                number(&self.client_size),
            ),
            ("dns.udp.max-reply".to_owned(), number(&self.max_reply)),
            (
                "dns.tcp".to_owned(),
                match &self.tcp.value {
                    Known::Is(true) => word("ok"),
                    Known::Is(false) => word("no"),
                    Known::Moot | Known::Unknown(_) => FactValue::Unknown,
                },
            ),
        ]);
    }
}

/// Upstream servers are asked over TCP or TLS: the advertised size is a fact still, but no requirement can be about it.
pub(in crate::config) fn sizes_are_moot(reading: &mut Reading, span: Span, why: &str) {
    for setting in &mut reading.settings {
        if setting.name == "dns.edns0.upstream-size" {
            setting.value = SettingValue::NotApplicable;
            setting.span = Some(span);
            why.clone_into(&mut setting.why);
        }
    }
}

fn number(held: &Held<u64>) -> FactValue {
    match &held.value {
        Known::Is(value) => FactValue::Number(*value),
        Known::Moot | Known::Unknown(_) => FactValue::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn span() -> Span {
        let file = Sources::new().add("x", b"x".to_vec()).unwrap();
        Span::new(file, 0, 1)
    }

    #[test]
    fn behaviour_becomes_settings_and_facts() {
        let behaviour = Behaviour {
            edns0: Held::default_is(Edns0::IfClient, "it forwards what it gets"),
            upstream_sizes: Held::default_is(vec![1232], "the default"),
            client_size: Held::default_is(1232, "the default"),
            max_reply: Held::set(PLAIN_UDP, span(), "a line sets it"),
            tcp: Held::default_is(false, "off"),
            nameservers: Held::moot(None, "it iterates"),
            sizes_are_settable: true,
        };
        let mut reading = Reading::default();
        behaviour.report(&mut reading);
        let value = |name: &str| {
            reading
                .settings
                .iter()
                .find(|setting| setting.name == name)
                .map(|setting| setting.value.clone())
        };
        assert_eq!(value("dns.edns0"), Some(SettingValue::PassesThrough));
        assert_eq!(value("dns.udp.max-reply"), Some(SettingValue::Number(512)));
        assert_eq!(value("dns.tcp"), Some(SettingValue::Off));
        assert_eq!(value("dns.nameservers"), Some(SettingValue::NotApplicable));
        assert!(reading.facts.contains(&(
            "dns.edns0.upstream".to_owned(),
            FactValue::Word("if-client".to_owned())
        )));
    }
}
