//! In: names with addresses of their own. Out: rules for them, ahead of the domains.
//!
//! Only the exact name is answered, and only the family that is given: AAAA of a name with an IPv4 address goes on.

use std::net::IpAddr;

use super::super::dns::{self, TYPE_A, TYPE_AAAA, obscure};
use super::parse::Config;
use crate::model::{ChainId, DomainScope, Gate, Guard, Rule};
use crate::source::Span;

/// Names with an address of their own: only the exact name, and only the family that is given.
pub(super) fn chain_into(gate: &mut Gate, config: &Config, chain: ChainId) {
    let mut entries: Vec<(String, Vec<IpAddr>, Span)> = config
        .hosts
        .iter()
        .map(|entry| (entry.name.clone(), vec![entry.address], entry.span))
        .collect();
    for line in config.all("host-record") {
        let addresses: Vec<IpAddr> = line.parts().filter_map(|part| part.parse().ok()).collect();
        for name in line.parts() {
            // What is neither an address nor the final TTL is a name.
            let is_ttl = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            if name.parse::<IpAddr>().is_err() && !is_ttl {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                entries.push((name, addresses.clone(), line.span));
            }
        }
    }
    for (name, addresses, span) in entries {
        let host = dns::host(gate, &name, DomainScope::Exact);
        for (kind, family) in [(TYPE_A, true), (TYPE_AAAA, false)] {
            let ours: Vec<IpAddr> = addresses
                .iter()
                .copied()
                .filter(|ip| ip.is_ipv4() == family)
                .collect();
            fixed(gate, chain, &host, kind, &ours, span);
        }
    }
    for (option, last) in [("cname", 1), ("interface-name", 0), ("dynamic-host", 0)] {
        for line in config.all(option) {
            let parts: Vec<String> = line.parts().map(str::to_ascii_lowercase).collect();
            let names = match option {
                // The last word is the target, but for a TTL.
                "cname" => {
                    let ttl = parts
                        .last()
                        .is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
                    parts.len().saturating_sub(last + usize::from(ttl))
                }
                _ => 1,
            };
            for name in parts.iter().take(names) {
                let host = match name.strip_prefix("*.") {
                    Some(parent) => dns::host(gate, parent, DomainScope::Below),
                    None => dns::host(gate, name, DomainScope::Exact),
                };
                let text = format!("where `{option}` leads");
                obscure(gate, chain, host, line.span, "hosts", text);
            }
        }
    }
    for option in ["auth-zone", "synth-domain"] {
        for line in config.all(option) {
            let domain = line.parts().next().unwrap_or_default().to_ascii_lowercase();
            let host = dns::host(gate, &domain, DomainScope::Tree);
            let text = format!("what `{option}` answers");
            obscure(gate, chain, host, line.span, "hosts", text);
        }
    }
}

/// What a name with fixed addresses is answered.
pub(super) fn fixed(
    gate: &mut Gate,
    chain: ChainId,
    host: &Guard,
    kind: u128,
    addresses: &[IpAddr],
    span: Span,
) {
    for (guard, step) in dns::fixed(gate, kind, addresses, span) {
        let guard = Guard::All(vec![host.clone(), guard]);
        gate.rule(chain, Rule { guard, step, span });
    }
}
