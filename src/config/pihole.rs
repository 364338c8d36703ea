//! In: one pihole.toml of Pi-hole 6 with the block lists beside it. Out: its reading: a forwarder that filters.
//!
//! Pi-hole's FTL holds a dnsmasq, whose options it writes from this file, so the dnsmasq kind reads those; what FTL adds is
//! blocking. Rules: `src/config` and `src/tools` of FTL. No program could be asked. Facts: `pihole.blocklists` (`none`, where
//! no list blocks the service), and those of dnsmasq.

use super::{Blocked, Claim, Diagnostic, Facts, Files, Fix, Input, Kind, Level, Reading, dnsmasq};
use crate::model::Layer;

mod fix;
mod lists;
mod lower;
mod parse;

pub(crate) const KIND: Kind = Kind {
    name: "pihole",
    title: "pihole.toml of Pi-hole",
    layer: Layer::Lookup,
    claims,
    read,
    fix,
    diagnostics: DIAGNOSTICS,
};

/// The file is no TOML.
const BROKEN: &str = "pihole/not-read";
/// A value that FTL replaces.
const REPLACED: &str = "pihole/replaced-value";

const DIAGNOSTICS: &[Diagnostic] = &[
    Diagnostic {
        id: BROKEN,
        level: Level::Error,
        title: "The file is no TOML, so FTL does not use it",
        doc: "FTL reads the whole file or nothing. Where it is no TOML, FTL takes an older copy, or its defaults, and \
              writes the file anew.\n\nMend the place, and look into `/var/log/pihole/FTL.log`.",
    },
    Diagnostic {
        id: REPLACED,
        level: Level::Warning,
        title: "A value is replaced by the default",
        doc: "FTL checks each value by its type and, where it is a choice, by its words. Whatever does not fit is \
              replaced by the default, and only the log says so.\n\nWrite one of the values that it takes.",
    },
    dnsmasq::DIAGNOSTICS[0],
    dnsmasq::DIAGNOSTICS[1],
];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let name = path.rsplit('/').next().unwrap_or(path);
    let head = bytes.get(..bytes.len().min(64 * 1024)).unwrap_or_default();
    let has = |needle: &str| {
        head.split(|byte| *byte == b'\n')
            .any(|line| line.trim_ascii().starts_with(needle.as_bytes()))
    };
    let telling = [
        "CNAMEdeepInspect",
        "piholePTR",
        "listeningMode",
        "[dns.blocking]",
    ];
    match (has("[dns]"), telling.iter().any(|word| has(word))) {
        (true, true) => Claim::Yes("has tables and keys of pihole.toml"),
        _ if name == "pihole.toml" => Claim::Maybe("is named pihole.toml"),
        _ => Claim::No,
    }
}

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    lower::lower(input, &parse::parse(input), files, facts)
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    fix::fix(&parse::parse(input), blocked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{NoFiles, SettingValue};
    use crate::source::Sources;

    fn reading(text: &str, facts: &[(&str, &str)]) -> Reading {
        let file = Sources::new().add("p", text.as_bytes().to_vec()).unwrap();
        let mut all = Facts::default();
        for (name, value) in facts {
            all.set(*name, *value);
        }
        let input = Input {
            file,
            path: "etc/pihole/pihole.toml",
            bytes: text.as_bytes(),
        };
        read(&input, &NoFiles, &all)
    }

    #[test]
    fn lists_that_are_not_there_are_unknown_unless_blocking_is_off() {
        let codes = |text: &str, facts: &[(&str, &str)]| -> Vec<&'static str> {
            let reading = reading(text, facts);
            let gate = &reading.gates[0];
            gate.unknowns.iter().map(|unknown| unknown.code).collect()
        };
        let open = "[dns]\nupstreams = [\"9.9.9.9\"]\nlisteningMode = \"ALL\"\n";
        assert_eq!(codes(open, &[]), ["blocklist"]);
        assert!(codes(open, &[("pihole.blocklists", "none")]).is_empty());
        let off = format!("{open}[dns.blocking]\nactive = false\n");
        assert!(codes(&off, &[]).is_empty());
    }

    #[test]
    fn its_dnsmasq_has_the_options_that_ftl_writes() {
        let text = "[dns]\nupstreams = [\"9.9.9.9\"]\ndnssec = true\n[misc]\ndnsmasq_lines = [\"edns-packet-max=512\"]\n";
        let reading = reading(text, &[]);
        let value = |name: &str| {
            let setting = reading.settings.iter().find(|one| one.name == name);
            setting.map(|one| one.value.clone())
        };
        assert_eq!(value("dns.edns0"), Some(SettingValue::On));
        assert_eq!(value("dns.udp.max-reply"), Some(SettingValue::Number(512)));
    }

    #[test]
    fn mistakes_are_said() {
        let ids = |text: &str| -> Vec<&'static str> {
            let reading = reading(text, &[]);
            reading.findings.iter().map(|one| one.id).collect()
        };
        assert_eq!(ids("[dns\n"), [BROKEN]);
        assert_eq!(
            ids("[dns]\nlisteningMode = \"everyone\"\n[dns.blocking]\nmode = \"no\"\n"),
            [REPLACED, REPLACED]
        );
        assert_eq!(
            ids("[misc]\ndnsmasq_lines = [\"--server=1\"]\n"),
            ["dnsmasq/does-not-start"]
        );
    }
}
