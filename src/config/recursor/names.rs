//! In: nothing. Out: the settings that the recursor knows.
//!
//! Taken from asking `pdns_recursor --config=default` 4.8.8, with those that 4.9 to 5.3 added and that count here.

/// Whether the recursor knows a setting of this (old) name.
pub(super) fn is_known(name: &str) -> bool {
    [KNOWN, NEWER]
        .iter()
        .any(|table| table.split_ascii_whitespace().any(|known| known == name))
}

/// The known name that differs by case or leading dashes.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let bare = name.trim_start_matches('-');
    KNOWN
        .split_ascii_whitespace()
        .find(|known| known.eq_ignore_ascii_case(bare))
}

/// 4.8.8.
const KNOWN: &str = "\
    aggressive-cache-max-nsec3-hash-cost aggressive-nsec-cache-size allow-from allow-from-file \
    allow-notify-for allow-notify-for-file allow-notify-from allow-notify-from-file \
    allow-trust-anchor-query any-to-tcp api-config-dir api-key auth-zones carbon-instance \
    carbon-interval carbon-namespace carbon-ourname carbon-server chroot client-tcp-timeout config-dir \
    config-name cpu-map daemon disable-packetcache disable-syslog distribution-load-factor \
    distribution-pipe-buffer-size distributor-threads dns64-prefix dnssec dnssec-log-bogus dont-query \
    dont-throttle-names dont-throttle-netmasks dot-to-auth-names dot-to-port-853 ecs-add-for \
    ecs-cache-limit-ttl ecs-ipv4-bits ecs-ipv4-cache-bits ecs-ipv4-never-cache ecs-ipv6-bits \
    ecs-ipv6-cache-bits ecs-ipv6-never-cache ecs-minimum-ttl-override ecs-scope-zero-address \
    edns-outgoing-bufsize edns-padding-from edns-padding-mode edns-padding-out edns-padding-tag \
    edns-subnet-allow-list edns-subnet-whitelist entropy-source etc-hosts-file event-trace-enabled \
    export-etc-hosts export-etc-hosts-search-suffix extended-resolution-errors forward-zones \
    forward-zones-file forward-zones-recurse gettag-needs-edns-options hint-file \
    ignore-unknown-settings include-dir latency-statistic-size limit-qtype-any local-address local-port \
    log-common-errors log-rpz-changes log-timestamp logging-facility loglevel lowercase-outgoing \
    lua-config-file lua-dns-script lua-maintenance-interval max-busy-dot-probes max-cache-bogus-ttl \
    max-cache-entries max-cache-ttl max-concurrent-requests-per-tcp-connection max-dnskeys \
    max-ds-per-zone max-generate-steps max-include-depth max-mthreads max-negative-ttl \
    max-ns-address-qperq max-ns-per-resolve max-nsec3-hash-computations-per-query max-nsec3s-per-record \
    max-packetcache-entries max-qperq max-recursion-depth max-rrset-size max-rrsigs-per-record \
    max-signature-validations-per-query max-tcp-clients max-tcp-per-client \
    max-tcp-queries-per-connection max-total-msec max-udp-queries-per-round minimum-ttl-override \
    network-timeout no-shuffle non-local-bind non-resolving-ns-max-fails non-resolving-ns-throttle-time \
    nothing-below-nxdomain nsec3-max-iterations packetcache-servfail-ttl packetcache-ttl \
    pdns-distributes-queries processes protobuf-use-kernel-timestamp proxy-protocol-from \
    proxy-protocol-maximum-size public-suffix-list-file qname-minimization query-local-address quiet \
    record-cache-locked-ttl-perc record-cache-shards refresh-on-ttl-perc reuseport rng root-nx-trust \
    save-parent-ns-set security-poll-suffix serve-rfc1918 serve-stale-extensions server-down-max-fails \
    server-down-throttle-time server-id setgid setuid signature-inception-skew single-socket snmp-agent \
    snmp-daemon-socket snmp-master-socket soa-minimum-ttl socket-dir socket-group socket-mode \
    socket-owner spoof-nearmiss-max stack-size statistics-interval stats-api-blacklist \
    stats-api-disabled-list stats-carbon-blacklist stats-carbon-disabled-list \
    stats-rec-control-blacklist stats-rec-control-disabled-list stats-ringbuffer-entries \
    stats-snmp-blacklist stats-snmp-disabled-list structured-logging structured-logging-backend \
    tcp-fast-open tcp-fast-open-connect tcp-out-max-idle-ms tcp-out-max-idle-per-auth \
    tcp-out-max-idle-per-thread tcp-out-max-queries threads trace udp-source-port-avoid \
    udp-source-port-max udp-source-port-min udp-truncation-threshold use-incoming-edns-subnet \
    version-string webserver webserver-address webserver-allow-from \
    webserver-hash-plaintext-credentials webserver-loglevel webserver-password webserver-port write-pid \
    x-dnssec-names";
/// 4.9 to 5.3, and what only some builds have.
const NEWER: &str = "\
    allow-no-rd bypass-server-throttling-probability dnssec-disabled-algorithms max-chain-length \
    max-cnames-per-query new-domain-history-dir new-domain-ignore-list new-domain-ignore-list-file \
    new-domain-log new-domain-lookup new-domain-pb-tag new-domain-tracking new-domain-whitelist \
    new-domain-db-size new-domain-db-snapshot-interval nod-lookup system-resolver-interval \
    system-resolver-self-resolve-check system-resolver-ttl tcp-threads unique-response-db-size \
    unique-response-history-dir unique-response-ignore-list unique-response-ignore-list-file \
    unique-response-log unique-response-pb-tag unique-response-tracking udp-max-queries-per-round";
