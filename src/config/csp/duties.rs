//! In: a kind of resource. Out: what a browser asks a policy before it loads or runs it.
//!
//! Order and fallbacks: CSP3, 6.8.1 "Get the effective directive for request" and 6.8.3 "Get fetch directive fallback
//! list"; what evaluation asks: 4.5 and 4.6; Trusted Types: that specification, 3.3. Chromium's answers hold.

use crate::model::Resource;

use super::reach::Upgrade;
use super::syntax::{Directive, Fate, Known, Name, Policy};

/// One question that a browser puts to a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// May scripts run at all (`sandbox`)?
    Scripts,
    /// May a plain string be handed to something that loads or runs script?
    PlainString,
    /// May a plain string be evaluated?
    PlainEval,
    /// May a worker start from a `blob:` URL?
    BlobWorker,
    /// May this URL be loaded for this use?
    Load(Use),
    /// May this inline text run or apply?
    Inline(Inline),
    /// May text be evaluated?
    Eval,
    /// May WebAssembly be compiled?
    Wasm,
}

/// What a URL is loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// `fetch`, `WebSocket` and friends.
    Connect,
    /// A worker.
    Worker,
    /// A script that another script loads.
    Script,
    /// A script element in the page's own markup.
    ParsedScript,
    /// A stylesheet.
    Style,
    /// An image.
    Img,
    /// Audio or video.
    Media,
    /// A font.
    Font,
    /// A frame.
    Frame,
    /// The manifest.
    Manifest,
}

/// Inline text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inline {
    /// A script element that a script made.
    Script,
    /// A script element in the page's own markup.
    ParsedScript,
    /// An event handler attribute.
    Handler,
    /// A style element.
    Style,
}

/// Every question, in the order in which it is asked, with the resources that raise it.
pub(super) const DUTIES: &[(Duty, &[Resource])] = &[
    (
        Duty::Scripts,
        &[
            Resource::Connect,
            Resource::Script,
            Resource::Module,
            Resource::Worker,
            Resource::WorkerWasm,
            Resource::WorkerConnect,
            Resource::WorkerEval,
            Resource::WorkerImport,
            Resource::Worklet,
            Resource::WorkletWasm,
            Resource::Wasm,
            Resource::WasmStreaming,
            Resource::Eval,
            Resource::ScriptTag,
            Resource::InlineScript,
            Resource::InlineTag,
            Resource::InlineHandler,
        ],
    ),
    (
        Duty::PlainString,
        &[
            Resource::Script,
            Resource::Module,
            Resource::Worker,
            Resource::WorkerWasm,
            Resource::WorkerConnect,
            Resource::WorkerEval,
            Resource::WorkerImport,
            Resource::InlineScript,
            Resource::InlineHandler,
        ],
    ),
    (Duty::PlainEval, &[Resource::Eval]),
    (
        Duty::BlobWorker,
        &[
            Resource::WorkerWasm,
            Resource::WorkerConnect,
            Resource::WorkerEval,
            Resource::WorkerImport,
        ],
    ),
    (Duty::Load(Use::Worker), &[Resource::Worker]),
    (
        Duty::Load(Use::Script),
        &[
            Resource::Script,
            Resource::Module,
            Resource::Worklet,
            Resource::WorkletWasm,
            Resource::WorkerImport,
        ],
    ),
    (Duty::Load(Use::ParsedScript), &[Resource::ScriptTag]),
    (
        Duty::Load(Use::Connect),
        &[
            Resource::Connect,
            Resource::WorkerConnect,
            Resource::WasmStreaming,
        ],
    ),
    (Duty::Load(Use::Style), &[Resource::Style]),
    (Duty::Load(Use::Img), &[Resource::Img]),
    (Duty::Load(Use::Media), &[Resource::Media]),
    (Duty::Load(Use::Font), &[Resource::Font]),
    (Duty::Load(Use::Frame), &[Resource::Frame]),
    (Duty::Load(Use::Manifest), &[Resource::Manifest]),
    (Duty::Inline(Inline::Script), &[Resource::InlineScript]),
    (Duty::Inline(Inline::ParsedScript), &[Resource::InlineTag]),
    (Duty::Inline(Inline::Handler), &[Resource::InlineHandler]),
    (Duty::Inline(Inline::Style), &[Resource::InlineStyle]),
    (Duty::Eval, &[Resource::Eval, Resource::WorkerEval]),
    (
        Duty::Wasm,
        &[
            Resource::Wasm,
            Resource::WorkerWasm,
            Resource::WorkletWasm,
            Resource::WasmStreaming,
        ],
    ),
];

impl Duty {
    /// The directives that may decide, most special first.
    pub(super) fn chain(self) -> &'static [Known] {
        match self {
            Self::Scripts => &[Known::Sandbox],
            Self::PlainString | Self::PlainEval => &[Known::RequireTrustedTypesFor],
            Self::BlobWorker | Self::Load(Use::Worker) => &[
                Known::WorkerSrc,
                Known::ChildSrc,
                Known::ScriptSrc,
                Known::DefaultSrc,
            ],
            Self::Load(Use::Script | Use::ParsedScript)
            | Self::Inline(Inline::Script | Inline::ParsedScript) => {
                &[Known::ScriptSrcElem, Known::ScriptSrc, Known::DefaultSrc]
            }
            Self::Inline(Inline::Handler) => {
                &[Known::ScriptSrcAttr, Known::ScriptSrc, Known::DefaultSrc]
            }
            Self::Load(Use::Style) | Self::Inline(Inline::Style) => {
                &[Known::StyleSrcElem, Known::StyleSrc, Known::DefaultSrc]
            }
            Self::Load(Use::Connect) => &[Known::ConnectSrc, Known::DefaultSrc],
            Self::Load(Use::Img) => &[Known::ImgSrc, Known::DefaultSrc],
            Self::Load(Use::Media) => &[Known::MediaSrc, Known::DefaultSrc],
            Self::Load(Use::Font) => &[Known::FontSrc, Known::DefaultSrc],
            Self::Load(Use::Frame) => &[Known::FrameSrc, Known::ChildSrc, Known::DefaultSrc],
            Self::Load(Use::Manifest) => &[Known::ManifestSrc, Known::DefaultSrc],
            Self::Eval | Self::Wasm => &[Known::ScriptSrc, Known::DefaultSrc],
        }
    }

    /// How `upgrade-insecure-requests` changes the URL before the policy is asked: elements' before, those of `fetch`
    /// and of media are asked about as they are and once more after it (measured in Chromium).
    pub(super) fn upgrade(self) -> Upgrade {
        match self {
            Self::Load(Use::Connect | Use::Media) => Upgrade::Both,
            Self::Load(_) => Upgrade::Before,
            Self::Scripts
            | Self::PlainString
            | Self::PlainEval
            | Self::BlobWorker
            | Self::Inline(_)
            | Self::Eval
            | Self::Wasm => Upgrade::Never,
        }
    }

    /// Whether what is loaded or run is script, for `'strict-dynamic'` and hashes of URLs.
    pub(super) fn is_script(self) -> bool {
        match self {
            Self::BlobWorker
            | Self::Load(Use::Worker | Use::Script | Use::ParsedScript)
            | Self::Inline(Inline::Script | Inline::ParsedScript | Inline::Handler) => true,
            Self::Scripts
            | Self::PlainString
            | Self::PlainEval
            | Self::Load(_)
            | Self::Inline(Inline::Style)
            | Self::Eval
            | Self::Wasm => false,
        }
    }

    /// Whether the page's own script makes the request, so that `'strict-dynamic'` trusts it.
    pub(super) fn made_by_script(self) -> bool {
        self.is_script()
            && !matches!(
                self,
                Self::Load(Use::ParsedScript)
                    | Self::Inline(Inline::ParsedScript | Inline::Handler)
            )
    }
}

/// Which directive answers, and what may change that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operative<'p> {
    /// The directive; `None`: none is set, so everything is allowed.
    pub(super) directive: Option<&'p Directive>,
    /// A template before it may set a more special one, or it itself, otherwise.
    pub(super) template: Option<&'p Directive>,
    /// Whether it is not the most special one of the chain.
    pub(super) is_fallback: bool,
}

/// The directive of a policy that answers a question.
pub(super) fn operative(policy: &Policy, duty: Duty) -> Operative<'_> {
    let template = policy
        .directives
        .iter()
        .enumerate()
        .find(|(_, directive)| matches!(directive.fate, Fate::Template | Fate::Unread(_)));
    let mut overridden = None;
    for (rank, name) in duty.chain().iter().enumerate() {
        // A dropped directive keeps its place: a template after it cannot set it any more.
        let found = policy.directives.iter().enumerate().find(|(_, directive)| {
            directive.name.value == Name::Known(*name)
                && matches!(directive.fate, Fate::InForce | Fate::Dropped(_))
        });
        if let Some((place, hole)) = template
            && found.is_none_or(|(at, _)| at > place)
        {
            overridden = overridden.or(Some(hole));
        }
        if let Some((_, directive)) = found
            && directive.fate == Fate::InForce
        {
            return Operative {
                directive: Some(directive),
                template: overridden,
                is_fallback: rank > 0,
            };
        }
    }
    Operative {
        directive: None,
        template: overridden,
        is_fallback: false,
    }
}
