//! In: text that may hold anything a config held. Out: text that a terminal shows as it stands.
//!
//! Control characters could move the cursor, set the title or hide text; characters that turn the writing direction
//! could show a rule as another one. They are shown as pictures or code points instead.

use std::borrow::Cow;

/// Text whose control characters are shown instead of obeyed; line feeds and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        push_visible(&mut shown, c);
    }
    Cow::Owned(shown)
}

/// The same on one line.
pub fn one_line(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    visible(&joined).into_owned()
}

/// Appends one character as it may be shown.
pub(super) fn push_visible(to: &mut String, c: char) {
    if !is_dangerous(c) {
        to.push(c);
        return;
    }
    match u32::from(c) {
        // The pictures of the C0 control characters stand in their order from U+2400.
        code @ 0..=0x1f => to.extend(char::from_u32(0x2400 + code)),
        0x7f => to.push('\u{2421}'),
        code => to.extend(format!("<U+{code:04X}>").chars()),
    }
}

/// Whether a terminal or a reader could be misled by the character.
pub(super) fn is_dangerous(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(
            c,
            '\u{061c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_not_sent() {
        assert_eq!(visible("a\u{1b}[31mb\u{7}"), "a␛[31mb␇");
        assert_eq!(visible("x\u{9b}2J"), "x<U+009B>2J");
        assert_eq!(visible("a\u{202e}b"), "a<U+202E>b");
        assert_eq!(visible("plain\ttext ä"), "plain\ttext ä");
        assert_eq!(one_line("a\n  b\r\n"), "a b");
    }
}
