//! In: a directive's name that no browser knows. Out: the one that was meant.

use super::syntax::Known;

/// What a misspelt name was meant to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meant {
    /// The directive; `None` for a header's name that does not belong there.
    pub(super) name: Option<Known>,
    /// What stands in the name and belongs to the value.
    pub(super) value: Option<String>,
}

/// What was meant, where a guess is safe.
pub(super) fn meant(written: &str) -> Option<Meant> {
    let lower = written.to_ascii_lowercase();
    let header = lower.trim_end_matches(':');
    if matches!(
        header,
        "content-security-policy" | "content-security-policy-report-only"
    ) {
        return Some(Meant {
            name: None,
            value: None,
        });
    }
    let bare = lower
        .strip_prefix("content=")
        .unwrap_or(&lower)
        .trim_start_matches(['"', '\'', '‘', '’', '“', '”', '\u{feff}', '\u{200b}']);
    let plain = bare.trim_end_matches([':', '=', '"', '\'', '’', '”', ',', '\u{200b}']);
    if let Some(name) = spelt(plain) {
        return Some(Meant {
            name: Some(name),
            value: None,
        });
    }
    // `connect-src=https://a`, `connect-src:https://a`: lower-casing the value changes no source but a nonce or hash.
    let (name, value) = plain.split_once([':', '='])?;
    let value = value.trim_start_matches(['"', '=']);
    (!value.starts_with('\'') && !value.is_empty())
        .then_some(())
        .and_then(|()| spelt(name))
        .map(|name| Meant {
            name: Some(name),
            value: Some(value.to_owned()),
        })
}

fn spelt(name: &str) -> Option<Known> {
    let hyphened = name.replace(['_', '.'], "-");
    let exact = |name: &str| Known::from_word(name).filter(|known| known.takes_sources());
    exact(name)
        .or_else(|| Known::from_word(name))
        .or_else(|| exact(&hyphened))
        .or_else(|| exact(&format!("{hyphened}-src")))
        .or_else(|| {
            Known::WORDS
                .iter()
                .filter(|(known, _)| known.takes_sources())
                .map(|(known, word)| (distance(&hyphened, word), *known))
                .filter(|(distance, _)| *distance <= 2)
                .min_by_key(|(distance, _)| *distance)
                .map(|(_, known)| known)
        })
}

/// How many characters must be added, removed or changed; large where the lengths differ by more than two.
fn distance(left: &str, right: &str) -> usize {
    if left.len().abs_diff(right.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, a) in left.bytes().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(right.bytes()) {
            let changed = diagonal + usize::from(a != b);
            diagonal = *cell;
            before = changed.min(*cell + 1).min(before + 1);
            *cell = before;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_recognised() {
        for (written, name, value) in [
            ("connect-src:", Some(Known::ConnectSrc), None),
            ("content=\"connect-src", Some(Known::ConnectSrc), None),
            ("connect_src", Some(Known::ConnectSrc), None),
            ("conect-src", Some(Known::ConnectSrc), None),
            ("script", Some(Known::ScriptSrc), None),
            (
                "connect-src=https://a.test",
                Some(Known::ConnectSrc),
                Some("https://a.test"),
            ),
            ("Content-Security-Policy:", None, None),
            ("connectSrc", Some(Known::ConnectSrc), None),
        ] {
            let meant = meant(written).unwrap_or_else(|| panic!("{written}"));
            assert_eq!(meant.name, name, "{written}");
            assert_eq!(meant.value.as_deref(), value, "{written}");
        }
        for written in ["https://b.test", "x", "'self'", "foo-bar", "é"] {
            assert_eq!(meant(written), None, "{written}");
        }
    }
}
