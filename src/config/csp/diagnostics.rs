//! In: nothing. Out: what a policy can report about itself, with the words of `explain`.

use crate::config::{Diagnostic, Level};

const fn diagnostic(
    id: &'static str,
    level: Level,
    title: &'static str,
    doc: &'static str,
) -> Diagnostic {
    Diagnostic {
        id,
        level,
        title,
        doc,
    }
}

/// Every one, in the order of the documentation.
pub(in crate::config) const DIAGNOSTICS: &[Diagnostic] = &[
    diagnostic(
        "csp/directive-name",
        Level::Error,
        "A directive is misspelt, so it has no effect",
        "A browser takes the text up to the first blank as the directive's name. `connect-src:`, `connect-src=https://a`, \
         `content=\"connect-src` or a header's name inside the value are names that no browser knows: the directive is \
         skipped without a word. What it was meant to restrict is then decided by `default-src`, or by nothing, which \
         allows everything; what it was meant to allow may be blocked by a directive that it should have overridden.\n\n\
         Write the plain name, then a blank, then the sources.",
    ),
    diagnostic(
        "csp/unknown-directive",
        Level::Warning,
        "A directive is not known to browsers",
        "Browsers skip directives that they do not know. After a comma this is often the rest of a source list, since a \
         comma ends the policy.\n\nRemove it, or correct its name.",
    ),
    diagnostic(
        "csp/missing-semicolon",
        Level::Error,
        "A semicolon is missing before a directive",
        "Directives are separated by semicolons only. Without one the next directive's name and all its sources become \
         sources of the directive before it: they widen that one, and the next directive is not set.\n\n\
         Put a semicolon before the name.",
    ),
    diagnostic(
        "csp/quoted-scheme",
        Level::Error,
        "A scheme stands in quotes, so it matches nothing",
        "Quotes are for keywords (`'self'`), nonces and hashes. A scheme is written without them: `blob:`. Chromium and \
         Firefox both take `'blob:'` as a source that matches nothing, so workers and modules from blobs stay blocked.\n\n\
         Remove the quotes.",
    ),
    diagnostic(
        "csp/quoted-source",
        Level::Error,
        "A source stands in quotes, so it matches nothing",
        "Quotes are for keywords (`'self'`), nonces and hashes, and they are single quotes. A host in quotes, or anything \
         in double quotes, matches nothing.\n\nRemove the quotes, or use single ones for a keyword.",
    ),
    diagnostic(
        "csp/unquoted-keyword",
        Level::Error,
        "A keyword without quotes is taken as a host name",
        "`self`, `none`, `unsafe-eval` and the like are keywords only inside single quotes. Without them they name a host: \
         `self` is the host `self`.\n\nPut the keyword into single quotes.",
    ),
    diagnostic(
        "csp/non-ascii",
        Level::Error,
        "A character makes the browser drop the whole directive",
        "A directive with a character outside ASCII, or with a control character, is dropped whole (CSP3, 2.2.1; Chromium \
         for control characters). Typical are curly quotes, no-break spaces and zero-width spaces that came with a copied \
         text, and host names that are not in punycode. What the directive restricted is then decided by `default-src` or \
         by nothing; later directives of its name are ignored all the same.\n\n\
         Replace the character by its ASCII form.",
    ),
    diagnostic(
        "csp/duplicate-directive",
        Level::Warning,
        "A directive is set twice; only the first counts",
        "Within one policy the first directive of a name counts and later ones are ignored (CSP3, 2.2.1).\n\n\
         Move the sources of the later one into the first.",
    ),
    diagnostic(
        "csp/comma",
        Level::Warning,
        "A comma ends the policy and starts another one",
        "In a header a comma separates policies, and a page may do only what every one of them allows. Sources are \
         separated by blanks, directives by semicolons. In a meta element Chromium splits at commas and Firefox does \
         not.\n\nRemove the comma.",
    ),
    diagnostic(
        "csp/none-with-others",
        Level::Warning,
        "`'none'` beside other sources is ignored",
        "`'none'` counts only where it stands alone. Beside other sources browsers ignore it and the others count.\n\n\
         Remove `'none'`, or the other sources.",
    ),
    diagnostic(
        "csp/empty-list",
        Level::Info,
        "A directive without sources allows nothing",
        "An empty source list means `'none'`. A value that is missing by accident (an unset variable, an attribute that a \
         quote ended early) blocks everything.\n\nWrite `'none'` if that is meant.",
    ),
    diagnostic(
        "csp/bad-source",
        Level::Warning,
        "A source matches nothing, or not what it looks like",
        "A host source is an optional scheme with `://`, a host that may begin with `*.`, an optional port, and an \
         optional path. A star elsewhere, an underscore, an IPv6 address, a port that is no number or a query without a \
         path make it invalid; a star in a path is a plain character; a scheme needs its colon.\n\n\
         Correct the source.",
    ),
    diagnostic(
        "csp/keyword-wrong-directive",
        Level::Warning,
        "A keyword has no effect in this directive",
        "Whether text may be evaluated and WebAssembly compiled is asked of `script-src`, or `default-src` where that is \
         not set, and of nothing else (CSP3, 4.5 and 4.6). `'unsafe-eval'` and `'wasm-unsafe-eval'` in `script-src-elem` \
         or `worker-src` do nothing. `'wasm-eval'` is honoured by no browser.\n\n\
         Put `'wasm-unsafe-eval'` into `script-src`.",
    ),
    diagnostic(
        "csp/meta-ignored",
        Level::Warning,
        "A meta element cannot set this",
        "A policy in a meta element counts only in the head, and there `frame-ancestors`, `report-uri` and `sandbox` are \
         ignored, and so is a report-only policy (CSP3, 3.3).\n\nSend it in a header.",
    ),
    diagnostic(
        "csp/obsolete-header",
        Level::Warning,
        "No browser reads this header any more",
        "`X-Content-Security-Policy` and `X-WebKit-CSP` were used before 2013.\n\n\
         Send `Content-Security-Policy`.",
    ),
    diagnostic(
        "csp/shadowed-header",
        Level::Warning,
        "A header set in a block drops the policy that is set outside of it",
        "nginx takes over the `add_header` lines of the level outside only where a block has none of its own. One \
         `add_header` for another header is enough to send responses from that block without the policy \
         (`add_header_inherit merge`, since 1.29.3, keeps both).\n\n\
         Repeat the policy's `add_header` in the block, or include one file with all headers in both places.",
    ),
    diagnostic(
        "csp/broken-carrier",
        Level::Error,
        "The file that sets the policy is refused by the program that reads it",
        "A server that cannot parse its config does not start, or answers every page with an error; a host or a tool for \
         infrastructure refuses to deploy it. The policy then reaches no page in the way that the file says. What could \
         be read of the rest is judged all the same, so that one run shows every mistake.\n\n\
         Correct the place that is marked; the program's own check (`apachectl configtest`, `caddy validate`, `haproxy -c`, \
         `terraform validate`) shows whether that was all.",
    ),
    diagnostic(
        "csp/trusted-types",
        Level::Warning,
        "Plain strings are refused where scripts and workers are loaded",
        "`require-trusted-types-for 'script'` makes `new Worker(url)` and `script.src = url` throw for plain strings, \
         unless the page makes a Trusted Types policy named `default`. Libraries that know nothing of Trusted Types then \
         start no worker and load no script.\n\n\
         Make a policy named `default` before the library is used, or send the directive in a report-only policy.",
    ),
    diagnostic(
        "csp/report-only",
        Level::Info,
        "The policy only reports",
        "A policy in `Content-Security-Policy-Report-Only` blocks nothing, so it passes every requirement.\n\n\
         Check it as `Content-Security-Policy` before you enforce it.",
    ),
];
