//! In: the word of an ACL type. Out: what it tests and how its values are read.

/// What an ACL type tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::config::squid) enum Kind {
    Source,
    Destination,
    LocalAddress,
    DestinationDomain,
    DestinationRegex,
    ServerName,
    ServerNameRegex,
    UrlRegex,
    PathRegex,
    Browser,
    Port,
    LocalPort,
    PortName,
    Method,
    Protocol,
    Time,
    User,
    UserRegex,
    External,
    AnyOf,
    AllOf,
    BumpStep,
    /// `transaction_initiator`: clients or Squid itself.
    Initiator,
    /// Looks at the reply, so it never matches a request.
    Reply,
    /// Depends on load or chance.
    Load,
    /// Anything else that Squid knows; the word is the unknown's code.
    Other(&'static str),
}

/// How values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config::squid) enum Shape {
    Addresses,
    Domains,
    Patterns,
    Numbers,
    Words,
    Times,
    Names,
    Ignored,
}

/// The types of Squid 4 to 7, `myip` and `myport` already renamed (src/AclRegs.cc).
const KINDS: &[(&str, Kind)] = &[
    ("src", Kind::Source),
    ("dst", Kind::Destination),
    ("localip", Kind::LocalAddress),
    ("dstdomain", Kind::DestinationDomain),
    ("dstdom_regex", Kind::DestinationRegex),
    ("ssl::server_name", Kind::ServerName),
    ("ssl::server_name_regex", Kind::ServerNameRegex),
    ("url_regex", Kind::UrlRegex),
    ("urlpath_regex", Kind::PathRegex),
    ("browser", Kind::Browser),
    ("port", Kind::Port),
    ("localport", Kind::LocalPort),
    ("myportname", Kind::PortName),
    ("method", Kind::Method),
    ("proto", Kind::Protocol),
    ("time", Kind::Time),
    ("proxy_auth", Kind::User),
    ("proxy_auth_regex", Kind::UserRegex),
    ("external", Kind::External),
    ("any-of", Kind::AnyOf),
    ("all-of", Kind::AllOf),
    ("at_step", Kind::BumpStep),
    ("rep_mime_type", Kind::Reply),
    ("rep_header", Kind::Reply),
    ("http_status", Kind::Reply),
    ("maxconn", Kind::Load),
    ("client_ip_max_connections", Kind::Load),
    ("max_user_ip", Kind::Load),
    ("random", Kind::Load),
    ("arp", Kind::Other("mac")),
    ("eui64", Kind::Other("mac")),
    ("ident", Kind::Other("ident")),
    ("ident_regex", Kind::Other("ident")),
    ("ext_user", Kind::Other("helper")),
    ("ext_user_regex", Kind::Other("helper")),
    ("tag", Kind::Other("helper")),
    ("note", Kind::Other("helper")),
    ("annotate_client", Kind::Other("helper")),
    ("annotate_transaction", Kind::Other("helper")),
    ("adaptation_service", Kind::Other("helper")),
    ("srcdomain", Kind::Other("reverse-name")),
    ("srcdom_regex", Kind::Other("reverse-name")),
    ("req_header", Kind::Other("header")),
    ("referer_regex", Kind::Other("header")),
    ("req_mime_type", Kind::Other("header")),
    ("urllogin", Kind::Other("header")),
    ("src_as", Kind::Other("as-number")),
    ("dst_as", Kind::Other("as-number")),
    ("peername", Kind::Other("match")),
    ("peername_regex", Kind::Other("match")),
    ("hier_code", Kind::Other("match")),
    ("connections_encrypted", Kind::Other("match")),
    ("has", Kind::Other("match")),
    ("transaction_initiator", Kind::Initiator),
    ("snmp_community", Kind::Other("match")),
    ("squid_error", Kind::Other("match")),
    ("client_connection_mark", Kind::Other("match")),
    ("ssl_error", Kind::Other("tls")),
    ("server_cert_fingerprint", Kind::Other("tls")),
    ("user_cert", Kind::Other("tls")),
    ("ca_cert", Kind::Other("tls")),
];

/// The type of a word; `None` where Squid says "Invalid ACL type".
pub(in crate::config::squid) fn kind(word: &str) -> Option<Kind> {
    KINDS
        .iter()
        .find(|(known, _)| *known == word)
        .map(|(_, kind)| *kind)
}

/// Types that only a build with OpenSSL has.
pub(in crate::config::squid) fn needs_openssl(word: &str) -> bool {
    word.starts_with("ssl::")
        || matches!(
            word,
            "at_step" | "ssl_error" | "server_cert_fingerprint" | "user_cert" | "ca_cert"
        )
}

impl Kind {
    /// How its values are read.
    pub(in crate::config::squid) fn shape(self) -> Shape {
        match self {
            Self::Source | Self::Destination | Self::LocalAddress => Shape::Addresses,
            Self::DestinationDomain | Self::ServerName => Shape::Domains,
            Self::DestinationRegex
            | Self::ServerNameRegex
            | Self::UrlRegex
            | Self::PathRegex
            | Self::Browser
            | Self::UserRegex => Shape::Patterns,
            Self::Port | Self::LocalPort => Shape::Numbers,
            Self::PortName
            | Self::Method
            | Self::Protocol
            | Self::User
            | Self::BumpStep
            | Self::Initiator => Shape::Words,
            Self::Time => Shape::Times,
            Self::AnyOf | Self::AllOf => Shape::Names,
            Self::External | Self::Reply | Self::Load | Self::Other(_) => Shape::Ignored,
        }
    }

    /// Whether it takes this option in front of its values; anything else is fatal there.
    pub(in crate::config::squid) fn takes(self, flag: &str) -> bool {
        let shape = self.shape();
        let case = shape == Shape::Patterns || self == Self::User;
        let lookups = matches!(
            self,
            Self::Destination | Self::DestinationDomain | Self::DestinationRegex
        );
        let certificates = matches!(self, Self::ServerName | Self::ServerNameRegex);
        match flag {
            "-i" | "+i" => case,
            "-n" => lookups,
            "--consensus" | "--client-requested" | "--server-provided" => certificates,
            _ => false,
        }
    }
}
