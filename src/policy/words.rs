//! In: sets and templates. Out: words for messages: merged CIDRs, lists with "+n more", filled placeholders.

use crate::model::{Ranges, to_address};

/// The CIDRs that cover exactly these addresses, ascending.
pub(super) fn cidrs(ranges: &Ranges) -> Vec<String> {
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

/// At most three words and how many more.
pub(super) fn few(words: &[impl AsRef<str>]) -> String {
    let shown: Vec<&str> = words.iter().take(3).map(AsRef::as_ref).collect();
    let more = words.len().saturating_sub(3);
    if more == 0 {
        listed(&shown)
    } else {
        format!("{} +{more} more", shown.join(", "))
    }
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
        assert_eq!(few(&["a", "b", "c", "d"]), "a, b, c +1 more");
        assert_eq!(addresses(&set(&["0.0.0.0/0"])), "all IPv4 addresses");
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
