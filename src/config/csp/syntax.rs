//! In: nothing. Out: the words of Content Security Policy: policies, directives, source expressions, each with the place
//! where the user wrote it.
//!
//! Names: CSP3, section 6 "Content Security Policy Directives"; grammar of sources: section 2.3.1 "Source Lists".

use crate::source::{Span, Spanned};

use super::text::Quoting;

/// One serialized policy: what stands between two commas of a header.
#[derive(Debug, Clone)]
pub(in crate::config) struct Policy {
    /// How the page gets it.
    pub(in crate::config) delivery: Delivery,
    /// Whether it blocks.
    pub(in crate::config) disposition: Disposition,
    /// Every directive, those too that have no effect.
    pub(in crate::config) directives: Vec<Directive>,
    /// From its first to its last character; empty for an empty one.
    pub(in crate::config) span: Span,
    /// What stands around the text.
    pub(in crate::config) quoting: Quoting,
    /// Whether it came after a comma of the same header or meta element.
    pub(in crate::config) after_comma: Option<Span>,
}

/// How a page gets a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Delivery {
    /// In a response header.
    Header,
    /// In a `<meta http-equiv>`.
    Meta,
}

/// What a violation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Disposition {
    /// The fetch is blocked.
    Enforce,
    /// It is only reported.
    ReportOnly,
}

/// One directive.
#[derive(Debug, Clone)]
pub(in crate::config) struct Directive {
    /// Its name.
    pub(in crate::config) name: Spanned<Name>,
    /// Its name as it is written.
    pub(in crate::config) written: String,
    /// Its value, token by token.
    pub(in crate::config) values: Vec<Token>,
    /// Name and value.
    pub(in crate::config) span: Span,
    /// Whether it counts.
    pub(in crate::config) fate: Fate,
}

/// Whether a directive counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum Fate {
    /// It does.
    InForce,
    /// An earlier one of the same name does.
    Duplicate(Span),
    /// It holds a character that browsers refuse, so it is dropped whole.
    Dropped(Spanned<char>),
    /// No browser knows the name.
    Unrecognised,
    /// It has no effect in a meta element.
    IgnoredInMeta,
    /// Its name is filled in by a template: it may be any directive, or several.
    Template,
    /// What stands here cannot be read; what is missing, completing "cannot tell without ...".
    Unread(String),
}

/// A token of a directive's value.
#[derive(Debug, Clone)]
pub(in crate::config) struct Token {
    /// As it is written, lossy.
    pub(in crate::config) text: String,
    /// What it means as a source expression.
    pub(in crate::config) source: Source,
    /// Where.
    pub(in crate::config) span: Span,
}

/// A source expression (CSP3, 2.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum Source {
    /// `*`.
    Star,
    /// `'none'`.
    None,
    /// `'self'`.
    Myself,
    /// Another quoted keyword.
    Keyword(Keyword),
    /// `'nonce-...'`, with its value.
    Nonce(String),
    /// `'sha256-...'` and its like.
    Hash(HashOf),
    /// `https:`, lower case, without the colon.
    Scheme(String),
    /// A host with what may stand around it.
    Host(Host),
    /// A template fills it in.
    Template,
    /// Matches nothing.
    Bad(Bad),
}

/// A host source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Host {
    /// Lower case, without the colon.
    pub(in crate::config) scheme: Option<String>,
    /// Begins with `*.`, or is `*`.
    pub(in crate::config) wildcard: bool,
    /// Lower case; what follows `*.`; empty for `*`.
    pub(in crate::config) name: String,
    /// The port.
    pub(in crate::config) port: Port,
    /// Decoded; `None` for none.
    pub(in crate::config) path: Option<Vec<u8>>,
    /// A query or a fragment follows the path: browsers cut it off.
    pub(in crate::config) cut: bool,
}

/// The port of a host source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Port {
    /// The scheme's own.
    Default,
    /// `:*`.
    Any,
    /// This one.
    Is(u32),
}

/// What a hash is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum HashOf {
    /// Of a script's or style's text.
    Content,
    /// Of a script's URL (`'url-sha256-...'`).
    Url,
    /// Of evaluated text (`'eval-sha256-...'`).
    Evaluated,
}

/// Why a source expression matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum Bad {
    /// `'blob:'`: the scheme without the quotes is what was meant.
    QuotedScheme(String),
    /// `'https://a.example'`.
    QuotedHost(String),
    /// Quoted like a keyword, but no keyword.
    UnknownKeyword,
    /// In double quotes.
    DoubleQuoted(String),
    /// `static.*.example`, `*example`.
    Wildcard,
    /// `[::1]`.
    Ipv6,
    /// Not a number.
    Port,
    /// `https://h?query`, `https://h#x`: a query without a path.
    QueryWithoutPath,
    /// Anything else that is no host name.
    Malformed,
}

/// Names of fixed words, each with its spelling.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::config) enum $name { $($(#[$variant_doc])* $variant,)* }
        impl $name {
            /// Every one with its spelling.
            pub(in crate::config) const WORDS: &'static [(Self, &'static str)] = &[$((Self::$variant, $word),)*];

            /// The one that is spelt so; the text is lower case.
            pub(in crate::config) fn from_word(word: &str) -> Option<Self> {
                Self::WORDS.iter().find(|(_, known)| *known == word).map(|(name, _)| *name)
            }
        }
    };
}

words! {
    /// A keyword; its spelling is without the quotes.
    Keyword {
        /// Inline scripts, handlers and styles.
        UnsafeInline => "unsafe-inline",
        /// `eval`, and WebAssembly too.
        UnsafeEval => "unsafe-eval",
        /// WebAssembly only.
        WasmUnsafeEval => "wasm-unsafe-eval",
        /// An early name of it that no browser honours on web pages.
        WasmEval => "wasm-eval",
        /// `eval` of trusted types only.
        TrustedTypesEval => "trusted-types-eval",
        /// Scripts that trusted scripts load.
        StrictDynamic => "strict-dynamic",
        /// Hashes count for handlers too.
        UnsafeHashes => "unsafe-hashes",
        /// Samples in reports.
        ReportSample => "report-sample",
        /// Speculation rules.
        InlineSpeculationRules => "inline-speculation-rules",
        /// As `'strict-dynamic'`, for hashes of URLs.
        StrictDynamicUrl => "strict-dynamic-url",
        /// Hashes in reports.
        ReportSha256 => "report-sha256",
        /// Hashes in reports.
        ReportSha384 => "report-sha384",
        /// Hashes in reports.
        ReportSha512 => "report-sha512",
    }
}

words! {
    /// The name of a directive that browsers know, or knew.
    Known {
        /// Where scripts may connect.
        ConnectSrc => "connect-src",
        /// What decides for every fetch directive that is not set.
        DefaultSrc => "default-src",
        /// Scripts, workers, evaluation.
        ScriptSrc => "script-src",
        /// Script elements, and what is loaded like them.
        ScriptSrcElem => "script-src-elem",
        /// Event handler attributes.
        ScriptSrcAttr => "script-src-attr",
        /// Workers.
        WorkerSrc => "worker-src",
        /// Frames and workers.
        ChildSrc => "child-src",
        /// Frames.
        FrameSrc => "frame-src",
        /// Images.
        ImgSrc => "img-src",
        /// Audio and video.
        MediaSrc => "media-src",
        /// Fonts.
        FontSrc => "font-src",
        /// Styles.
        StyleSrc => "style-src",
        /// Style elements and links.
        StyleSrcElem => "style-src-elem",
        /// Style attributes.
        StyleSrcAttr => "style-src-attr",
        /// The web app manifest.
        ManifestSrc => "manifest-src",
        /// Plugins.
        ObjectSrc => "object-src",
        /// Prefetching.
        PrefetchSrc => "prefetch-src",
        /// Fenced frames.
        FencedFrameSrc => "fenced-frame-src",
        /// The document's base URL.
        BaseUri => "base-uri",
        /// Form targets.
        FormAction => "form-action",
        /// Who may frame the page.
        FrameAncestors => "frame-ancestors",
        /// A sandbox around the page.
        Sandbox => "sandbox",
        /// `http:` becomes `https:` before it is fetched.
        UpgradeInsecureRequests => "upgrade-insecure-requests",
        /// No mixed content; obsolete.
        BlockAllMixedContent => "block-all-mixed-content",
        /// Plain strings are refused where scripts are loaded.
        RequireTrustedTypesFor => "require-trusted-types-for",
        /// Which Trusted Types policies may be made.
        TrustedTypes => "trusted-types",
        /// Where reports go; obsolete.
        ReportUri => "report-uri",
        /// Where reports go.
        ReportTo => "report-to",
        /// Peer connections; no browser honours it.
        Webrtc => "webrtc",
        /// Plugin types; obsolete.
        PluginTypes => "plugin-types",
        /// Subresource integrity; obsolete.
        RequireSriFor => "require-sri-for",
        /// Navigation; obsolete.
        NavigateTo => "navigate-to",
        /// Referrer; obsolete.
        Referrer => "referrer",
        /// The address space of the page.
        TreatAsPublicAddress => "treat-as-public-address",
    }
}

/// A directive's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Name {
    /// A known one.
    Known(Known),
    /// None that a browser knows.
    Unrecognised,
}

impl Known {
    /// Its spelling.
    pub(in crate::config) fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(name, _)| *name == self)
            .map_or("default-src", |(_, word)| word)
    }

    /// Whether its value is a list of sources.
    pub(in crate::config) fn takes_sources(self) -> bool {
        let word = self.word();
        word.ends_with("-src")
            || word.ends_with("-src-elem")
            || word.ends_with("-src-attr")
            || matches!(
                self,
                Self::BaseUri | Self::FormAction | Self::FrameAncestors | Self::NavigateTo
            )
    }
}

impl Policy {
    /// The directive of this name that counts.
    pub(in crate::config) fn directive(&self, name: Known) -> Option<&Directive> {
        self.directives.iter().find(|directive| {
            directive.fate == Fate::InForce && directive.name.value == Name::Known(name)
        })
    }
}

impl Directive {
    /// Whether a keyword stands in its list.
    pub(in crate::config) fn has(&self, keyword: Keyword) -> bool {
        self.keyword(keyword).is_some()
    }

    /// The token of a keyword.
    pub(in crate::config) fn keyword(&self, keyword: Keyword) -> Option<&Token> {
        self.values
            .iter()
            .find(|token| token.source == Source::Keyword(keyword))
    }
}
