//! In: one value of a `src` or `dst` list. Out: the addresses that it stands for, or why Squid refuses it.
//!
//! Follows `acl_ip_data::FactoryParse` (src/acl/Ip.cc): a cascade of `sscanf` patterns that ignore what follows them, an
//! address of fewer than four parts as `inet_aton` reads it, a netmask that counts its leading ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{Range, Ranges, address};

/// What a value stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// These addresses, one entry each.
    Sets(Vec<Ranges>),
    /// A host name: Squid resolves it when it starts, and refuses the file when that fails.
    Name,
    /// A form whose reading is not modelled.
    Odd,
}

/// Reads a value; `None` where Squid does not start.
pub(super) fn parse(text: &str) -> Option<Value> {
    let set = |ranges| Some(Value::Sets(vec![ranges]));
    match text {
        "all"
        | "0/0"
        | "0.0.0.0/0"
        | "0.0.0.0/0.0.0.0"
        | "0.0.0.0-255.255.255.255"
        | "0.0.0.0-0.0.0.0/0" => return set(Ranges::full()),
        // The mask of `ipv4` keeps the first 96 bits of `::`, so it takes no IPv4 client: they are `::ffff:a.b.c.d`.
        "ipv4" => return set(Ranges::between(0, 0xffff_ffff)),
        "ipv6" => {
            let blocks = [
                ("1000::", 4),
                ("2000::", 3),
                ("4000::", 2),
                ("8000::", 2),
                ("c000::", 3),
                ("e000::", 4),
                ("fc00::", 7),
                ("fe80::", 10),
            ];
            let sets = blocks
                .iter()
                .filter_map(|(base, bits)| {
                    let base: Ipv6Addr = base.parse().ok()?;
                    masked_range(u128::from(base), None, *bits)
                })
                .collect();
            return Some(Value::Sets(sets));
        }
        _ => {}
    }
    let four = |c: char| c.is_ascii_digit() || c == '.';
    let six = |c: char| c.is_ascii_hexdigit() || c == ':';
    if let Some((first, last, mask)) = scan(text, four, four) {
        return network(&first, last.as_deref(), mask.as_deref(), true)
            .map(|r| Value::Sets(vec![r]));
    }
    if let Some((first, last, mask)) = scan(text, six, |c| c.is_ascii_digit()) {
        return network(&first, last.as_deref(), mask.as_deref(), false)
            .map(|r| Value::Sets(vec![r]));
    }
    if text.contains('/') {
        let (host, _) = text.split_once('/').unwrap_or((text, ""));
        return host.parse::<IpAddr>().ok().map(|_| Value::Odd);
    }
    if let Some(ip) = numeric(text) {
        return set(Ranges::one(ip));
    }
    // What getaddrinfo could resolve; anything else fails at once.
    let name = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    name.then_some(Value::Name)
}

type Scanned = (String, Option<String>, Option<String>);

/// `A-B/M`, `A-B`, `A/M`, `A/`, in that order; what follows is ignored.
fn scan(
    text: &str,
    address: impl Fn(char) -> bool + Copy,
    mask: impl Fn(char) -> bool + Copy,
) -> Option<Scanned> {
    let (first, rest) = take(text, address)?;
    if let Some((last, rest)) = rest.strip_prefix('-').and_then(|rest| take(rest, address)) {
        let mask = rest
            .strip_prefix('/')
            .and_then(|rest| take(rest, mask))
            .map(|(mask, _)| mask.to_owned());
        return Some((first.to_owned(), Some(last.to_owned()), mask));
    }
    let rest = rest.strip_prefix('/')?;
    if let Some((mask, _)) = take(rest, mask) {
        return Some((first.to_owned(), None, Some(mask.to_owned())));
    }
    (!rest.is_empty()).then(|| (first.to_owned(), None, None))
}

/// The longest prefix of the class, which must not be empty.
fn take(text: &str, class: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|c| !class(c)).unwrap_or(text.len());
    if end == 0 {
        return None;
    }
    text.split_at_checked(end)
}

fn network(first: &str, last: Option<&str>, mask: Option<&str>, four: bool) -> Option<Ranges> {
    let first = numeric(first)?;
    let last = match last {
        Some(last) => Some(numeric(last)?),
        None => None,
    };
    let bits = match mask {
        None => 128,
        // A mask without a leading one masks nothing (seen with 5.7): `1.2.3.4/0` is that address alone.
        Some(mask) => match mask_bits(mask, four)? {
            96 if four => 128,
            0 => 128,
            bits => bits,
        },
    };
    masked_range(first, last, bits)
}

/// `DecodeMask`, as a length of 128 bits.
fn mask_bits(mask: &str, four: bool) -> Option<u8> {
    if mask.bytes().all(|byte| byte.is_ascii_digit()) {
        let bits: u8 = mask.parse().ok().filter(|bits| *bits <= 128)?;
        return if four {
            (bits <= 32).then_some(bits + 96)
        } else {
            Some(bits)
        };
    }
    // Dotted: as many leading ones as there are, whatever follows them.
    let dotted = inet_aton(mask)?;
    u8::try_from(u32::from(dotted).leading_ones())
        .ok()
        .map(|ones| ones + 96)
}

/// First and last address under a mask. A reversed range is its first address only, since nothing lies within it.
fn masked_range(first: u128, last: Option<u128>, bits: u8) -> Option<Ranges> {
    let host = u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
    let low = first & !host;
    let any = [0, address(IpAddr::V4(Ipv4Addr::UNSPECIFIED))];
    let high = match last {
        Some(last) if !any.contains(&(last & !host)) => (last & !host) | host,
        Some(_) | None => low | host,
    };
    let high = if high < low { low | host } else { high };
    Range::new(low, high).map(Ranges::from)
}

/// An address without a lookup, as `getaddrinfo` reads it.
fn numeric(text: &str) -> Option<u128> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(u128::from);
    }
    inet_aton(text).map(|ip| address(IpAddr::V4(ip)))
}

/// One to four numbers, octal after `0`, hexadecimal after `0x`; the last one fills what is left (`inet_aton(3)`).
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let mut parts = Vec::new();
    for part in text.split('.') {
        let digits = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
        let value = match digits {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None if part.len() > 1 && part.starts_with('0') => u32::from_str_radix(part, 8).ok()?,
            None if part.bytes().all(|byte| byte.is_ascii_digit()) => part.parse().ok()?,
            None => return None,
        };
        parts.push(value);
    }
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 255) {
        return None;
    }
    let mut value = 0u32;
    for (index, part) in leading.iter().enumerate() {
        value |= part << (24 - 8 * index);
    }
    let room = 32 - 8 * leading.len();
    if room < 32 && *last >> room != 0 {
        return None;
    }
    Some(Ipv4Addr::from(value | last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<Ranges> {
        match parse(text)? {
            Value::Sets(mut sets) => sets.pop(),
            Value::Name | Value::Odd => None,
        }
    }

    fn net(text: &str) -> Option<Ranges> {
        text.parse().ok().map(Ranges::network)
    }

    #[test]
    fn values_read_as_squid_reads_them() {
        assert_eq!(one("10.1.2.3/8"), net("10.0.0.0/8"));
        assert_eq!(one("10.0.0.0/8abc"), net("10.0.0.0/8"));
        assert_eq!(one("10.0.0.0/255.0.255.0"), net("10.0.0.0/8"));
        assert_eq!(one("10/8"), net("0.0.0.0/8"));
        assert_eq!(one("10.1"), net("10.0.0.1/32"));
        assert_eq!(one("0.0.0.0/0-0.255.255.255"), net("0.0.0.0/32"));
        assert_eq!(one("1.2.3.4/0"), net("1.2.3.4/32"));
        assert_eq!(one("1.2.3.4/0.0.0.255"), net("1.2.3.4/32"));
        assert_eq!(
            one("1.2.3.4-1.2.3.9/0"),
            Some(Ranges::between(
                address("1.2.3.4".parse().unwrap()),
                address("1.2.3.9".parse().unwrap())
            ))
        );
        assert_eq!(one("::1/0"), net("::1/128"));
        assert_eq!(one("fe80::/10"), net("fe80::/10"));
        assert_eq!(one("10.0.0.9-10.0.0.1"), net("10.0.0.9/32"));
        assert_eq!(one("10.0.0.0-10.1.0.0/16"), net("10.0.0.0/15"));
        assert_eq!(one("all"), Some(Ranges::full()));
    }

    #[test]
    fn what_squid_refuses_is_none() {
        for text in ["300.1.1.1/24", "10.0.0.0/40", "10.0.0.1,10.0.0.2", "/8", ""] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("proxy.example"), Some(Value::Name));
    }
}
