//! In: text that may hold anything a config held. Out: text for XML and HTML, for element content and attributes alike.

use super::visible;

/// Escaped for XML 1.0 and HTML. Characters that XML 1.0 does not know are shown as pictures, as everywhere.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML 1.0, 2.2: noncharacters are no characters.
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}
