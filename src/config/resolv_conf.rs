//! In: one resolv.conf. Out: its reading: a stub, the first hop of every lookup on Linux.
//!
//! libc never complains about this file, so the reader does: whatever looks as if it counted and does not is a finding.
//! Rules: glibc `resolv/res_init.c`, musl `src/network/resolvconf.c`. The fact `libc` (`glibc` by default, or `musl`)
//! chooses between them.

use super::{
    Blocked, Claim, Diagnostic, DialectFinding, Facts, Files, Fix, Input, Kind, Level, Reading,
};
use crate::model::Layer;
use crate::source::{Span, Spanned};

mod fix;
mod lower;
mod parse;
mod syntax;

pub(crate) const KIND: Kind = Kind {
    name: "resolv-conf",
    title: "resolv.conf of a C library",
    layer: Layer::Lookup,
    claims,
    read,
    fix,
    diagnostics: DIAGNOSTICS,
};

const DIAGNOSTICS: &[Diagnostic] = &[
    Diagnostic {
        id: "resolv-conf/ignored-line",
        level: Level::Warning,
        title: "A line or option is skipped by libc",
        doc: "libc takes a line only if its lower-case keyword stands in the first column and a blank follows. A line \
              that is indented, upper case, written with a colon, or preceded by a byte order mark is skipped without \
              a word; so is an option in upper case, and of several options joined by commas all but a leading one.\n\n\
              Write the line as `options edns0`, one blank between words, starting in the first column.",
    },
    Diagnostic {
        id: "resolv-conf/unknown-option",
        level: Level::Info,
        title: "An option is not known to libc",
        doc: "glibc compares the beginning of each word with the options that it knows and skips all others.\n\n\
              Remove the word, or correct it.",
    },
    Diagnostic {
        id: "resolv-conf/nameserver-ignored",
        level: Level::Warning,
        title: "A nameserver is never asked",
        doc: "libc asks at most three nameservers, and takes only plain addresses: a host name, an address with a port, \
              or one that ends with a carriage return (a file with CRLF line ends, read by glibc) is dropped.\n\n\
              Keep three nameservers, as addresses, in a file with LF line ends.",
    },
    Diagnostic {
        id: "resolv-conf/no-nameserver",
        level: Level::Error,
        title: "No nameserver is left",
        doc: "All nameserver lines are dropped, so libc asks 127.0.0.1. If nothing answers there, no name resolves.\n\n\
              Correct at least one nameserver line.",
    },
    Diagnostic {
        id: "resolv-conf/search-captures",
        level: Level::Warning,
        title: "Names are first asked below a search domain",
        doc: "A name with fewer dots than `ndots` is first asked with each search suffix appended. If one of these \
              domains has a wildcard record, its answer is taken for the service's, and nothing tells. Otherwise each \
              lookup costs as many queries more as there are suffixes.\n\n\
              Lower `ndots`, or make clients use names with a dot at the end.",
    },
    Diagnostic {
        id: "resolv-conf/generated",
        level: Level::Info,
        title: "Another program writes this file",
        doc: "The file says that a program writes it; an edit is lost when the network changes.\n\n\
              Set the option where that program takes it from: NetworkManager `ipv4.dns-options edns0`, resolvconf \
              `/etc/resolvconf/resolv.conf.d/base`, dhclient `supersede` or `append` statements, cloud-init \
              `resolv_conf: options`, netconfig `NETCONFIG_DNS_RESOLVER_OPTIONS`.",
    },
];

/// Comments of programs that write the file, and where the option is set then.
const GENERATORS: &[(&[u8], &str)] = &[
    (
        b"networkmanager",
        "set it in NetworkManager: `nmcli connection modify NAME ipv4.dns-options edns0`",
    ),
    (
        b"resolvconf",
        "set it in resolvconf: add `options edns0` to `/etc/resolvconf/resolv.conf.d/base` (openresolv: `resolv_conf_options=edns0` in `/etc/resolvconf.conf`)",
    ),
    (
        b"cloud-init",
        "set it in cloud-init: `resolv_conf: {options: {edns0: true}}`",
    ),
    (
        b"netconfig",
        "set it in netconfig: `NETCONFIG_DNS_RESOLVER_OPTIONS=\"edns0\"`",
    ),
    (
        b"dhclient",
        "set it where dhclient writes the file: a hook in `/etc/dhcp/dhclient-enter-hooks.d`",
    ),
    (
        b"do not edit",
        "set it in the program that writes this file",
    ),
];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let named = name.contains("resolv.conf") || name.contains("resolvconf");
    let head = bytes.get(..bytes.len().min(64 * 1024)).unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    let (mut servers, mut others, mut foreign) = (0usize, 0usize, 0usize);
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (None, _) => {}
            (Some(word), _) if word.starts_with(['#', ';']) => {}
            (Some(word), value) => {
                let bare = word.trim_start_matches('\u{feff}').trim_end_matches(':');
                match bare.to_ascii_lowercase().as_str() {
                    "nameserver" if value.is_some() => servers += 1,
                    "search" | "domain" | "options" | "sortlist" if value != Some("{") => {
                        others += 1;
                    }
                    "lookup" | "family" => others += 1,
                    _ => foreign += 1,
                }
            }
        }
    }
    let template = ["{{", "{%", "<%", "${"]
        .iter()
        .any(|mark| text.contains(mark));
    match (servers, others, foreign) {
        (1.., _, _) | (_, 1.., 0) if template && named => {
            Claim::Unreadable("it is a template: render it and give the result")
        }
        (1.., _, foreign) if foreign <= servers + others => Claim::Yes("has `nameserver` lines"),
        (0, 1.., 0) if named => Claim::Yes("is named resolv.conf and has its keywords"),
        (0, 0, 0) if name == "resolv.conf" => Claim::Maybe("is named resolv.conf"),
        _ => Claim::No,
    }
}

fn read(input: &Input<'_>, _files: &dyn Files, facts: &Facts) -> Reading {
    let libc = libc(facts);
    let config = config(input, libc);
    let mut reading = lower::lower(&config, libc, facts);
    if config.edns0.is_none()
        && let Some((span, knob)) = generator(input)
    {
        reading.findings.push(DialectFinding {
            id: "resolv-conf/generated",
            title: "Another program writes this file, so an edit here does not last".to_owned(),
            label: Spanned::new("it says so itself".to_owned(), span),
            related: Vec::new(),
            help: Some(knob.to_owned()),
            fix: None,
            refuses: false,
        });
    }
    reading
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    if generator(input).is_some() {
        return Vec::new();
    }
    fix::fix(input, &config(input, Some(syntax::Libc::Glibc)), blocked)
}

fn config(input: &Input<'_>, libc: Option<syntax::Libc>) -> parse::Config {
    let libc = libc.unwrap_or(syntax::Libc::Glibc);
    let lines = syntax::lines(input.bytes, libc, |start, end| {
        Span::new(input.file, start, end)
    });
    parse::parse(&lines, libc)
}

/// The C library, glibc by default; `None` for one that is not known.
fn libc(facts: &Facts) -> Option<syntax::Libc> {
    match facts.get("libc") {
        None | Some("glibc" | "gnu") => Some(syntax::Libc::Glibc),
        Some("musl") => Some(syntax::Libc::Musl),
        Some(_) => None,
    }
}

/// The comment of the program that writes the file, and where the option is set then.
fn generator(input: &Input<'_>) -> Option<(Span, &'static str)> {
    let mut start = 0;
    for line in input.bytes.split_inclusive(|byte| *byte == b'\n') {
        let span = Span::new(input.file, start, start + line.trim_ascii_end().len());
        start += line.len();
        if !matches!(line.first(), Some(b'#' | b';')) {
            continue;
        }
        let lower = line.to_ascii_lowercase();
        let has = |needle: &[u8]| memchr::memmem::find(&lower, needle).is_some();
        if !(has(b"generated") || has(b"do not edit") || has(b"written by")) {
            continue;
        }
        if let Some((_, knob)) = GENERATORS.iter().find(|(mark, _)| has(mark)) {
            return Some((span, knob));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{NoFiles, SettingValue};
    use crate::model::Ranges;
    use crate::source::Sources;

    fn reading(text: &str, facts: &[(&str, &str)]) -> Reading {
        let file = Sources::new().add("resolv.conf", text.as_bytes().to_vec());
        let mut all = Facts::default();
        for (name, value) in facts {
            all.set(*name, *value);
        }
        let input = Input {
            file: file.unwrap(),
            path: "resolv.conf",
            bytes: text.as_bytes(),
        };
        read(&input, &NoFiles, &all)
    }

    fn setting(reading: &Reading, name: &str) -> SettingValue {
        let found = reading.settings.iter().find(|setting| setting.name == name);
        found.unwrap().value.clone()
    }

    #[test]
    fn a_line_that_looks_right_and_is_not_is_told_with_the_setting() {
        let reading = reading("nameserver 10.0.0.2\n options edns0\n#options edns0\n", &[]);
        assert_eq!(setting(&reading, "dns.edns0"), SettingValue::Off);
        let ignored = &reading.settings[0].ignored;
        assert_eq!(ignored.len(), 2);
        assert!(
            reading
                .findings
                .iter()
                .any(|finding| finding.id == "resolv-conf/ignored-line")
        );
    }

    #[test]
    fn clearing_edns0_depends_on_the_version() {
        let text = "options edns0\noptions -edns0\n";
        for (facts, value) in [
            (&[("glibc.version", "2.41")][..], SettingValue::Off),
            (&[("glibc.version", "2.36")][..], SettingValue::On),
        ] {
            assert_eq!(setting(&reading(text, facts), "dns.edns0"), value);
        }
        assert!(matches!(
            setting(&reading(text, &[]), "dns.edns0"),
            SettingValue::Unknown(_)
        ));
    }

    #[test]
    fn musl_never_has_edns0_and_an_unknown_libc_is_unknown() {
        let text = "nameserver 10.0.0.2\noptions edns0\n";
        assert_eq!(
            setting(&reading(text, &[("libc", "musl")]), "dns.edns0"),
            SettingValue::Off
        );
        assert!(matches!(
            setting(&reading(text, &[("libc", "bionic")]), "dns.edns0"),
            SettingValue::Unknown(_)
        ));
    }

    #[test]
    fn the_fix_switches_edns0_on() {
        let blocked = Blocked {
            gate: None,
            question: &crate::model::Question::default(),
            decided_by: None,
            shadowed: &[],
            domains: &[],
            networks: &Ranges::empty(),
            service: None,
            clients: &Ranges::empty(),
            fetch: None,
            setting: Some("dns.edns0"),
        };
        for text in [
            "",
            "nameserver 10.0.0.2",
            "options rotate # x\n",
            " options edns0\n",
        ] {
            let file = Sources::new().add("r", text.as_bytes().to_vec()).unwrap();
            let input = Input {
                file,
                path: "r",
                bytes: text.as_bytes(),
            };
            let fixes = fix(&input, &Reading::default(), &blocked);
            let edit = &fixes[0].edits[0];
            let mut changed = text.to_owned();
            changed.replace_range(edit.span.range(), &edit.text);
            assert_eq!(
                setting(&reading(&changed, &[]), "dns.edns0"),
                SettingValue::On,
                "{changed}"
            );
        }
    }

    #[test]
    fn a_generated_file_is_not_edited() {
        let text = "# Generated by NetworkManager\nnameserver 10.0.0.2\n";
        let reading = reading(text, &[]);
        let found = reading
            .findings
            .iter()
            .find(|f| f.id == "resolv-conf/generated");
        assert!(found.unwrap().help.as_deref().unwrap().contains("nmcli"));
    }

    #[test]
    fn claims_go_by_content() {
        for (path, text, yes) in [
            ("etc/resolv.conf", "nameserver 10.0.0.2\n", true),
            ("stub.txt", "nameserver 10.0.0.2\nsearch x\n", true),
            ("resolv.conf", "[main]\nrc-manager=unmanaged\n", false),
            ("named.conf", "options { directory \"/\"; };\n", false),
            ("resolv.conf", "options edns0\n", true),
        ] {
            assert_eq!(
                matches!(claims(path, text.as_bytes()), Claim::Yes(_)),
                yes,
                "{path}"
            );
        }
        assert!(matches!(
            claims("resolv.conf.j2", b"nameserver {{ x }}\n"),
            Claim::Unreadable(_)
        ));
    }

    #[test]
    fn captured_names_are_a_warning_and_nameservers_are_counted() {
        let reading = reading(
            "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\n\
             search svc.cluster.local\noptions ndots:5\n",
            &[],
        );
        let ids: Vec<_> = reading.findings.iter().map(|finding| finding.id).collect();
        assert_eq!(
            ids,
            [
                "resolv-conf/nameserver-ignored",
                "resolv-conf/search-captures"
            ]
        );
        assert_eq!(
            setting(&reading, "dns.nameservers"),
            SettingValue::Number(3)
        );
    }
}
