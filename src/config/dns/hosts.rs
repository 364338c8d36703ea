//! In: a file like /etc/hosts. Out: its names with their addresses.
//!
//! `ADDRESS NAME NAME ...`, `#` starts a comment anywhere, lines without an address are skipped (hosts(5)).

use std::net::IpAddr;

use crate::source::{FileId, Span};

/// A name with an address that is answered as it stands.
#[derive(Debug, Clone)]
pub(in crate::config) struct HostEntry {
    /// Lower case, no final dot.
    pub(in crate::config) name: String,
    /// Its address.
    pub(in crate::config) address: IpAddr,
    /// Its line.
    pub(in crate::config) span: Span,
}

/// Reads a hosts file.
pub(in crate::config) fn hosts(file: FileId, bytes: &[u8]) -> Vec<HostEntry> {
    let mut entries = Vec::new();
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let span = Span::new(file, start, start + line.trim_ascii_end().len());
        start += line.len();
        let text = String::from_utf8_lossy(line);
        let text = text.split('#').next().unwrap_or_default();
        let mut words = text.split_ascii_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
            continue;
        };
        entries.extend(words.map(|name| HostEntry {
            name: name.trim_end_matches('.').to_ascii_lowercase(),
            address,
            span,
        }));
    }
    entries
}
