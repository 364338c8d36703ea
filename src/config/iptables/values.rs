//! In: one argument of an option. Out: its value, exactly, or nothing where the real program would not take it.
//!
//! Numbers are read as `strtoul` reads them (`0x` and a leading `0` change the base), addresses as iptables' `xtables.c`
//! does: host bits are masked off, masks may be dotted and need not be contiguous.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::names;
use crate::model::{Family, Range, Ranges};

/// How many ranges a mask with holes may take before it counts as unknown.
const MASK_RANGES: u32 = 4096;

/// Why an address is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAddress {
    /// A host name: it is looked up when the rules are loaded.
    Name,
    /// An address of the other family.
    OtherFamily,
    /// Neither.
    Wrong,
    /// A mask with so many holes that the set is not worked out.
    TooManyHoles,
}

/// A network as `-s` and `-d` take it, without commas.
pub(super) fn network(text: &[u8], family: Family) -> Result<Ranges, NoAddress> {
    let (host, mask) = match memchr::memchr(b'/', text) {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            Some(text.get(at + 1..).unwrap_or_default()),
        ),
        None => (text, None),
    };
    match family {
        Family::V4 => {
            let mask = match mask {
                None => u32::MAX,
                Some(mask) => mask_v4(mask).ok_or(NoAddress::Wrong)?,
            };
            // "any/0": with an empty mask the name is not looked at.
            let address = match v4(host) {
                Some(address) => address,
                None if mask == 0 => 0,
                None => return Err(no_address(host, family)),
            };
            let (base, bits) = (u128::from(address & mask), u128::from(mask));
            let low = crate::model::address(Ipv4Addr::from(address & mask).into());
            masked(low, base, bits, 32)
        }
        Family::V6 => {
            let mask = match mask {
                None => u128::MAX,
                Some(mask) => mask_v6(mask).ok_or(NoAddress::Wrong)?,
            };
            let address = match v6(host) {
                Some(address) => address,
                None if mask == 0 => 0,
                None => return Err(no_address(host, family)),
            };
            masked(address & mask, address & mask, mask, 128)
        }
    }
}

fn no_address(host: &[u8], family: Family) -> NoAddress {
    let other = match family {
        Family::V4 => v6(host).is_some(),
        Family::V6 => v4(host).is_some(),
    };
    if other {
        NoAddress::OtherFamily
    } else if is_host_name(host) {
        NoAddress::Name
    } else {
        NoAddress::Wrong
    }
}

fn is_host_name(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_alphabetic)
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        && !text.starts_with(b"-")
}

/// The numbers that agree with `base` where `mask` has ones; `low` is `base` on the number line.
fn masked(low: u128, base: u128, mask: u128, width: u32) -> Result<Ranges, NoAddress> {
    let all = if width == 128 {
        u128::MAX
    } else {
        (1 << width) - 1
    };
    let free = !mask & all;
    let line = low ^ base;
    let tail = free.trailing_ones().min(width);
    let run = if tail >= 128 {
        u128::MAX
    } else {
        (1u128 << tail) - 1
    };
    let holes = free & !run;
    if holes == 0 {
        return Ok(Ranges::between(line | base, line | base | run));
    }
    let count = holes.count_ones();
    if count >= 32 || (1u32 << count) > MASK_RANGES {
        return Err(NoAddress::TooManyHoles);
    }
    // Every value of the free bits above the tail, in ascending order.
    let mut ranges = Vec::with_capacity(1 << count);
    let mut some = 0u128;
    loop {
        let start = line | base | some;
        ranges.extend(Range::new(start, start | run));
        some = (some | !holes).wrapping_add(1) & holes;
        if some == 0 {
            break;
        }
    }
    Ok(Ranges::from_unsorted(ranges))
}

/// A dotted address; fewer than four parts and other bases as `inet_aton` reads them.
pub(super) fn v4(text: &[u8]) -> Option<u32> {
    let mut parts = [0u64; 4];
    let mut count = 0;
    for part in text.split(|byte| *byte == b'.') {
        *parts.get_mut(count)? = number(part)?;
        count += 1;
    }
    let (&last, first) = parts.get(..count)?.split_last()?;
    let room = 8 * (5 - u32::try_from(count).ok()?);
    if last >= 1u64 << room {
        return None;
    }
    let mut address = 0u64;
    for (at, part) in first.iter().enumerate() {
        if *part > 255 {
            return None;
        }
        address |= part << (24 - 8 * at);
    }
    u32::try_from(address | last).ok()
}

pub(super) fn v6(text: &[u8]) -> Option<u128> {
    memchr::memchr(b':', text)?;
    let address: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(u128::from(address))
}

/// An address on the number line.
pub(super) fn address(text: &[u8], family: Family) -> Option<u128> {
    match family {
        Family::V4 => v4(text).map(|v4| crate::model::address(Ipv4Addr::from(v4).into())),
        Family::V6 => v6(text),
    }
}

fn mask_v4(text: &[u8]) -> Option<u32> {
    if memchr::memchr(b'.', text).is_some() {
        return v4(text);
    }
    let length = u32::try_from(number(text)?)
        .ok()
        .filter(|length| *length <= 32)?;
    Some(u32::MAX.checked_shl(32 - length).unwrap_or(0))
}

fn mask_v6(text: &[u8]) -> Option<u128> {
    if memchr::memchr(b':', text).is_some() {
        return v6(text);
    }
    let length = u32::try_from(number(text)?)
        .ok()
        .filter(|length| *length <= 128)?;
    Some(u128::MAX.checked_shl(128 - length).unwrap_or(0))
}

/// A number as `strtoul` with base 0 reads it.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let (radix, digits) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (16, digits),
        [b'0', digits @ ..] if !digits.is_empty() => (8, digits),
        digits => (10, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for byte in digits {
        let digit = u64::from(char::from(*byte).to_digit(radix)?);
        value = value.checked_mul(u64::from(radix))?.checked_add(digit)?;
    }
    Some(value)
}

/// A number of 32 bits.
pub(super) fn word(text: &[u8]) -> Option<u32> {
    u32::try_from(number(text)?).ok()
}

/// `value[/mask]`; without a mask every bit counts.
pub(super) fn value_mask(text: &[u8]) -> Option<(u32, u32)> {
    match memchr::memchr(b'/', text) {
        Some(at) => Some((word(text.get(..at)?)?, word(text.get(at + 1..)?)?)),
        None => Some((word(text)?, u32::MAX)),
    }
}

/// A protocol; 0 is every protocol.
pub(super) fn protocol(text: &[u8]) -> Option<u8> {
    match text {
        b"tcp" => Some(6),
        b"udp" => Some(17),
        _ => number(text)
            .and_then(|number| u8::try_from(number).ok())
            .or_else(|| names::protocol(text)),
    }
}

/// One port.
pub(super) fn port(text: &[u8], protocol: u8) -> Option<u16> {
    number(text)
        .and_then(|number| u16::try_from(number).ok())
        .or_else(|| names::service(text, protocol))
}

/// A range of ports with open ends: low and high, which may be reversed.
pub(super) fn ports(text: &[u8], protocol: u8) -> Option<(u16, u16)> {
    let Some(at) = memchr::memchr(b':', text) else {
        let one = port(text, protocol)?;
        return Some((one, one));
    };
    let (low, high) = (text.get(..at)?, text.get(at + 1..)?);
    Some((
        if low.is_empty() {
            0
        } else {
            port(low, protocol)?
        },
        if high.is_empty() {
            u16::MAX
        } else {
            port(high, protocol)?
        },
    ))
}

/// A range of numbers up to `limit`: `a`, `a:b`, `a:`, `:b`.
pub(super) fn range(text: &[u8], separator: u8, limit: u64) -> Option<(u64, u64)> {
    let one = |text: &[u8]| number(text).filter(|number| *number <= limit);
    let Some(at) = memchr::memchr(separator, text) else {
        let value = one(text)?;
        return Some((value, value));
    };
    let (low, high) = (text.get(..at)?, text.get(at + 1..)?);
    Some((
        if low.is_empty() { 0 } else { one(low)? },
        if high.is_empty() { limit } else { one(high)? },
    ))
}

/// A set from a range that may be reversed, which is empty then.
pub(super) fn between(low: impl Into<u128>, high: impl Into<u128>) -> Ranges {
    Ranges::between(low.into(), high.into())
}

/// A MAC address.
pub(super) fn mac(text: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    let mut parts = 0;
    for part in text.split(|byte| matches!(byte, b':' | b'-')) {
        if part.is_empty() || part.len() > 2 {
            return None;
        }
        for byte in part {
            value = value << 4 | u64::from(char::from(*byte).to_digit(16)?);
        }
        if part.len() == 1 {
            // `0:1:..`: the digit stands for two.
            value = value >> 4 << 8 | value & 0xf;
        }
        parts += 1;
    }
    (parts == 6).then_some(value)
}

/// TCP flags as `--tcp-flags` names them.
pub(super) fn tcp_flags(text: &[u8]) -> Option<u8> {
    let mut flags = 0;
    for name in text.split(|byte| *byte == b',') {
        flags |= match name.to_ascii_uppercase().as_slice() {
            b"FIN" => 0x01,
            b"SYN" => 0x02,
            b"RST" => 0x04,
            b"PSH" => 0x08,
            b"ACK" => 0x10,
            b"URG" => 0x20,
            b"ALL" => 0x3f,
            b"NONE" => 0,
            _ => return None,
        };
    }
    Some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_masked_off_and_masks_may_have_holes() {
        let set = |text: &str| network(text.as_bytes(), Family::V4);
        assert_eq!(set("99.77.190.9/18"), set("99.77.128.0/18"));
        assert_eq!(set("10.0.0.0/255.0.0.0"), set("10.0.0.0/8"));
        assert_eq!(set("0/0"), Ok(Ranges::ipv4()));
        assert_eq!(set("any/0"), Ok(Ranges::ipv4()));
        let holes = set("10.0.7.0/255.0.255.0").unwrap();
        assert_eq!(holes.count(), 256 * 256);
        assert!(holes.contains(address(b"10.200.7.9", Family::V4).unwrap()));
        assert!(!holes.contains(address(b"10.200.8.9", Family::V4).unwrap()));
        assert_eq!(set("1.0.0.1/128.0.0.1"), Err(NoAddress::TooManyHoles));
        assert_eq!(set("10.0.0.0/33"), Err(NoAddress::Wrong));
        assert_eq!(set("example.test"), Err(NoAddress::Name));
        assert_eq!(set("::1"), Err(NoAddress::OtherFamily));
        assert_eq!(v4(b"10.1"), Some(0x0a00_0001));
        assert_eq!(v4(b"010.1.1.1"), Some(0x0801_0101));
    }

    #[test]
    fn ipv6_networks_lie_on_the_same_line() {
        let set = network(b"2600:f0f0:4100::/40", Family::V6).unwrap();
        assert_eq!(set.count(), 1 << 88);
        assert_eq!(network(b"::/0", Family::V6), Ok(Ranges::full()));
        assert_eq!(
            network(b"10.0.0.1", Family::V6),
            Err(NoAddress::OtherFamily)
        );
    }

    #[test]
    fn arguments_are_read_as_iptables_reads_them() {
        assert_eq!(ports(b"3000:", 17), Some((3000, 65535)));
        assert_eq!(ports(b":5000", 17), Some((0, 5000)));
        assert_eq!(ports(b"5000:3000", 17), Some((5000, 3000)));
        assert_eq!(ports(b"https", 6), Some((443, 443)));
        assert_eq!(ports(b"3,4", 6), None);
        assert_eq!(ports(b"70000", 6), None);
        assert_eq!(value_mask(b"0x4000/0x4000"), Some((0x4000, 0x4000)));
        assert_eq!(mac(b"02:AA:00:00:00:1"), Some(0x02aa_0000_0001));
        assert_eq!(mac(b"02:AA:00:00:00"), None);
        assert_eq!(tcp_flags(b"SYN,ACK"), Some(0x12));
        assert_eq!(names::icmp(b"echo-req", false), Some((0x800, 0x8ff)));
        assert_eq!(names::icmp(b"destination", true), Some((0x100, 0x1ff)));
        assert_eq!(names::dscp_class(b"af41"), Some(34));
    }
}
