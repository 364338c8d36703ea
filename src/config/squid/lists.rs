//! In: nothing. Out: the nouns of a config: access lists and their rules, ports, peers.

use super::acl::{Term, Unread};
use crate::source::Span;

/// An access list that takes part in a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum List {
    HttpAccess,
    AdaptedHttpAccess,
    MissAccess,
    AlwaysDirect,
    NeverDirect,
    RewriteAccess,
    SslBump,
    FollowForwarded,
    /// Per peer.
    PeerAccess,
    /// Per service.
    AdaptationAccess,
    /// Per protocol.
    UpgradeProtocols,
}

impl List {
    /// Lists whose lines an include that was not read may hold.
    pub(super) const DECIDING: [Self; 4] = [
        Self::HttpAccess,
        Self::AdaptedHttpAccess,
        Self::MissAccess,
        Self::NeverDirect,
    ];

    /// As Squid calls it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::HttpAccess => "http_access",
            Self::AdaptedHttpAccess => "adapted_http_access",
            Self::MissAccess => "miss_access",
            Self::AlwaysDirect => "always_direct",
            Self::NeverDirect => "never_direct",
            Self::RewriteAccess => "url_rewrite_access",
            Self::SslBump => "ssl_bump",
            Self::FollowForwarded => "follow_x_forwarded_for",
            Self::PeerAccess => "cache_peer_access",
            Self::AdaptationAccess => "adaptation_access",
            Self::UpgradeProtocols => "http_upgrade_request_protocols",
        }
    }
}

/// A directive that is an access list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    /// Which; `None` for one that decides nothing here, whose ACLs must exist all the same.
    pub(super) list: Option<List>,
    /// A name stands before the action.
    pub(super) has_subject: bool,
}

/// Whether a directive is an access list.
pub(super) fn simple_list(directive: &str) -> Option<Listed> {
    let (list, has_subject) = match directive {
        "http_access" => (Some(List::HttpAccess), false),
        "adapted_http_access" | "http_access2" => (Some(List::AdaptedHttpAccess), false),
        "miss_access" => (Some(List::MissAccess), false),
        "always_direct" => (Some(List::AlwaysDirect), false),
        "never_direct" => (Some(List::NeverDirect), false),
        "url_rewrite_access" | "redirector_access" => (Some(List::RewriteAccess), false),
        "ssl_bump" => (Some(List::SslBump), false),
        "follow_x_forwarded_for" => (Some(List::FollowForwarded), false),
        "cache_peer_access" => (Some(List::PeerAccess), true),
        "adaptation_access" => (Some(List::AdaptationAccess), true),
        "http_upgrade_request_protocols" => (Some(List::UpgradeProtocols), true),
        "http_reply_access"
        | "icp_access"
        | "htcp_access"
        | "htcp_clr_access"
        | "snmp_access"
        | "cache"
        | "no_cache"
        | "store_miss"
        | "send_hit"
        | "broken_posts"
        | "ident_lookup_access"
        | "spoof_client_ip"
        | "store_id_access" => (None, false),
        "delay_access" | "reply_header_access" | "request_header_access" => (None, true),
        _ => return None,
    };
    Some(Listed { list, has_subject })
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Action {
    Allow,
    Deny,
    /// `splice` and `none`: the tunnel stays as it is.
    Splice,
    Peek,
    Stare,
    /// `bump`, `client-first`, `server-first`.
    Bump,
    Terminate,
}

impl Action {
    /// The action of a word, in a list.
    pub(super) fn parse(list: Option<List>, word: &str) -> Option<Self> {
        if list == Some(List::SslBump) {
            return match word {
                "splice" | "none" | "deny" => Some(Self::Splice),
                "peek" => Some(Self::Peek),
                "stare" => Some(Self::Stare),
                "bump" | "client-first" | "server-first" | "allow" => Some(Self::Bump),
                "terminate" | "err" => Some(Self::Terminate),
                _ => None,
            };
        }
        match word {
            "allow" => Some(Self::Allow),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }
}

/// One entry of an access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// A line.
    Line {
        /// What it does.
        action: Action,
        /// All must match; none match always.
        terms: Vec<Term>,
        /// A file of ACL names that is not here.
        unread: Option<Unread>,
        /// The whole line.
        span: Span,
    },
    /// An include that was not read stands here: its index.
    Hole(usize),
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Clients are told to use it.
    Forward,
    /// Traffic is redirected to it.
    Intercept,
    /// It stands before web servers.
    Accelerator,
}

/// A place where Squid listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    /// Address or name before the colon.
    pub(super) host: Option<String>,
    /// Its number.
    pub(super) number: u16,
    /// For `myportname`.
    pub(super) name: String,
    /// What it is for.
    pub(super) mode: Mode,
    /// `ssl-bump`.
    pub(super) bump: bool,
    /// `https_port`.
    pub(super) secure: bool,
    /// The line.
    pub(super) span: Span,
}

/// Another proxy, or an origin server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    /// For `cache_peer_access`.
    pub(super) name: String,
    /// A parent.
    pub(super) parent: bool,
    /// `originserver`.
    pub(super) origin: bool,
    /// The line.
    pub(super) span: Span,
}
