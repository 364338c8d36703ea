//! In: nothing. Out: the keywords of unbound.conf: where each may stand, how many values it takes, and of what kind.
//!
//! From unbound.conf(5) and what unbound-checkconf 1.17.1 accepts; newer keywords are marked. A keyword that is not here
//! makes unbound refuse the file.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The clause that a keyword belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Clause {
    /// `server:`.
    Server,
    /// `stub-zone:`.
    Stub,
    /// `forward-zone:`.
    Forward,
    /// `view:`.
    View,
    /// `auth-zone:`.
    Auth,
    /// `rpz:`.
    Rpz,
    /// Clauses that no lookup depends on.
    Other,
}

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// `yes` or `no`.
    YesNo,
    /// Starts with a number other than zero, or is `0`.
    Number,
    /// Anything, or checked where it is used.
    Text,
}

/// A keyword in one clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keyword {
    /// Where.
    pub(super) clause: Clause,
    /// How many values follow.
    pub(super) arguments: u8,
    /// What they look like.
    pub(super) values: Values,
    /// Not in 1.17.
    pub(super) newer: bool,
}

/// The keyword with this name in a clause; without it in any clause, for how many values follow.
pub(super) fn keyword(name: &str, clause: Option<Clause>) -> Option<Keyword> {
    let all = BY_NAME.get(name)?;
    match clause {
        Some(clause) => all.iter().copied().find(|keyword| keyword.clause == clause),
        None => all.first().copied(),
    }
}

/// The clause that a word opens.
pub(super) fn opens(name: &str) -> Option<Clause> {
    CLAUSES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, clause)| *clause)
}

/// All names, for "did you mean".
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|(_, names)| names.iter().copied())
}

static BY_NAME: LazyLock<HashMap<&'static str, Vec<Keyword>>> = LazyLock::new(|| {
    let mut all: HashMap<&'static str, Vec<Keyword>> = HashMap::new();
    for (keyword, names) in TABLE {
        for name in *names {
            all.entry(name).or_default().push(*keyword);
        }
    }
    all
});

const CLAUSES: [(&str, Clause); 13] = [
    ("server", Clause::Server),
    ("stub-zone", Clause::Stub),
    ("forward-zone", Clause::Forward),
    ("view", Clause::View),
    ("auth-zone", Clause::Auth),
    ("rpz", Clause::Rpz),
    ("remote-control", Clause::Other),
    ("python", Clause::Other),
    ("dynlib", Clause::Other),
    ("dnscrypt", Clause::Other),
    ("cachedb", Clause::Other),
    ("ipset", Clause::Other),
    ("dnstap", Clause::Other),
];

const fn of(clause: Clause, arguments: u8, values: Values) -> Keyword {
    Keyword {
        clause,
        arguments,
        values,
        newer: false,
    }
}

const fn newer(clause: Clause, arguments: u8, values: Values) -> Keyword {
    Keyword {
        newer: true,
        ..of(clause, arguments, values)
    }
}

#[rustfmt::skip]
const TABLE: &[(Keyword, &[&str])] = &[
    (of(Clause::Auth, 1, Values::Text), &[
        "allow-notify", "master", "name", "primary", "url", "zonefile",
    ]),
    (of(Clause::Auth, 1, Values::YesNo), &[
        "fallback-enabled", "for-downstream", "for-upstream", "zonemd-check", "zonemd-reject-absence",
    ]),
    (of(Clause::Forward, 1, Values::Text), &[
        "forward-addr", "forward-host", "name",
    ]),
    (of(Clause::Forward, 1, Values::YesNo), &[
        "forward-first", "forward-no-cache", "forward-ssl-upstream", "forward-tcp-upstream", "forward-tls-upstream",
    ]),
    (of(Clause::Other, 1, Values::Number), &[
        "control-port", "dnscrypt-nonce-cache-slabs", "dnscrypt-port", "dnscrypt-shared-secret-cache-slabs",
    ]),
    (of(Clause::Other, 1, Values::Text), &[
        "backend", "control-cert-file", "control-interface", "control-key-file", "control-use-cert",
        "dnscrypt-nonce-cache-size", "dnscrypt-provider", "dnscrypt-provider-cert",
        "dnscrypt-provider-cert-rotated", "dnscrypt-secret-key", "dnscrypt-shared-secret-cache-size",
        "dnstap-identity", "dnstap-ip", "dnstap-socket-path", "dnstap-tls-cert-bundle",
        "dnstap-tls-client-cert-file", "dnstap-tls-client-key-file", "dnstap-tls-server-name", "dnstap-version",
        "dynlib-file", "name-v4", "name-v6", "python-script", "redis-expire-records", "redis-server-host",
        "redis-server-port", "redis-timeout", "secret-seed", "server-cert-file", "server-key-file",
    ]),
    (newer(Clause::Other, 1, Values::Text), &[
        "cachedb-check-when-serve-expired", "cachedb-no-store", "dnstap-sample-rate", "redis-command-timeout",
        "redis-connect-timeout", "redis-logical-db", "redis-replica-command-timeout",
        "redis-replica-connect-timeout", "redis-replica-logical-db", "redis-replica-server-host",
        "redis-replica-server-password", "redis-replica-server-path", "redis-replica-server-port",
        "redis-replica-timeout", "redis-server-password", "redis-server-path",
    ]),
    (of(Clause::Other, 1, Values::YesNo), &[
        "control-enable", "dnscrypt-enable", "dnstap-bidirectional", "dnstap-enable",
        "dnstap-log-client-query-messages", "dnstap-log-client-response-messages",
        "dnstap-log-forwarder-query-messages", "dnstap-log-forwarder-response-messages",
        "dnstap-log-resolver-query-messages", "dnstap-log-resolver-response-messages", "dnstap-send-identity",
        "dnstap-send-version", "dnstap-tls",
    ]),
    (of(Clause::Rpz, 1, Values::Text), &[
        "allow-notify", "master", "name", "primary", "rpz-action-override", "rpz-cname-override", "rpz-log-name",
        "tags", "url", "zonefile",
    ]),
    (of(Clause::Rpz, 1, Values::YesNo), &[
        "for-downstream", "rpz-log", "rpz-signal-nxdomain-ra",
    ]),
    (of(Clause::Server, 1, Values::Number), &[
        "add-holddown", "cache-max-negative-ttl", "cache-max-ttl", "cache-min-ttl", "del-holddown", "delay-close",
        "edns-buffer-size", "edns-tcp-keepalive-timeout", "fast-server-num", "fast-server-permil",
        "http-max-streams", "https-port", "incoming-num-tcp", "infra-cache-max-rtt", "infra-cache-min-rtt",
        "infra-cache-numhosts", "infra-cache-slabs", "infra-host-ttl", "ip-dscp", "ip-ratelimit",
        "ip-ratelimit-factor", "ip-ratelimit-slabs", "jostle-timeout", "keep-missing", "key-cache-slabs",
        "low-rtt-pct", "low-rtt-permil", "max-query-restarts", "max-reuse-tcp-queries", "max-sent-count",
        "msg-buffer-size", "msg-cache-slabs", "num-queries-per-thread", "num-threads", "outbound-msg-retry",
        "outgoing-num-tcp", "outgoing-port-avoid", "outgoing-port-permit", "outgoing-range", "outgoing-tcp-mss",
        "pad-queries-block-size", "pad-responses-block-size", "port", "ratelimit", "ratelimit-factor",
        "ratelimit-slabs", "rrset-cache-slabs", "serve-expired-client-timeout", "serve-expired-reply-ttl",
        "serve-expired-ttl", "shm-key", "ssl-port", "statistics-interval", "tcp-auth-query-timeout",
        "tcp-idle-timeout", "tcp-mss", "tcp-reuse-timeout", "tls-port", "unwanted-reply-threshold", "val-bogus-ttl",
        "val-log-level", "val-max-restart", "val-override-date", "val-sig-skew-max", "val-sig-skew-min",
        "verbosity",
    ]),
    (newer(Clause::Server, 1, Values::Number), &[
        "cache-min-negative-ttl", "ip-ratelimit-cookie", "iter-scrub-cname", "iter-scrub-ns", "max-global-quota",
        "quic-port", "sock-queue-timeout", "wait-limit-cookie",
    ]),
    (of(Clause::Server, 1, Values::Text), &[
        "additional-ssl-port", "additional-tls-port", "auto-trust-anchor-file", "caps-exempt", "caps-whitelist",
        "chroot", "client-subnet-opcode", "client-subnet-zone", "define-tag", "directory", "discard-timeout",
        "dlv-anchor", "dlv-anchor-file", "dns64-ignore-aaaa", "dns64-prefix", "do-not-query-address",
        "domain-insecure", "edns-client-string-opcode", "http-endpoint", "http-query-buffer-size",
        "http-response-buffer-size", "http-user-agent", "identity", "infra-cache-lame-size", "infra-lame-ttl",
        "interface", "interface-automatic-ports", "ip-address", "ip-ratelimit-size", "ipsecmod-allow",
        "ipsecmod-enabled", "ipsecmod-hook", "ipsecmod-ignore-bogus", "ipsecmod-max-ttl", "ipsecmod-strict",
        "ipsecmod-whitelist", "key-cache-size", "local-data", "local-data-ptr", "log-identity", "logfile",
        "low-rtt", "max-client-subnet-ipv4", "max-client-subnet-ipv6", "max-ecs-tree-size-ipv4",
        "max-ecs-tree-size-ipv6", "max-udp-size", "min-client-subnet-ipv4", "min-client-subnet-ipv6",
        "module-config", "msg-cache-size", "neg-cache-size", "nsid", "outgoing-interface", "pidfile",
        "private-address", "private-domain", "proxy-protocol-port", "ratelimit-size", "root-hints",
        "rrset-cache-size", "send-client-subnet", "so-rcvbuf", "so-sndbuf", "ssl-cert-bundle", "ssl-service-key",
        "ssl-service-pem", "stream-wait-size", "target-fetch-policy", "tls-additional-port", "tls-additional-ports",
        "tls-cert-bundle", "tls-ciphers", "tls-ciphersuites", "tls-service-key", "tls-service-pem",
        "tls-session-ticket-keys", "trust-anchor", "trust-anchor-file", "trusted-keys-file",
        "unknown-server-time-limit", "username", "val-nsec3-keysize-iterations", "version", "wait-limit",
    ]),
    (newer(Clause::Server, 1, Values::Text), &[
        "cookie-secret", "cookie-secret-file", "edns-client-tag-opcode", "nat64-prefix", "quic-size",
        "tls-protocols",
    ]),
    (of(Clause::Server, 1, Values::YesNo), &[
        "aggressive-nsec", "client-subnet-always-forward", "deny-any", "disable-dnssec-lame-check",
        "dns64-synthall", "do-daemonize", "do-ip4", "do-ip6", "do-not-query-localhost", "do-tcp", "do-udp", "ede",
        "ede-serve-expired", "edns-tcp-keepalive", "extended-statistics", "fake-dsa", "fake-sha1",
        "harden-algo-downgrade", "harden-below-nxdomain", "harden-dnssec-stripped", "harden-glue",
        "harden-large-queries", "harden-referral-path", "harden-short-bufsize", "hide-http-user-agent",
        "hide-identity", "hide-trustanchor", "hide-version", "http-nodelay", "http-notls-downstream",
        "ignore-cd-flag", "infra-keep-probing", "insecure-lan-zones", "interface-automatic", "ip-freebind",
        "ip-ratelimit-backoff", "ip-transparent", "iter-scrub-promiscuous", "log-local-actions", "log-queries",
        "log-replies", "log-servfail", "log-tag-queryreply", "log-time-ascii", "minimal-responses", "pad-queries",
        "pad-responses", "permit-small-holddown", "prefer-ip4", "prefer-ip6", "prefetch", "prefetch-key",
        "qname-minimisation", "qname-minimisation-strict", "ratelimit-backoff", "root-key-sentinel",
        "rrset-roundrobin", "serve-expired", "serve-expired-ttl-reset", "serve-original-ttl", "shm-enable",
        "so-reuseport", "ssl-upstream", "statistics-cumulative", "statistics-inhibit-zero", "tcp-upstream",
        "tls-system-cert", "tls-upstream", "tls-use-sni", "tls-win-cert", "trust-anchor-signaling", "udp-connect",
        "udp-upstream-without-downstream", "unblock-lan-zones", "use-caps-for-id", "use-syslog", "use-systemd",
        "val-clean-additional", "val-permissive-mode", "zonemd-permissive-mode",
    ]),
    (newer(Clause::Server, 1, Values::YesNo), &[
        "answer-cookie", "disable-edns-do", "dns-error-reporting", "do-nat64", "harden-unknown-additional",
        "harden-unverified-glue", "iter-scrub-rrsig", "log-destaddr", "log-thread-id", "log-time-iso",
        "tls-use-system-policy-versions",
    ]),
    (of(Clause::Server, 2, Values::Number), &[
        "ratelimit-below-domain", "ratelimit-for-domain",
    ]),
    (of(Clause::Server, 2, Values::Text), &[
        "access-control", "access-control-tag", "access-control-view", "edns-client-string", "interface-action",
        "interface-tag", "interface-view", "local-zone", "local-zone-tag", "response-ip", "response-ip-data",
        "response-ip-tag", "tcp-connection-limit", "wait-limit-netblock",
    ]),
    (newer(Clause::Server, 2, Values::Text), &[
        "edns-client-tag", "wait-limit-cookie-netblock",
    ]),
    (of(Clause::Server, 3, Values::Text), &[
        "access-control-tag-action", "access-control-tag-data", "interface-tag-action", "interface-tag-data",
        "local-zone-override",
    ]),
    (of(Clause::Stub, 1, Values::Text), &[
        "name", "stub-addr", "stub-host",
    ]),
    (of(Clause::Stub, 1, Values::YesNo), &[
        "stub-first", "stub-no-cache", "stub-prime", "stub-ssl-upstream", "stub-tcp-upstream", "stub-tls-upstream",
    ]),
    (of(Clause::View, 1, Values::Text), &[
        "local-data", "local-data-ptr", "name",
    ]),
    (of(Clause::View, 1, Values::YesNo), &[
        "view-first",
    ]),
    (of(Clause::View, 2, Values::Text), &[
        "local-zone", "response-ip", "response-ip-data",
    ]),
];
