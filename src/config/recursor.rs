//! In: one recursor.conf, in the old syntax or in YAML, with what it includes. Out: its reading: a resolver or forwarder.
//!
//! Rules: the settings in the manual of the PowerDNS Recursor, and what 4.8.8 was seen to do. Facts: `recursor.version`.

use super::{Blocked, Claim, Diagnostic, Facts, Files, Fix, Input, Kind, Level, NoFiles, Reading};
use crate::model::Layer;
use crate::source::Sources;

mod fix;
mod lower;
mod names;
mod parse;
mod syntax;

pub(crate) const KIND: Kind = Kind {
    name: "recursor",
    title: "recursor.conf of the PowerDNS Recursor",
    layer: Layer::Lookup,
    claims,
    read,
    fix,
    diagnostics: DIAGNOSTICS,
};

/// The recursor does not start.
const REFUSED: &str = "recursor/does-not-start";
/// A name that is not known here.
const UNKNOWN: &str = "recursor/unknown-setting";

const DIAGNOSTICS: &[Diagnostic] = &[
    Diagnostic {
        id: REFUSED,
        level: Level::Error,
        title: "The recursor refuses the file",
        doc: "The recursor stops at the first mistake and does not start: a setting in upper case or with leading `--`, a \
              word where a number belongs, a server that is no address, blanks around the `=` inside `forward-zones`.\n\n\
              Mend the place; the log names the setting.",
    },
    Diagnostic {
        id: UNKNOWN,
        level: Level::Warning,
        title: "A setting is not known",
        doc: "The recursor does not start with a setting that it does not know. This one is in none of the versions that \
              were looked at, so it is a mistake, or it came later.\n\n\
              Compare it with `pdns_recursor --config=default`.",
    },
];

/// Settings that no other program has.
const TELLING: [&str; 10] = [
    "forward-zones",
    "forward-zones-recurse",
    "forward-zones-file",
    "edns-outgoing-bufsize",
    "udp-truncation-threshold",
    "export-etc-hosts",
    "serve-rfc1918",
    "lua-dns-script",
    "hint-file",
    "dont-query",
];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let named = path.rsplit('/').next().unwrap_or(path).contains("recursor");
    let head = bytes.get(..bytes.len().min(64 * 1024)).unwrap_or_default();
    // Spans of a claim are never shown.
    let Ok(file) = Sources::new().add("", Vec::new()) else {
        return Claim::No;
    };
    let (settings, _) = syntax::settings(file, head);
    let known = settings
        .iter()
        .filter(|setting| names::is_known(&setting.name.value))
        .count();
    let telling = settings
        .iter()
        .filter(|setting| TELLING.contains(&setting.name.value.as_str()))
        .count();
    let yaml = syntax::is_yaml(&String::from_utf8_lossy(head));
    let sections = ["recursor:", "incoming:", "outgoing:"]
        .iter()
        .filter(|section| {
            head.split(|byte| *byte == b'\n')
                .any(|line| line.trim_ascii_end() == section.as_bytes())
        })
        .count();
    match (telling, known * 2 >= settings.len()) {
        (1.., true) if !yaml || sections > 0 => Claim::Yes("has settings of the recursor"),
        _ if yaml && sections >= 2 => Claim::Yes("has sections of recursor.yml"),
        (_, true) if named && known > 0 => Claim::Yes("is named recursor and has its settings"),
        _ if path.ends_with("recursor.conf") => Claim::Maybe("is named recursor.conf"),
        _ => Claim::No,
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
    use crate::config::FactValue;

    fn reading(text: &str) -> Reading {
        let file = Sources::new().add("r", text.as_bytes().to_vec()).unwrap();
        let input = Input {
            file,
            path: "recursor.conf",
            bytes: text.as_bytes(),
        };
        read(&input, &NoFiles, &Facts::default())
    }

    fn fact(text: &str, name: &str) -> Option<FactValue> {
        let facts = reading(text).facts;
        let fact = facts.into_iter().find(|(known, _)| known == name);
        fact.map(|(_, value)| value)
    }

    #[test]
    fn sizes_wrap_and_zero_is_no_limit() {
        let max = |text: &str| fact(text, "dns.udp.max-reply");
        assert_eq!(max(""), Some(FactValue::Number(1232)));
        assert_eq!(
            max("udp-truncation-threshold=512\nudp-truncation-threshold=70000\n"),
            Some(FactValue::Number(4464))
        );
        assert_eq!(
            max("udp-truncation-threshold=\n"),
            Some(FactValue::Number(65_535))
        );
        assert_eq!(
            fact(
                "outgoing:\n  edns_bufsize: 512\n",
                "dns.edns0.upstream-size"
            ),
            Some(FactValue::Numbers(vec![512]))
        );
    }

    #[test]
    fn mistakes_keep_it_from_starting() {
        for text in [
            "Forward-Zones=.=8.8.8.8\n",
            "--forward-zones=.=8.8.8.8\n",
            "forward-zones = . = 8.8.8.8\n",
            "forward-zones=.=foo\n",
            "edns-outgoing-bufsize=abc\n",
            "allow-from=10\n",
            "incoming: [\n",
        ] {
            assert!(
                reading(text).findings.iter().any(|one| one.refuses),
                "{text}"
            );
        }
        for text in [
            "quiet\n",
            "forward-zones=.=8.8.8.8 # x\n",
            "forward-zones=aws=\n",
            "forward-zones=+.=8.8.8.8;9.9.9.9:5353, a=[::1]:53\n",
        ] {
            assert!(reading(text).findings.is_empty(), "{text}");
        }
        let unknown = reading("some-new-setting=1\n").findings;
        assert_eq!(unknown[0].id, UNKNOWN);
    }

    #[test]
    fn both_syntaxes_are_claimed() {
        let yes = |path: &str, text: &str| matches!(claims(path, text.as_bytes()), Claim::Yes(_));
        assert!(yes("x.conf", "forward-zones=.=8.8.8.8\nquiet=yes\n"));
        assert!(yes("recursor.conf", "local-address=0.0.0.0\n"));
        assert!(yes(
            "x.yml",
            "incoming:\n  listen: [127.0.0.1]\nrecursor:\n  forward_zones: []\n"
        ));
        assert!(!yes("x.yml", "services:\n  web: {image: x}\n"));
        assert!(!yes("dnsmasq.conf", "no-resolv\nserver=8.8.8.8\n"));
        assert!(!yes("pdns.conf", "launch=bind\nlocal-address=0.0.0.0\n"));
    }
}
