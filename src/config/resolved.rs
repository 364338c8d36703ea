//! In: one resolved.conf with its drop-ins. Out: its reading: systemd's resolver of one machine.
//!
//! Rules: resolved.conf(5), `src/resolve` of systemd, and what systemd-resolved 252 was seen to do. It skips what it does
//! not understand and writes so to its log only, so the reader says it. Facts: `resolved.link-servers` (`none`, where no
//! network link brings a server along).

use super::{Blocked, Claim, Diagnostic, Facts, Files, Fix, Input, Kind, Level, NoFiles, Reading};
use crate::model::Layer;

mod fix;
mod lower;
mod parse;
mod syntax;

pub(crate) const KIND: Kind = Kind {
    name: "resolved",
    title: "resolved.conf of systemd-resolved",
    layer: Layer::Lookup,
    claims,
    read,
    fix,
    diagnostics: DIAGNOSTICS,
};

/// A line without effect.
const LINE: &str = "resolved/ignored-line";
/// A broken header ends the reading.
const REST: &str = "resolved/rest-not-read";
/// A server that is no address.
const SERVER: &str = "resolved/server-ignored";
/// `DNSSEC=yes`.
const DNSSEC: &str = "resolved/dnssec-strict";

const DIAGNOSTICS: &[Diagnostic] = &[
    Diagnostic {
        id: LINE,
        level: Level::Warning,
        title: "A line is skipped by systemd-resolved",
        doc: "systemd-resolved reads `Key=value` lines of the section `[Resolve]`. It skips keys that it does not know \
              (their case counts), values that it does not take, and lines outside the section; only its log says so.\n\n\
              Correct the line, and look into `journalctl -u systemd-resolved` after a restart.",
    },
    Diagnostic {
        id: REST,
        level: Level::Error,
        title: "A broken section header ends the reading",
        doc: "A line that begins with `[` and does not end with `]` stops systemd-resolved: the rest of the file and \
              every drop-in after it are not read.\n\nClose the header.",
    },
    Diagnostic {
        id: SERVER,
        level: Level::Warning,
        title: "A server is no address and is never asked",
        doc: "Servers are addresses, with `:PORT`, `%INTERFACE` and `#NAME` behind them where needed, and blanks between \
              them. A word with a comma, quotes, a comment or a host name is skipped.\n\n\
              Separate servers by blanks, and put comments on lines of their own.",
    },
    Diagnostic {
        id: DNSSEC,
        level: Level::Info,
        title: "Answers without DNSSEC records fail",
        doc: "With `DNSSEC=yes` each answer must be validated. A server that does not hand on DNSSEC records, as many \
              routers do, makes every lookup fail.\n\n\
              Use `DNSSEC=allow-downgrade` unless all servers are known to serve DNSSEC records.",
    },
];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let mut head = bytes
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii);
    let name = path.rsplit('/').next().unwrap_or(path);
    if head.any(|line| line == b"[Resolve]") {
        Claim::Yes("has a section `[Resolve]`")
    } else if name == "resolved.conf" {
        Claim::Maybe("is named resolved.conf")
    } else {
        Claim::No
    }
}

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    lower::lower(input, &parse::parse(input, files), facts)
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    fix::fix(input, &parse::parse(input, &NoFiles), blocked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SettingValue;
    use crate::source::Sources;

    fn reading(text: &str) -> Reading {
        let file = Sources::new().add("r", text.as_bytes().to_vec()).unwrap();
        let input = Input {
            file,
            path: "etc/systemd/resolved.conf",
            bytes: text.as_bytes(),
        };
        read(&input, &NoFiles, &Facts::default())
    }

    #[test]
    fn what_is_skipped_is_said() {
        let text = "DNS=9.9.9.9\n[Foo]\nx=y\n[Resolve]\ndns=8.8.8.8\nDNS=8.8.8.8,9.9.9.9\nDNSStubListener=maybe\nx\n[Res\nDNS=1.1.1.1\n";
        let ids: Vec<_> = reading(text).findings.iter().map(|one| one.id).collect();
        assert_eq!(ids, [LINE, LINE, LINE, SERVER, LINE, LINE, REST]);
    }

    #[test]
    fn tls_makes_the_size_moot_and_a_listener_without_tcp_is_said() {
        let reading = reading("[Resolve]\nDNS=1.1.1.1\nDNSOverTLS=yes\nDNSStubListener=udp\n");
        let value = |name: &str| {
            let setting = reading.settings.iter().find(|one| one.name == name);
            setting.map(|one| one.value.clone())
        };
        assert_eq!(value("dns.edns0"), Some(SettingValue::On));
        assert_eq!(value("dns.tcp"), Some(SettingValue::Off));
    }

    #[test]
    fn without_a_listener_it_is_not_judged() {
        assert!(
            reading("[Resolve]\nDNSStubListener=no\n")
                .not_judged
                .is_some()
        );
        let extra = "[Resolve]\nDNSStubListener=no\nDNSStubListenerExtra=192.168.1.2\n";
        assert!(reading(extra).not_judged.is_none());
    }

    #[test]
    fn claims_go_by_the_section() {
        assert!(matches!(claims("x", b"# c\n [Resolve]\r\n"), Claim::Yes(_)));
        assert!(matches!(claims("etc/resolved.conf", b""), Claim::Maybe(_)));
        assert_eq!(claims("x.conf", b"[Network]\nDNS=1.1.1.1\n"), Claim::No);
    }
}
