//! In: a file of the report. Out: its path as platforms want it: below the top of the repository, `/` between names.

use crate::finding::Report;

/// The path of a label below the repository's top; what lies outside of it keeps its own path.
pub(super) fn in_repository(report: &Report, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let mut names: Vec<&str> = Vec::new();
    for name in report.folder.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    names.join("/")
}

/// The same as a URI reference (RFC 3986): relative without `./` in front, or `file:` where the path is absolute.
pub(super) fn uri(report: &Report, path: &str) -> String {
    let path = in_repository(report, path);
    let mut uri = String::with_capacity(path.len());
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            other => uri.extend(format!("%{other:02X}").chars()),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_at_the_top_of_the_repository() {
        let report = Report {
            folder: "sites/hq/".to_owned(),
            ..Report::default()
        };
        assert_eq!(in_repository(&report, "fw/a.rules"), "sites/hq/fw/a.rules");
        assert_eq!(in_repository(&report, "../lab/x"), "sites/lab/x");
        assert_eq!(
            in_repository(&report, "/etc/resolv.conf"),
            "/etc/resolv.conf"
        );
        assert_eq!(uri(&report, "a b#%:ä"), "sites/hq/a%20b%23%25%3A%C3%A4");
        assert_eq!(uri(&report, "/etc/a b"), "file:///etc/a%20b");
        assert_eq!(uri(&Report::default(), "./x"), "x");
    }
}
