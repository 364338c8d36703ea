//! In: `edns-packet-max` and the options that add an OPT record. Out: what happens to EDNS0.

use super::super::dns::{self, Behaviour, Edns0, Held, Known};
use super::parse::{Action, Config};

/// EDNS0: `edns-packet-max` limits what the client offers, and some options add an OPT record of their own.
pub(super) fn behaviour(config: &Config, running: (u32, u32, u32)) -> Behaviour {
    let default = if running >= (2, 90, 0) { 1232 } else { 4096 };
    let size = match config.get("edns-packet-max") {
        None => Held::default_is(
            default,
            if default == 1232 {
                "the default since 2.90"
            } else {
                "the default before 2.90"
            },
        ),
        Some(line) => {
            let text = line.value.as_deref().unwrap_or_default();
            let given = text.parse::<u64>().unwrap_or(0);
            let used = given.max(dns::PLAIN_UDP);
            Held::set(
                used,
                line.span,
                if used == given {
                    format!("`edns-packet-max={given}` sets it")
                } else {
                    format!("`edns-packet-max={given}` is raised to {used}")
                },
            )
        }
    };
    let adds = ["dnssec", "add-subnet", "add-cpe-id", "umbrella"]
        .iter()
        .find_map(|name| config.get(name));
    let edns0 = match adds {
        Some(line) => Held::set(
            Edns0::Always,
            line.span,
            format!("`{}` adds an OPT record to every query", line.name),
        ),
        None => Held::default_is(
            Edns0::IfClient,
            "dnsmasq passes on the OPT record that the client sends",
        ),
    };
    let servers = config
        .targets
        .iter()
        .filter(|target| target.domain.is_empty() && target.action == Action::Ask)
        .count() as u64;
    let mut behaviour = Behaviour {
        edns0,
        upstream_sizes: Held {
            value: match &size.value {
                Known::Is(size) => Known::Is(vec![*size]),
                Known::Moot | Known::Unknown(_) => Known::Moot,
            },
            span: size.span,
            why: size.why.clone(),
            ignored: Vec::new(),
        },
        client_size: size.clone(),
        max_reply: size,
        tcp: Held::default_is(true, "dnsmasq answers over TCP"),
        nameservers: if servers > 0 {
            Held::default_is(servers, "the `server` options without a domain")
        } else {
            Held::moot(None, "its servers come from resolv.conf")
        },
        sizes_are_settable: true,
    };
    let missing = config
        .missing
        .iter()
        .filter(|missing| !missing.hosts)
        .map(|missing| (missing.name.span, missing.name.value.clone()))
        .next();
    if let Some((span, name)) = missing {
        let text = format!("the file `{name}`");
        behaviour.edns0 = Held::unknown(Some(span), text.clone());
        // A second `edns-packet-max` would be refused, so one that is given counts.
        if !config.has("edns-packet-max") {
            behaviour.upstream_sizes = Held::unknown(Some(span), text.clone());
            behaviour.client_size = Held::unknown(Some(span), text.clone());
            behaviour.max_reply = Held::unknown(Some(span), text);
        }
    }
    behaviour
}
