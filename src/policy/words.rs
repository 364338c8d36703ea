//! In: sets and templates. Out: words for messages: merged CIDRs, lists with "and n more", filled placeholders.

use crate::model::{Ranges, to_address};

/// The CIDRs that cover exactly these addresses, ascending.
pub(crate) fn cidrs(ranges: &Ranges) -> Vec<String> {
    cidrs_up_to(ranges, usize::MAX)
}

fn cidrs_up_to(ranges: &Ranges, limit: usize) -> Vec<String> {
    let mut words = Vec::new();
    for range in ranges.ranges() {
        let mut low = Some(range.low());
        while let Some(start) = low
            && start <= range.high()
            && words.len() < limit
        {
            // The largest aligned block that starts here and ends within the range.
            let mut bits = start.trailing_zeros().min(127);
            while bits > 0 && block_end(start, bits) > range.high() {
                bits -= 1;
            }
            let address = to_address(start);
            let length = if address.is_ipv4() { 32 } else { 128 };
            words.push(if bits == 0 {
                address.to_string()
            } else {
                format!("{address}/{}", length - bits.min(length))
            });
            low = block_end(start, bits).checked_add(1);
        }
    }
    words
}

fn block_end(start: u128, bits: u32) -> u128 {
    start | ((1u128 << bits) - 1)
}

/// At most three CIDRs and how many more; `all IPv4 addresses` and the like where that is what they are.
pub(super) fn addresses(ranges: &Ranges) -> String {
    if Ranges::ipv4().is_subset(ranges) {
        let six = Ranges::ipv6().is_subset(ranges);
        return if six {
            "all addresses"
        } else {
            "all IPv4 addresses"
        }
        .to_owned();
    }
    few(&cidrs_up_to(ranges, 10_000))
}

/// At most three words and how many more: `a, b, c and 2 more`.
pub(crate) fn few(words: &[impl AsRef<str>]) -> String {
    let shown: Vec<&str> = words.iter().take(3).map(AsRef::as_ref).collect();
    let more = words.len().saturating_sub(3);
    if more == 0 {
        listed(&shown)
    } else {
        format!("{} and {more} more", shown.join(", "))
    }
}

/// As [`few`], and what all begin with is said once: `CONNECT to a:443, b:443 and c:443`.
pub(super) fn few_alike(words: &[&str]) -> String {
    let [first, rest @ ..] = words else {
        return String::new();
    };
    let shared = |word: &&str| {
        let same = first.bytes().zip(word.bytes());
        same.take_while(|(left, right)| left == right).count()
    };
    let common = rest.iter().map(shared).min().unwrap_or(0);
    // Whole words only.
    let common = first.get(..common).and_then(|text| text.rfind(' '));
    let cut = common.map_or(0, |blank| blank + 1);
    let short = rest.iter().map(|word| word.get(cut..).unwrap_or(word));
    few(&std::iter::once(*first).chain(short).collect::<Vec<_>>())
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(words: &[impl AsRef<str>]) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

/// A template with its `{placeholders}` filled; one without a value stays as it is.
pub(super) fn filled(template: &str, values: &[(&str, String)]) -> String {
    values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> Ranges {
        words.iter().fold(Ranges::empty(), |all, word| {
            all.union(&super::super::parameters::network(word).unwrap())
        })
    }

    #[test]
    fn cidrs_are_merged_and_exact() {
        assert_eq!(
            cidrs(&set(&["10.0.0.0/9", "10.128.0.0/9", "192.0.2.1"])),
            ["10.0.0.0/8", "192.0.2.1"]
        );
        assert_eq!(cidrs(&set(&["::/1", "8000::/1"])), ["::/1", "8000::/1"]);
        assert_eq!(cidrs(&set(&["2001:db8::/32"])), ["2001:db8::/32"]);
        assert_eq!(cidrs(&set(&["0.0.0.0/0"])), ["0.0.0.0/0"]);
        let odd = set(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(cidrs(&odd), ["10.0.0.1", "10.0.0.2/31"]);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(few(&["a", "b"]), "a and b");
        assert_eq!(few(&["a", "b", "c", "d"]), "a, b, c and 1 more");
        assert_eq!(addresses(&set(&["0.0.0.0/0"])), "all IPv4 addresses");
    }

    #[test]
    fn what_all_begin_with_is_said_once() {
        assert_eq!(few_alike(&[]), "");
        assert_eq!(few_alike(&["to a:1"]), "to a:1");
        assert_eq!(few_alike(&["to a:1", "to b:1"]), "to a:1 and b:1");
        assert_eq!(few_alike(&["A of x", "AAAA of x"]), "A of x and AAAA of x");
    }

    #[test]
    fn templates_are_filled() {
        let values = [("to", "x".to_owned()), ("region", "y".to_owned())];
        assert_eq!(
            filled("{to} for {region} {other}", &values),
            "x for y {other}"
        );
    }
}
