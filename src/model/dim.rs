//! In: nothing. Out: the dimensions of a flow, and the numbers that stand for their values.
//!
//! A flow is one value per dimension. Dimensions that a layer does not have are never tested by its gates, so they stay
//! unrestricted and cost nothing.

/// A dimension of a flow. Numeric dimensions hold integers; text dimensions ([`Dim::is_text`]) hold words.
///
/// The order is the order in which sets of flows branch: what most rules differ in comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dim {
    /// Client or source address, on the number line of [`super::address`].
    Source,
    /// Destination address, on the number line of [`super::address`].
    Destination,
    /// IP protocol number.
    Protocol,
    /// Destination port; for a proxy the port of the request's authority, for a fetch the URL's port.
    DestinationPort,
    /// Source port.
    SourcePort,
    /// Name of the interface that the packet comes in by (text).
    InInterface,
    /// Name of the interface that the packet goes out by (text).
    OutInterface,
    /// Connection tracking state of the packet, see [`State`]; given by the conversation, not by the question.
    State,
    /// TCP flags byte, see [`Flags`].
    TcpFlags,
    /// Length of the whole IP packet in bytes.
    Length,
    /// ICMP or `ICMPv6` type and code: `type << 8 | code`.
    Icmp,
    /// Time to live, or hop limit.
    Ttl,
    /// Type of service byte, or traffic class.
    Tos,
    /// The maximum segment size option of a SYN.
    Mss,
    /// User id of the socket's owner on this host.
    Owner,
    /// Source MAC address, 48 bits.
    Mac,
    /// HTTP request method (text, upper case).
    Method,
    /// URL scheme (text, lower case); of a CONNECT request: empty.
    Scheme,
    /// Host name or address literal asked for (text, lower case, no trailing dot).
    Host,
    /// 0: the host is a name, 1: it is an address literal.
    HostIsAddress,
    /// What a reverse lookup of an address literal says (text); empty where there is no such name.
    ReverseName,
    /// URL path with its query (text).
    Path,
    /// `User-Agent` header (text).
    UserAgent,
    /// Which listening port of a proxy, by index.
    Listener,
    /// 0: no credentials are sent, 1: valid ones, 2: credentials that are refused.
    Credentials,
    /// Name of the authenticated user (text).
    User,
    /// Minute of the week, 0 is Sunday 00:00, in the program's own time zone.
    Minute,
    /// DNS record type number.
    QueryType,
    /// What kind of resource a page loads, see [`Resource`].
    Resource,
    /// The name that an answer's CNAME points to (text).
    Alias,
    /// What a CONNECT tunnel carries, see [`Tunnel`].
    Tunnel,
    /// A test that cannot be decided but is stable, met more than once: 0 false, 1 true.
    Atom0,
    /// See [`Dim::Atom0`].
    Atom1,
    /// See [`Dim::Atom0`].
    Atom2,
    /// See [`Dim::Atom0`].
    Atom3,
    /// See [`Dim::Atom0`].
    Atom4,
    /// See [`Dim::Atom0`].
    Atom5,
    /// See [`Dim::Atom0`].
    Atom6,
    /// See [`Dim::Atom0`].
    Atom7,
    /// Length of the conversation's replies: each length occurs.
    ReplyLength,
    /// Time to live of the replies: each occurs.
    ReplyTtl,
    /// The maximum segment size that the replies offer: each occurs.
    ReplyMss,
    /// TCP flags of the client's later packets: each occurs.
    NextFlags,
    /// Length of the client's later packets: each occurs.
    NextLength,
}

impl Dim {
    /// Every dimension, in branching order.
    pub const ALL: [Self; 44] = [
        Self::Source,
        Self::Destination,
        Self::Protocol,
        Self::DestinationPort,
        Self::SourcePort,
        Self::InInterface,
        Self::OutInterface,
        Self::State,
        Self::TcpFlags,
        Self::Length,
        Self::Icmp,
        Self::Ttl,
        Self::Tos,
        Self::Mss,
        Self::Owner,
        Self::Mac,
        Self::Method,
        Self::Scheme,
        Self::Host,
        Self::HostIsAddress,
        Self::ReverseName,
        Self::Path,
        Self::UserAgent,
        Self::Listener,
        Self::Credentials,
        Self::User,
        Self::Minute,
        Self::QueryType,
        Self::Resource,
        Self::Alias,
        Self::Tunnel,
        Self::Atom0,
        Self::Atom1,
        Self::Atom2,
        Self::Atom3,
        Self::Atom4,
        Self::Atom5,
        Self::Atom6,
        Self::Atom7,
        Self::ReplyLength,
        Self::ReplyTtl,
        Self::ReplyMss,
        Self::NextFlags,
        Self::NextLength,
    ];

    /// The Boolean dimensions for stable undecidable tests.
    pub const ATOMS: [Self; 8] = [
        Self::Atom0,
        Self::Atom1,
        Self::Atom2,
        Self::Atom3,
        Self::Atom4,
        Self::Atom5,
        Self::Atom6,
        Self::Atom7,
    ];

    /// Whether this is no property of the flow as sent, but something that a verdict has quantified away.
    pub fn is_inner(self) -> bool {
        self >= Self::Atom0
    }

    /// Whether values are words, tested by [`super::TextSet`], rather than numbers.
    pub fn is_text(self) -> bool {
        matches!(
            self,
            Self::InInterface
                | Self::OutInterface
                | Self::Method
                | Self::Scheme
                | Self::Host
                | Self::ReverseName
                | Self::Path
                | Self::UserAgent
                | Self::User
                | Self::Alias
        )
    }
}

/// What a CONNECT tunnel carries: it matters to a proxy that decrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tunnel {
    /// HTTP over TLS.
    Https = 0,
    /// `WebSocket` over TLS.
    WebSocket = 1,
    /// Something else over TLS, such as TURN.
    Tls = 2,
}

impl Tunnel {
    /// The words of policies and requests.
    pub const WORDS: [(Self, &'static str); 3] = [
        (Self::Https, "https"),
        (Self::WebSocket, "wss"),
        (Self::Tls, "tls"),
    ];

    /// What a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        let mut words = Self::WORDS.iter();
        words.find(|(_, known)| *known == word).map(|(it, _)| *it)
    }
}

/// Connection tracking states as numbers (kernel, `nf_conntrack_common.h`, names as iptables prints them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// Belongs to no connection and starts none.
    Invalid = 0,
    /// Starts a connection.
    New = 1,
    /// Belongs to a connection that has seen packets both ways.
    Established = 2,
    /// Starts a connection that belongs to another one, or is an ICMP error about one.
    Related = 3,
    /// Exempted by NOTRACK.
    Untracked = 4,
}

/// TCP flags as bits (RFC 9293, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags;

impl Flags {
    /// FIN.
    pub const FIN: u8 = 0x01;
    /// SYN.
    pub const SYN: u8 = 0x02;
    /// RST.
    pub const RST: u8 = 0x04;
    /// PSH.
    pub const PSH: u8 = 0x08;
    /// ACK.
    pub const ACK: u8 = 0x10;
    /// URG.
    pub const URG: u8 = 0x20;
}

/// What a page asks the browser for: the words of `fetch` requirements and of browser requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Resource {
    /// `fetch`, XHR, `WebSocket`, `EventSource`, beacon.
    Connect,
    /// A classic `<script src>`.
    Script,
    /// `<script type=module src>`.
    Module,
    /// `new Worker(url)`.
    Worker,
    /// WebAssembly compiled inside a `blob:` worker.
    WorkerWasm,
    /// `fetch` inside a `blob:` worker.
    WorkerConnect,
    /// `eval` inside a `blob:` worker.
    WorkerEval,
    /// `importScripts` inside a `blob:` worker.
    WorkerImport,
    /// `audioWorklet.addModule(url)`.
    Worklet,
    /// WebAssembly compiled inside an audio worklet.
    WorkletWasm,
    /// WebAssembly compiled in the page.
    Wasm,
    /// WebAssembly compiled in the page from a response stream.
    WasmStreaming,
    /// `eval` in the page.
    Eval,
    /// `<img>`.
    Img,
    /// A stylesheet by URL.
    Style,
    /// An inline `<style>`.
    InlineStyle,
    /// A script element made by the parser, by URL.
    ScriptTag,
    /// An inline `<script>` made by a DOM call.
    InlineScript,
    /// An inline `<script>` made by the parser.
    InlineTag,
    /// An `onclick=` attribute.
    InlineHandler,
    /// A nested browsing context.
    Frame,
    /// Audio or video by URL.
    Media,
    /// A font by URL.
    Font,
    /// A web app manifest.
    Manifest,
    /// A WebRTC connection.
    Webrtc,
    /// `video.srcObject` of a stream.
    SrcObject,
}

impl Resource {
    /// Every kind with its word in policies and requests.
    pub const WORDS: [(Self, &'static str); 26] = [
        (Self::Connect, "connect"),
        (Self::Script, "script"),
        (Self::Module, "module"),
        (Self::Worker, "worker"),
        (Self::WorkerWasm, "worker-wasm"),
        (Self::WorkerConnect, "worker-connect"),
        (Self::WorkerEval, "worker-eval"),
        (Self::WorkerImport, "worker-import"),
        (Self::Worklet, "worklet"),
        (Self::WorkletWasm, "worklet-wasm"),
        (Self::Wasm, "wasm"),
        (Self::WasmStreaming, "wasm-streaming"),
        (Self::Eval, "eval"),
        (Self::Img, "img"),
        (Self::Style, "style"),
        (Self::InlineStyle, "inline-style"),
        (Self::ScriptTag, "script-tag"),
        (Self::InlineScript, "inline-script"),
        (Self::InlineTag, "inline-tag"),
        (Self::InlineHandler, "inline-handler"),
        (Self::Frame, "frame"),
        (Self::Media, "media"),
        (Self::Font, "font"),
        (Self::Manifest, "manifest"),
        (Self::Webrtc, "webrtc"),
        (Self::SrcObject, "srcobject"),
    ];

    /// The kind behind a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(kind, _)| *kind)
    }

    /// The word of the kind.
    pub fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("connect", |(_, word)| word)
    }
}
