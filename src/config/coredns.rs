//! In: one Corefile with the files that it imports. Out: its reading: a gate for each port, a forwarder or name server.
//!
//! Rules: the manual pages of CoreDNS and its plugins, and their source (1.11). No program could be asked. Facts:
//! `coredns.version`, for the default of `bufsize`.

use super::{
    Blocked, Claim, Diagnostic, DialectFinding, Facts, Files, Fix, Input, Kind, Level, NoFiles,
    Reading,
};
use crate::model::Layer;
use crate::source::{Sources, Spanned};

mod fix;
mod hosts;
mod lower;
mod parse;
mod plugins;
mod syntax;
mod template;
mod zones;

pub(crate) const KIND: Kind = Kind {
    name: "coredns",
    title: "Corefile of CoreDNS",
    layer: Layer::Lookup,
    claims,
    read,
    fix,
    diagnostics: DIAGNOSTICS,
};

/// CoreDNS does not start.
const REFUSED: &str = "coredns/does-not-start";
/// `bufsize` is taken for a switch.
const BUFSIZE: &str = "coredns/bufsize-is-no-switch";

const DIAGNOSTICS: &[Diagnostic] = &[
    Diagnostic {
        id: REFUSED,
        level: Level::Error,
        title: "CoreDNS refuses the Corefile",
        doc: "CoreDNS stops at the first mistake and does not start: a brace that is not closed or that shares its line \
              with a plugin, a zone that is served twice at one port, a plugin without what it needs.\n\n\
              Mend the line; `coredns -conf Corefile` names it, too.",
    },
    Diagnostic {
        id: BUFSIZE,
        level: Level::Info,
        title: "`bufsize` does not turn EDNS0 on",
        doc: "CoreDNS forwards a query with the OPT record that its client sent, or without one. `bufsize` lowers the \
              size in that record and adds none.\n\n\
              EDNS0 is turned on at the clients: `options edns0` in resolv.conf.",
    },
];

/// Plugins by which a Corefile is told from other files with braces.
const TELLING: [&str; 11] = [
    "forward",
    "hosts",
    "kubernetes",
    "loop",
    "loadbalance",
    "autopath",
    "template",
    "whoami",
    "bufsize",
    "dnssec",
    "prometheus",
];

fn claims(path: &str, bytes: &[u8]) -> Claim {
    let named = path.rsplit('/').next().unwrap_or(path).contains("Corefile");
    let head = bytes.get(..bytes.len().min(64 * 1024)).unwrap_or_default();
    // Spans of a claim are never shown.
    let Ok(file) = Sources::new().add("", Vec::new()) else {
        return Claim::No;
    };
    let input = Input {
        file,
        path,
        bytes: head,
    };
    let config = parse::parse(&input, &NoFiles);
    let plugins = || config.blocks.iter().flat_map(|block| &block.plugins);
    let known = plugins()
        .filter(|one| plugins::is_known(&one.name.text))
        .count();
    let telling = plugins()
        .filter(|one| TELLING.contains(&one.name.text.as_str()))
        .count();
    let statements = plugins().any(|one| {
        let last = one.args.last().unwrap_or(&one.name);
        last.text.ends_with(';') || last.text.ends_with(':')
    });
    match (named, telling, statements) {
        (_, 1.., false) if config.mistake.is_none() && known * 2 >= plugins().count() => {
            Claim::Yes("has server blocks with plugins of CoreDNS")
        }
        (true, 1.., false) => Claim::Yes("is named Corefile and has plugins of CoreDNS"),
        (true, 0, false) => Claim::Maybe("is named Corefile"),
        _ => Claim::No,
    }
}

fn read(input: &Input<'_>, files: &dyn Files, facts: &Facts) -> Reading {
    lower::lower(input, parse::parse(input, files), files, facts)
}

fn fix(input: &Input<'_>, _reading: &Reading, blocked: &Blocked<'_>) -> Vec<Fix> {
    fix::fix(input, &parse::parse(input, &NoFiles), blocked)
}

/// CoreDNS does not start with this.
fn refused(title: String, label: Spanned<String>) -> DialectFinding {
    DialectFinding {
        id: REFUSED,
        title,
        label,
        related: Vec::new(),
        help: None,
        fix: None,
        refuses: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SettingValue;
    use crate::decide::Evaluator;
    use crate::model::{Dim, Effect, Question, Ranges, TextSpace};

    fn reading(text: &str) -> Reading {
        let file = Sources::new()
            .add("Corefile", text.as_bytes().to_vec())
            .unwrap();
        let input = Input {
            file,
            path: "Corefile",
            bytes: text.as_bytes(),
        };
        read(&input, &NoFiles, &Facts::default())
    }

    /// What becomes of a lookup by a client, in one word.
    fn fate(text: &str, name: &str, kind: u128, client: &str) -> String {
        let reading = reading(text);
        let gate = &reading.gates[0];
        let question = Question {
            numbers: [
                (Dim::QueryType, Ranges::one(kind)),
                (Dim::Source, Ranges::host(client.parse().unwrap())),
            ]
            .into(),
            texts: [
                (Dim::Host, TextSpace::one(name)),
                (Dim::Alias, TextSpace::one("")),
            ]
            .into(),
            addresses: Some(Ranges::host("99.77.128.1".parse().unwrap())),
            ..Question::default()
        };
        let mut evaluator = Evaluator::new(gate);
        let verdict = evaluator.ask(&question);
        if !evaluator.is_empty(verdict.undecided) || !evaluator.is_empty(verdict.varying) {
            return "undecided".to_owned();
        }
        let part = verdict
            .parts
            .iter()
            .rfind(|part| !evaluator.is_empty(part.flows));
        match part.map(|part| part.effect) {
            Some(Effect::Deny(denial)) => denial.word().to_owned(),
            Some(Effect::Allow) | None => "resolved".to_owned(),
        }
    }

    fn name_fate(text: &str, name: &str) -> String {
        fate(text, name, 1, "10.0.0.1")
    }

    #[test]
    fn the_longest_zone_takes_a_lookup() {
        let text = "chime.aws {\n whoami\n}\n. {\n forward . 9.9.9.9\n}\naws {\n errors\n}\n";
        assert_eq!(name_fate(text, "x.chime.aws"), "nodata");
        assert_eq!(name_fate(text, "x.aws"), "fails");
        assert_eq!(name_fate(text, "example.com"), "resolved");
        assert_eq!(name_fate("aws {\n whoami\n}\n", "example.com"), "refused");
        assert_eq!(name_fate(". {\n health\n}\n", "example.com"), "refused");
    }

    #[test]
    fn plugins_work_in_their_own_order() {
        let text = ". {\n forward . 9.9.9.9\n template IN A {\n match \"(^|[.])chime[.]aws[.]$\"\n rcode NXDOMAIN\n fallthrough\n }\n}\n";
        assert_eq!(name_fate(text, "x.chime.aws"), "nxdomain");
        assert_eq!(fate(text, "x.chime.aws", 28, "10.0.0.1"), "resolved");
        assert_eq!(name_fate(text, "xchime.aws"), "resolved");
        let closed = text.replace(" fallthrough\n", "");
        assert_eq!(name_fate(&closed, "xchime.aws"), "fails");
        assert_eq!(fate(&closed, "xchime.aws", 28, "10.0.0.1"), "resolved");
    }

    #[test]
    fn hosts_answer_and_fall_through() {
        let text = ". {\n hosts {\n 10.0.0.9 x.chime.aws\n }\n forward . 9.9.9.9\n}\n";
        assert_eq!(name_fate(text, "x.chime.aws"), "rewritten");
        assert_eq!(fate(text, "x.chime.aws", 28, "10.0.0.1"), "nodata");
        assert_eq!(name_fate(text, "y.chime.aws"), "fails");
        let open = text.replace(" }\n forward", " fallthrough\n }\n forward");
        assert_eq!(name_fate(&open, "y.chime.aws"), "resolved");
        let pinned = text.replace("10.0.0.9", "99.77.128.1");
        assert_eq!(name_fate(&pinned, "x.chime.aws"), "undecided");
    }

    #[test]
    fn acl_policies_match_in_order() {
        let text = ". {\n forward . 9.9.9.9\n acl {\n allow net 10.0.0.0/8\n filter type AAAA\n block\n }\n}\n";
        assert_eq!(fate(text, "x.chime.aws", 1, "10.0.0.1"), "resolved");
        assert_eq!(fate(text, "x.chime.aws", 28, "192.168.0.1"), "nodata");
        assert_eq!(fate(text, "x.chime.aws", 1, "192.168.0.1"), "refused");
    }

    #[test]
    fn forward_leaves_its_exceptions_out() {
        let text = ". {\n forward . 9.9.9.9 {\n except chime.aws\n }\n}\n";
        assert_eq!(name_fate(text, "x.chime.aws"), "fails");
        assert_eq!(name_fate(text, "x.aws"), "resolved");
        let both = ". {\n forward aws 1.1.1.1\n}\n";
        assert_eq!(name_fate(both, "x.chime.aws"), "resolved");
        assert_eq!(name_fate(both, "example.com"), "fails");
    }

    #[test]
    fn what_is_not_known_is_undecided_where_it_counts() {
        for text in [
            ". {\n dnsredir . {\n to 9.9.9.9\n }\n forward . 9.9.9.9\n}\n",
            ". {\n import other/*.conf\n forward . 9.9.9.9\n}\n",
            "{$ZONE} {\n forward . 9.9.9.9\n}\n",
            ". {\n file db.aws aws\n forward . 9.9.9.9\n}\n",
            ". {\n rewrite name suffix .aws .example\n forward . 9.9.9.9\n}\n",
            ". {\n view v {\n expr true\n }\n forward . 9.9.9.9\n}\n",
        ] {
            assert_eq!(name_fate(text, "x.chime.aws"), "undecided", "{text}");
        }
        for text in [
            ". {\n file db.example example.org\n forward . 9.9.9.9\n}\n",
            ". {\n rewrite name suffix .example .aws\n forward . 9.9.9.9\n}\n",
            ". {\n kubernetes cluster.local {\n fallthrough\n }\n forward . {$DNS}\n}\n",
            "(all) {\n forward . 9.9.9.9\n}\n. {\n import all\n}\n",
            ".:5353 {\n forward . 9.9.9.9\n}\n",
            ".\nforward . 9.9.9.9\n",
        ] {
            assert_eq!(name_fate(text, "x.chime.aws"), "resolved", "{text}");
        }
    }

    #[test]
    fn mistakes_are_refused_where_they_stand() {
        for (text, at) in [
            (". {\n forward . 9.9.9.9\n", "{"),
            (". {\n forward . 9.9.9.9 }\n", "}"),
            (". {\n forward .\n}\n", "forward ."),
            (". {\n bufsize 100\n}\n", "100"),
            (". {\n acl {\n deny\n }\n}\n", "deny"),
            (". {\n log\n}\n.:53 {\n log\n}\n", ".:53"),
            ("(a) {\n import a\n}\n. {\n import a\n}\n", "import"),
            ("a, {\n}\n", "{"),
        ] {
            let sources = Sources::new();
            let file = sources.add("Corefile", text.as_bytes().to_vec()).unwrap();
            let input = Input {
                file,
                path: "Corefile",
                bytes: text.as_bytes(),
            };
            let reading = read(&input, &NoFiles, &Facts::default());
            let finding = reading.findings.iter().find(|one| one.refuses);
            let span = finding.expect(text).label.span;
            assert_eq!(sources.text(span), at, "{text}");
        }
    }

    #[test]
    fn bufsize_lowers_the_size_by_version() {
        let text = ". {\n bufsize\n forward . 9.9.9.9\n}\n";
        let value = |reading: &Reading, name: &str| {
            let setting = reading.settings.iter().find(|one| one.name == name);
            setting.map(|one| one.value.clone())
        };
        let now = reading(text);
        assert_eq!(
            value(&now, "dns.udp.max-reply"),
            Some(SettingValue::Number(1232))
        );
        assert_eq!(value(&now, "dns.edns0"), Some(SettingValue::PassesThrough));
        let mut facts = Facts::default();
        facts.set("coredns.version", "1.10.1");
        let file = Sources::new().add("c", text.as_bytes().to_vec()).unwrap();
        let input = Input {
            file,
            path: "c",
            bytes: text.as_bytes(),
        };
        let old = read(&input, &NoFiles, &facts);
        assert_eq!(
            value(&old, "dns.udp.max-reply"),
            Some(SettingValue::Number(512))
        );
    }

    #[test]
    fn claims_go_by_the_plugins() {
        let yes = |path: &str, text: &str| matches!(claims(path, text.as_bytes()), Claim::Yes(_));
        assert!(yes("x", ". {\n forward . 9.9.9.9\n}\n"));
        assert!(!yes("nginx.conf", "server {\n listen 80;\n}\n"));
        assert!(!yes(
            "named.conf",
            "options {\n forwarders { 9.9.9.9; };\n};\n"
        ));
        assert!(!yes(
            "Caddyfile",
            "example.com {\n root /srv\n tls off\n}\n"
        ));
        assert!(!yes("unbound.conf", "server:\n  interface: 0.0.0.0\n"));
    }
}
