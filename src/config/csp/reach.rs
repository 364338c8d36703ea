//! In: a source expression and the page's origin. Out: the URLs that it matches.
//!
//! CSP3, 6.7.2 "URL Matching", with Chromium's answers where it differs: `https:` and hosts with it do not match `wss:`;
//! an insecure scheme matches its secure one only if the port is upgraded with it; `'self'` matches the page's own host
//! over `https:` and `wss:` too.

use crate::model::Ranges;

use super::syntax::{Host, Port, Source};

/// The schemes that name a server, each with its own port.
pub(super) const NETWORK: [(&str, u32); 4] =
    [("http", 80), ("https", 443), ("ws", 80), ("wss", 443)];

pub(super) const LAST_PORT: u32 = 65_535;

/// The origin of the page that the policy protects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Origin {
    /// `http` or `https`.
    pub(super) scheme: String,
    /// Lower case.
    pub(super) host: String,
    /// Its port, the scheme's own where none is written.
    pub(super) port: u32,
}

impl Origin {
    /// The one of most pages; example.com is nobody's meeting.
    pub(super) fn assumed() -> Self {
        Self {
            scheme: "https".to_owned(),
            host: "app.example.com".to_owned(),
            port: 443,
        }
    }

    /// Of a URL such as `https://app.example.com:8443`; anything after the port is ignored.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let own = default_port(&scheme)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, own),
        };
        (!host.is_empty()).then(|| Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    fn has_default_port(&self) -> bool {
        default_port(&self.scheme) == Some(self.port)
    }
}

/// The own port of a network scheme.
pub(super) fn default_port(scheme: &str) -> Option<u32> {
    NETWORK
        .iter()
        .find(|(name, _)| *name == scheme)
        .map(|(_, port)| *port)
}

/// The URLs that a source matches: an intersection of what each part may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    /// For each of [`NETWORK`] the ports.
    pub(super) ports: [Ranges; 4],
    /// A scheme without a server: `blob`, `data`.
    pub(super) other: Option<String>,
    pub(super) host: Hosts,
    pub(super) path: Paths,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hosts {
    Any,
    One(String),
    Below(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Paths {
    Any,
    /// Decoded; ends in `/`: every path that starts so.
    Like(Vec<u8>),
}

/// How the browser changes a URL before it asks the policy (`upgrade-insecure-requests`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// Not at all.
    Never,
    /// `http:` becomes `https:`, `ws:` becomes `wss:`.
    Before,
    /// It asks about `http:` as it is and about what it becomes; `ws:` it upgrades first.
    Both,
}

/// Which part of Chromium compares ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparer {
    /// The page's own (`csp_source.cc` of Blink): `http://a:443` matches `https://a`.
    Page,
    /// That of navigations, for frames (`csp_source.cc` of the network service): it does not.
    Navigation,
}

/// What a source matches; `None` where it is no URL pattern (keywords, nonces, broken ones).
pub(super) fn reach(source: &Source, origin: &Origin, comparer: Comparer) -> Option<Reach> {
    let all = || Ranges::between(0, u128::from(LAST_PORT));
    match source {
        Source::Star => Some(Reach {
            ports: NETWORK.map(|_| all()),
            other: None,
            host: Hosts::Any,
            path: Paths::Any,
        }),
        Source::Myself => Some(Reach {
            ports: NETWORK.map(|scheme| own_ports(scheme, origin)),
            other: None,
            host: Hosts::One(origin.host.clone()),
            path: Paths::Any,
        }),
        Source::Scheme(scheme) => Some(Reach {
            ports: NETWORK.map(|(name, _)| match upgrade(scheme, name) {
                SchemeMatch::Exact | SchemeMatch::Upgrade => all(),
                SchemeMatch::No => Ranges::empty(),
            }),
            other: default_port(scheme).is_none().then(|| scheme.clone()),
            host: Hosts::Any,
            path: Paths::Any,
        }),
        Source::Host(host) => Some(Reach {
            ports: NETWORK.map(|scheme| host_ports(host, scheme, origin, comparer)),
            other: None,
            host: match (host.wildcard, host.name.as_str()) {
                (true, "") => Hosts::Any,
                (true, name) => Hosts::Below(name.to_owned()),
                (false, name) => Hosts::One(name.to_owned()),
            },
            path: match host.path.as_deref() {
                None | Some(b"/") => Paths::Any,
                Some(path) => Paths::Like(path.to_vec()),
            },
        }),
        Source::None
        | Source::Keyword(_)
        | Source::Nonce(_)
        | Source::Hash(_)
        | Source::Template
        | Source::Bad(_) => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SchemeMatch {
    No,
    Exact,
    Upgrade,
}

/// CSP3, 6.7.2.8 "scheme-part match", without the crossing from `http` to `ws`, which browsers do not do.
fn upgrade(of_source: &str, of_url: &str) -> SchemeMatch {
    if of_source == of_url {
        SchemeMatch::Exact
    } else if matches!((of_source, of_url), ("http", "https") | ("ws", "wss")) {
        SchemeMatch::Upgrade
    } else {
        SchemeMatch::No
    }
}

/// `'self'` (CSP3, 6.7.2.7, step 4): the same port or both the default one; an insecure URL only for an insecure page.
fn own_ports((scheme, own): (&str, u32), origin: &Origin) -> Ranges {
    let secure = matches!(scheme, "https" | "wss");
    if !secure && origin.scheme != "http" {
        Ranges::empty()
    } else if origin.has_default_port() {
        one(own)
    } else {
        one(origin.port)
    }
}

/// The ports of a host source for URLs of one scheme. Chromium (`csp_source.cc`) tells an exact match of the port from
/// one that goes from 80 to 443 with the scheme; scheme and port are upgraded together or not at all.
fn host_ports(
    host: &Host,
    (scheme, own): (&str, u32),
    origin: &Origin,
    comparer: Comparer,
) -> Ranges {
    let of_source = host.scheme.as_deref().unwrap_or(&origin.scheme);
    let scheme_match = upgrade(of_source, scheme);
    if scheme_match == SchemeMatch::No {
        return Ranges::empty();
    }
    match host.port {
        Port::Any => Ranges::between(0, u128::from(LAST_PORT)),
        Port::Default => one(own),
        Port::Is(port) => {
            let upgrades_port =
                port == 80 || (port == 443 && of_source == "http" && comparer == Comparer::Page);
            match scheme_match {
                SchemeMatch::Upgrade if upgrades_port && own == 443 => one(443),
                SchemeMatch::Upgrade | SchemeMatch::No => Ranges::empty(),
                SchemeMatch::Exact => one(port),
            }
        }
    }
}

fn one(port: u32) -> Ranges {
    Ranges::one(u128::from(port))
}

impl Reach {
    /// The URLs that match after the browser has changed them.
    #[must_use]
    pub(super) fn upgraded(mut self, how: Upgrade) -> Self {
        if how == Upgrade::Never {
            return self;
        }
        let [http, https, _, wss] = self.ports.clone();
        // An upgraded URL keeps its port, but 80 becomes 443.
        let before = |secure: &Ranges| {
            let kept = secure.minus(&one(80));
            if secure.contains(443) {
                kept.union(&one(80))
            } else {
                kept
            }
        };
        let from_http = match how {
            Upgrade::Never | Upgrade::Before => before(&https),
            Upgrade::Both => before(&https).intersect(&http),
        };
        self.ports = [from_http, https, before(&wss), wss];
        self
    }

    /// Whether it matches every URL `scheme://host:port` of a pattern (`*.a.test` for names below), whatever the path.
    pub(super) fn covers(&self, scheme: &str, host: &str, port: Option<u32>) -> bool {
        if self.other.is_some() {
            return self.other.as_deref() == Some(scheme);
        }
        let Some((ports, (_, own))) = self
            .ports
            .iter()
            .zip(NETWORK)
            .find(|(_, (name, _))| *name == scheme)
        else {
            return false;
        };
        let host_fits = match &self.host {
            Hosts::Any => true,
            Hosts::One(name) => name == host,
            Hosts::Below(name) => host
                .strip_suffix(name.as_str())
                .is_some_and(|front| front.ends_with('.')),
        };
        ports.contains(u128::from(port.unwrap_or(own))) && host_fits && self.path == Paths::Any
    }
}
