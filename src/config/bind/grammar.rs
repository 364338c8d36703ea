//! In: a statement's name and where it stands. Out: whether named knows it there, whether it may stand twice, and whether
//! a newer or older version is meant.
//!
//! The names are those of named.conf(5) of BIND 9.18; `named-checkconf` 9.18.49 was asked about the removed ones.

/// Where a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Outside all braces.
    Top,
    /// In `options`.
    Options,
    /// In a `view`.
    View,
    /// In a `server`.
    Server,
    /// In a `zone`.
    Zone,
}

/// What named makes of a statement's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// A statement of this place.
    Known,
    /// Removed: since 9.18 named does not start with it.
    Removed,
    /// Came after 9.18.
    Newer,
    /// No version knows it here.
    Unknown,
}

impl Place {
    /// In words.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Top => "the top level",
            Self::Options => "`options`",
            Self::View => "a `view`",
            Self::Server => "a `server`",
            Self::Zone => "a `zone`",
        }
    }
}

/// What named makes of a name at a place.
pub(super) fn standing(place: Place, name: &str) -> Standing {
    let tables: &[&str] = match place {
        Place::Top => &[TOP],
        Place::Options => &[SHARED, OPTIONS],
        Place::View => &[SHARED, VIEW],
        Place::Server => &[SERVER],
        Place::Zone => &[ZONE],
    };
    if tables.iter().any(|table| lists(table, name)) {
        Standing::Known
    } else if lists(REMOVED, name) {
        Standing::Removed
    } else if lists(NEWER, name) {
        Standing::Newer
    } else {
        Standing::Unknown
    }
}

/// Whether a statement may stand more than once at a place; of all others a second one is refused.
pub(super) fn repeats(place: Place, name: &str) -> bool {
    if place == Place::Top {
        !matches!(name, "options" | "logging")
    } else {
        lists(REPEATED, name)
    }
}

/// A known name that is one slip of the pen away.
pub(super) fn meant(place: Place, name: &str) -> Option<&'static str> {
    let tables: &[&'static str] = match place {
        Place::Top => &[TOP],
        Place::Options => &[SHARED, OPTIONS],
        Place::View => &[SHARED, VIEW],
        Place::Server => &[SERVER],
        Place::Zone => &[ZONE],
    };
    tables
        .iter()
        .flat_map(|table| table.split_ascii_whitespace())
        .map(|known| (distance(known, name), known))
        .filter(|(far, _)| *far <= 2)
        .min()
        .map(|(_, known)| known)
}

fn lists(table: &str, name: &str) -> bool {
    table.split_ascii_whitespace().any(|known| known == name)
}

/// How many letters must be changed, added or dropped.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.chars().take(64).enumerate() {
        let mut diagonal = row.first().copied().unwrap_or(0);
        let mut before = line + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(&right) {
            let cost = diagonal + usize::from(a != *b);
            diagonal = *cell;
            *cell = cost.min(diagonal + 1).min(before + 1);
            before = *cell;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Outside all braces.
const TOP: &str = "\
    acl controls dlz dnssec-policy dyndb http include key logging managed-keys masters options \
    parental-agents plugin primaries server statistics-channels tls trust-anchors trusted-keys view \
    zone";

/// In `options` and in views.
const SHARED: &str = "\
    allow-new-zones allow-notify allow-query allow-query-cache allow-query-cache-on allow-query-on \
    allow-recursion allow-recursion-on allow-transfer allow-update allow-update-forwarding \
    also-notify alt-transfer-source alt-transfer-source-v6 attach-cache auth-nxdomain auto-dnssec \
    catalog-zones check-dup-records check-integrity check-mx check-mx-cname check-names \
    check-sibling check-spf check-srv-cname check-wildcard clients-per-query deny-answer-addresses \
    deny-answer-aliases dialup disable-algorithms disable-ds-digests disable-empty-zone dns64 \
    dns64-contact dns64-server dnskey-sig-validity dnsrps-enable dnsrps-options \
    dnssec-accept-expired dnssec-dnskey-kskonly dnssec-loadkeys-interval dnssec-must-be-secure \
    dnssec-policy dnssec-secure-to-insecure dnssec-update-mode dnssec-validation dnstap \
    dual-stack-servers edns-udp-size empty-contact empty-server empty-zones-enable \
    fetch-quota-params fetches-per-server fetches-per-zone forward forwarders glue-cache include \
    ipv4only-contact ipv4only-enable ipv4only-server ixfr-from-differences key-directory lame-ttl \
    lmdb-mapsize masterfile-format masterfile-style max-cache-size max-cache-ttl \
    max-clients-per-query max-ixfr-ratio max-journal-size max-ncache-ttl max-query-count \
    max-query-restarts max-records max-records-per-type max-recursion-depth max-recursion-queries \
    max-refresh-time max-retry-time max-stale-ttl max-transfer-idle-in max-transfer-idle-out \
    max-transfer-time-in max-transfer-time-out max-types-per-name max-udp-size max-zone-ttl \
    message-compression min-cache-ttl min-ncache-ttl min-refresh-time min-retry-time minimal-any \
    minimal-responses multi-master new-zones-directory no-case-compress nocookie-udp-size notify \
    notify-delay notify-source notify-source-v6 notify-to-soa nsec3-test-zone nta-lifetime \
    nta-recheck nxdomain-redirect parental-source parental-source-v6 preferred-glue prefetch \
    provide-ixfr qname-minimization query-source query-source-v6 rate-limit recursion \
    request-expire request-ixfr request-nsid require-server-cookie resolver-nonbackoff-tries \
    resolver-query-timeout resolver-retry-interval response-padding response-policy \
    root-delegation-only root-key-sentinel rrset-order send-cookie serial-update-method \
    servfail-ttl sig-signing-nodes sig-signing-signatures sig-signing-type sig-validity-interval \
    sortlist stale-answer-client-timeout stale-answer-enable stale-answer-ttl stale-cache-enable \
    stale-refresh-time suppress-initial-notify synth-from-dnssec transfer-format transfer-source \
    transfer-source-v6 trust-anchor-telemetry try-tcp-refresh update-check-ksk \
    use-alt-transfer-source v6-bias validate-except zero-no-soa-ttl zero-no-soa-ttl-cache \
    zone-statistics";

/// In `options` only.
const OPTIONS: &str = "\
    answer-cookie automatic-interface-scan avoid-v4-udp-ports avoid-v6-udp-ports bindkeys-file \
    blackhole cookie-algorithm cookie-secret coresize datasize directory dnstap-identity \
    dnstap-output dnstap-version dscp dump-file files flush-zones-on-shutdown fstrm-set-buffer-hint \
    fstrm-set-flush-timeout fstrm-set-input-queue-size fstrm-set-output-notify-threshold \
    fstrm-set-output-queue-model fstrm-set-output-queue-size fstrm-set-reopen-interval \
    geoip-directory heartbeat-interval hostname http-listener-clients http-port \
    http-streams-per-connection https-port interface-interval keep-response-order listen-on \
    listen-on-v6 lock-file managed-keys-directory match-mapped-addresses max-rsa-exponent-size \
    memstatistics memstatistics-file notify-rate pid-file port querylog random-device \
    recursing-file recursive-clients reserved-sockets reuseport secroots-file serial-query-rate \
    server-id session-keyalg session-keyfile session-keyname stacksize startup-notify-rate \
    statistics-file tcp-advertised-timeout tcp-clients tcp-idle-timeout tcp-initial-timeout \
    tcp-keepalive-timeout tcp-listen-queue tcp-receive-buffer tcp-send-buffer tkey-dhkey \
    tkey-domain tkey-gssapi-credential tkey-gssapi-keytab tls-port transfer-message-size \
    transfers-in transfers-out transfers-per-ns udp-receive-buffer udp-send-buffer update-quota \
    use-v4-udp-ports use-v6-udp-ports version";

/// In views only.
const VIEW: &str = "\
    dlz dyndb key managed-keys match-clients match-destinations match-recursive-only plugin server \
    trust-anchors trusted-keys zone";

/// In `server`.
const SERVER: &str = "\
    bogus edns edns-udp-size edns-version include keys max-udp-size notify-source notify-source-v6 \
    padding provide-ixfr query-source query-source-v6 request-expire request-ixfr request-nsid \
    send-cookie tcp-keepalive tcp-only transfer-format transfer-source transfer-source-v6 transfers";

/// In `zone`, of any type.
const ZONE: &str = "\
    allow-notify allow-query allow-query-on allow-transfer allow-update allow-update-forwarding \
    also-notify alt-transfer-source alt-transfer-source-v6 auto-dnssec check-dup-records \
    check-integrity check-mx check-mx-cname check-names check-sibling check-spf check-srv-cname \
    check-wildcard database delegation-only dialup dlz dnskey-sig-validity dnssec-dnskey-kskonly \
    dnssec-loadkeys-interval dnssec-policy dnssec-secure-to-insecure dnssec-update-mode file \
    forward forwarders in-view include inline-signing ixfr-from-differences journal key-directory \
    masterfile-format masterfile-style masters max-ixfr-ratio max-journal-size max-records \
    max-records-per-type max-refresh-time max-retry-time max-transfer-idle-in max-transfer-idle-out \
    max-transfer-time-in max-transfer-time-out max-types-per-name max-zone-ttl min-refresh-time \
    min-retry-time multi-master notify notify-delay notify-source notify-source-v6 notify-to-soa \
    nsec3-test-zone parental-agents parental-source parental-source-v6 primaries request-expire \
    request-ixfr serial-update-method server-addresses server-names sig-signing-nodes \
    sig-signing-signatures sig-signing-type sig-validity-interval transfer-source \
    transfer-source-v6 try-tcp-refresh type update-check-ksk update-policy use-alt-transfer-source \
    zero-no-soa-ttl zone-statistics";

/// What may stand more than once inside braces.
const REPEATED: &str = "\
    check-names cookie-secret disable-algorithms disable-ds-digests disable-empty-zone dlz dns64 \
    dnssec-must-be-secure dyndb include key listen-on listen-on-v6 managed-keys plugin server \
    trust-anchors trusted-keys zone";

/// Gone in 9.18.
const REMOVED: &str = "\
    acache-cleaning-interval acache-enable additional-from-auth additional-from-cache \
    allow-v6-synthesis cleaning-interval deallocate-on-exit dnssec-enable dnssec-lookaside \
    fake-iquery fetch-glue filter-aaaa filter-aaaa-on-v4 filter-aaaa-on-v6 geoip-use-ecs \
    has-old-clients host-statistics host-statistics-max maintain-ixfr-base max-acache-size \
    max-ixfr-log-size min-roots multiple-cnames named-xfer nosit-udp-size queryport-pool-ports \
    queryport-pool-updateinterval request-sit rfc2308-type1 serial-queries sit-secret \
    statistics-interval topology treat-cr-as-space use-id-pool use-ixfr use-queryport-pool";

/// Came with 9.20 or later.
const NEWER: &str = "\
    allow-proxy allow-proxy-on cdnskey cfg-policy checkds log-report-channel manual-mode \
    max-delegation-servers max-validation-failures-per-fetch max-validations-per-fetch \
    min-transfer-rate-in notify-cfg notify-defer provide-zoneversion remote-servers \
    request-zoneversion response-log responselog send-report-channel sig0checks-quota \
    sig0checks-quota-exempt sig0key-checks-limit sig0message-checks-limit skr-file \
    tcp-primaries-timeout template update-rate-limit zone-template";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_places() {
        assert_eq!(standing(Place::Options, "edns-udp-size"), Standing::Known);
        assert_eq!(standing(Place::Server, "edns"), Standing::Known);
        assert_eq!(standing(Place::Zone, "recursion"), Standing::Unknown);
        assert_eq!(standing(Place::Options, "dnssec-enable"), Standing::Removed);
        assert_eq!(meant(Place::Options, "recusion"), Some("recursion"));
        assert_eq!(meant(Place::Options, "gibberish"), None);
        assert!(repeats(Place::Options, "listen-on") && !repeats(Place::Options, "recursion"));
        assert!(!repeats(Place::Top, "options") && repeats(Place::Top, "zone"));
    }
}
