//! In: a file's path and bytes. Out: which kind of config it is, and why one thinks so.
//!
//! Content beats the name: the name alone only suggests. A template of a config is no config: nothing certain can be
//! said about text that another program still has to write.

use super::{Claim, KINDS, Kind};
use crate::model::Layer;

/// What a file was taken for.
#[derive(Debug, Clone, Copy)]
pub enum Detected {
    /// A config of this kind; why.
    Kind(&'static Kind, &'static str),
    /// Recognised, but not a form that can be read; the way out.
    Unreadable(&'static str),
    /// A template of a config of this kind; the marker that shows it.
    Template(&'static Kind, &'static str),
    /// No config that any kind knows.
    Nothing,
}

/// Names that users may write for a kind.
const OTHER_NAMES: [(&str, &str); 16] = [
    ("ip6tables", "iptables"),
    ("iptables-save", "iptables"),
    ("ufw", "iptables"),
    ("resolv.conf", "resolv-conf"),
    ("resolved.conf", "resolved"),
    ("systemd-resolved", "resolved"),
    ("corefile", "coredns"),
    ("pi-hole", "pihole"),
    ("adguardhome", "adguard-home"),
    ("pdns-recursor", "recursor"),
    ("named", "bind"),
    ("bind9", "bind"),
    ("content-security-policy", "csp"),
    ("htm", "html"),
    ("httpd", "apache"),
    ("htaccess", "apache"),
];

/// The kind that a user names.
pub fn kind_called(name: &str) -> Option<&'static Kind> {
    let proper = OTHER_NAMES
        .iter()
        .find(|(other, _)| *other == name)
        .map_or(name, |(_, proper)| proper);
    super::kind(proper)
}

/// What a file is, by its content first and its name second.
pub fn detect(path: &str, bytes: &[u8]) -> Detected {
    let claims: Vec<(&'static Kind, Claim)> = KINDS
        .iter()
        .map(|kind| (*kind, (kind.claims)(path, bytes)))
        .collect();
    let sure = claims.iter().find_map(|(kind, claim)| match claim {
        Claim::Yes(why) => Some(Detected::Kind(kind, why)),
        Claim::No | Claim::Maybe(_) | Claim::Unreadable(_) => None,
    });
    let unreadable = claims.iter().find_map(|(_, claim)| match claim {
        Claim::Unreadable(way_out) => Some(Detected::Unreadable(way_out)),
        Claim::No | Claim::Maybe(_) | Claim::Yes(_) => None,
    });
    let likely = claims.iter().find_map(|(kind, claim)| match claim {
        Claim::Maybe(why) => Some(Detected::Kind(kind, why)),
        Claim::No | Claim::Yes(_) | Claim::Unreadable(_) => None,
    });
    let found = sure.or(unreadable).or(likely).unwrap_or(Detected::Nothing);
    match found {
        Detected::Kind(kind, _) => match template_marker(kind, bytes) {
            Some(marker) => Detected::Template(kind, marker),
            None => found,
        },
        Detected::Unreadable(_) | Detected::Template(..) | Detected::Nothing => found,
    }
}

/// What shows that a program still has to fill the text in. Pages and policies may hold such marks and be judged around
/// them, and to CoreDNS they are its own, so only the other kinds are asked.
pub fn template_marker(kind: &Kind, bytes: &[u8]) -> Option<&'static str> {
    const MARKERS: [(&[u8], &[u8], &str); 3] = [
        (b"{%", b"%}", "{% .. %}"),
        (b"{{", b"}}", "{{ .. }}"),
        (b"<%", b"%>", "<% .. %>"),
    ];
    if kind.layer == Layer::Fetch || kind.name == "coredns" {
        return None;
    }
    let is_comment = |line: &[u8]| {
        let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
        matches!(first, Some(b'#' | b';' | b'/'))
    };
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !is_comment(line))
        .find_map(|line| {
            MARKERS.iter().find_map(|(open, close, shown)| {
                let start = memchr::memmem::find(line, open)?;
                memchr::memmem::find(line.get(start..)?, close).map(|_| *shown)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_lead_to_a_kind() {
        for (other, proper) in OTHER_NAMES {
            assert_eq!(kind_called(other).map(|kind| kind.name), Some(proper));
        }
        assert!(kind_called("pf").is_none());
    }

    #[test]
    fn a_template_is_shown_by_its_marker_outside_comments() {
        let squid = kind_called("squid").unwrap();
        let marker = |text: &str| template_marker(squid, text.as_bytes());
        assert_eq!(marker("acl a src {{ net }}\n"), Some("{{ .. }}"));
        assert_eq!(marker("{% for x in y %}\n"), Some("{% .. %}"));
        assert_eq!(marker("# {{ net }}\nlogformat x %{User-Agent}>h\n"), None);
        let csp = kind_called("csp").unwrap();
        assert_eq!(template_marker(csp, b"img-src {{ x }}"), None);
    }
}
