//! In: an option's name. Out: whether dnsmasq knows it, whether it takes a value, whether it may stand twice.
//!
//! Taken from asking `dnsmasq --test` 2.90 about each option, and from its man page.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// No value: one is "extraneous parameter".
    Nothing,
    /// A value: none is "missing parameter".
    Value,
    /// Either.
    MaybeValue,
}

/// What an option of this name takes; `None` for a name that dnsmasq does not know ("bad option").
pub(super) fn takes(name: &str) -> Option<Takes> {
    static TABLE: LazyLock<FxHashMap<&str, Takes>> = LazyLock::new(|| {
        let named = |table: &'static str, takes| {
            let names = table.split_ascii_whitespace();
            names.map(move |name| (name, takes))
        };
        named(FLAGS, Takes::Nothing)
            .chain(named(VALUES, Takes::Value))
            .chain(named(OPTIONAL, Takes::MaybeValue))
            .collect()
    });
    TABLE.get(name).copied()
}

/// Came after 2.90, without effect on what is asked here.
pub(super) fn is_newer(name: &str) -> bool {
    NEWER.split_ascii_whitespace().any(|known| known == name)
}

/// A second one is an "illegal repeated keyword".
pub(super) fn only_once(name: &str) -> bool {
    static TABLE: LazyLock<FxHashSet<&str>> =
        LazyLock::new(|| ONCE.split_ascii_whitespace().collect());
    TABLE.contains(name)
}

/// A known name that differs by case, leading dashes or a value after a blank.
pub(super) fn meant(name: &str) -> Option<String> {
    let bare = name.trim_start_matches('-');
    let (word, value) = match bare.split_once(' ') {
        Some((word, value)) => (word, Some(value.trim())),
        None => (bare, None),
    };
    let known = [FLAGS, VALUES, OPTIONAL]
        .iter()
        .flat_map(|table| table.split_ascii_whitespace())
        .find(|known| known.eq_ignore_ascii_case(word))?;
    Some(match value {
        Some(value) => format!("{known}={value}"),
        None => known.to_owned(),
    })
}

/// Without a value.
const FLAGS: &str = "\
    all-servers bind-dynamic bind-interfaces bogus-priv clear-on-reload conntrack \
    dhcp-authoritative dhcp-client-update dhcp-fqdn dhcp-ignore-clid dhcp-no-override \
    dhcp-rapid-commit dhcp-sequential-ip dns-loop-detect dnssec dnssec-debug dnssec-no-timecheck \
    domain-needed enable-ra expand-hosts filter-A filter-AAAA filterwin2k help keep-in-foreground \
    leasefile-ro localise-queries localmx log-debug log-dhcp no-daemon no-hosts no-ident \
    no-negcache no-ping no-poll no-resolv no-round-robin proxy-dnssec quiet-dhcp quiet-dhcp6 \
    quiet-ra quiet-tftp read-ethers rebind-localhost-ok script-arp script-on-renewal selfmx \
    stop-dns-rebind strict-order strip-mac strip-subnet test tftp-lowercase tftp-no-blocksize \
    tftp-no-fail tftp-secure tftp-single-port version";

/// With a value.
const VALUES: &str = "\
    add-cpe-id addn-hosts address alias auth-peer auth-sec-servers auth-server auth-soa auth-ttl \
    auth-zone bogus-nxdomain bridge-interface caa-record cache-rr cname conf-dir conf-script \
    connmark-allowlist dhcp-boot dhcp-circuitid dhcp-duid dhcp-host dhcp-hostsdir dhcp-hostsfile \
    dhcp-ignore dhcp-lease dhcp-lease-max dhcp-luascript dhcp-mac dhcp-match dhcp-name-match \
    dhcp-option dhcp-option-force dhcp-optsdir dhcp-optsfile dhcp-pxe-vendor dhcp-range dhcp-relay \
    dhcp-remoteid dhcp-reply-delay dhcp-script dhcp-scriptuser dhcp-subscrid dhcp-ttl \
    dhcp-userclass dhcp-vendorclass dns-forward-max dns-rr dnssec-limits dnssec-timestamp domain \
    domain-suffix dumpfile dumpmask dynamic-host edns-packet-max except-interface filter-rr \
    host-record hostsdir ignore-address interface interface-name ipset listen-address local \
    local-ttl log-facility max-cache-ttl max-port max-tcp-connections max-ttl min-cache-ttl \
    min-port mx-host mx-target naptr-record neg-ttl nftset no-dhcp-interface no-dhcpv4-interface \
    no-dhcpv6-interface port port-limit ptr-record pxe-prompt pxe-service query-port ra-param \
    rebind-domain-ok rev-server server servers-file shared-network srv-host synth-domain tag-if \
    tftp-max tftp-mtu tftp-port-range tftp-root trust-anchor txt-record";

/// With or without.
const OPTIONAL: &str = "\
    add-mac add-subnet bootp-dynamic cache-size conf-file connmark-allowlist-enable \
    dhcp-alternate-port dhcp-broadcast dhcp-generate-names dhcp-ignore-names dhcp-leasefile \
    dhcp-proxy dnssec-check-unsigned enable-dbus enable-tftp enable-ubus fast-dns-retry group \
    local-service log-async log-queries pid-file resolv-file tftp-unique-root umbrella \
    use-stale-cache user";

/// At most once.
const ONCE: &str = "\
    add-cpe-id add-subnet auth-server auth-soa auth-ttl cache-size connmark-allowlist-enable \
    dhcp-alternate-port dhcp-lease dhcp-lease-max dhcp-leasefile dhcp-reply-delay dhcp-script \
    dhcp-scriptuser dhcp-ttl dns-forward-max dnssec-limits dnssec-timestamp dumpfile dumpmask \
    edns-packet-max enable-dbus enable-ubus fast-dns-retry group local-service local-ttl log-async \
    log-facility max-cache-ttl max-port max-tcp-connections max-ttl min-cache-ttl min-port \
    mx-target neg-ttl pid-file port port-limit query-port servers-file tftp-max tftp-mtu umbrella \
    use-stale-cache user";

/// After 2.90.
const NEWER: &str = "\
    dhcp-split-relay do-0x20-encode leasequery log-malloc max-procs no-0x20-encode";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_with_what_they_take() {
        assert_eq!(takes("no-resolv"), Some(Takes::Nothing));
        assert_eq!(takes("server"), Some(Takes::Value));
        assert_eq!(takes("add-mac"), Some(Takes::MaybeValue));
        assert_eq!(takes("SERVER"), None);
        assert!(only_once("edns-packet-max") && !only_once("server"));
        assert_eq!(meant("--server").as_deref(), Some("server"));
        assert_eq!(meant("server 8.8.8.8").as_deref(), Some("server=8.8.8.8"));
    }
}
