//! In: a request that does not pass. Out: the smallest lines that let it pass, for the clients that need it.
//!
//! Allowing a name takes `dstdomain -n` (without `-n` the owner of any address can name it so in reverse DNS and be
//! connected to), the port, CONNECT, and the source ACL of the clients, above the line that decided. A new ACL has a name
//! of its own, so it never overlaps the values of another one.

use super::acl::{Acl, Kind};
use super::lists::{Action, List, Mode, Rule};
use super::parse::{self, Config};
use crate::config::{Blocked, Edit, Facts, Fix, Input, NoFiles};
use crate::model::Ranges;
use crate::source::{Span, Spanned};

/// Edits for one requirement.
pub(super) fn fix(input: &Input<'_>, blocked: &Blocked<'_>) -> Vec<Fix> {
    let Some((TCP, port)) = blocked.service else {
        return Vec::new();
    };
    let domains = widest(blocked.domains);
    let (Some(place), false) = (blocked.decided_by, domains.is_empty()) else {
        return Vec::new();
    };
    let config = parse::parse(input, &NoFiles, &Facts::default());
    if config.refused.is_some() || place.file != input.file {
        return Vec::new();
    }
    let fixer = Fixer {
        input,
        config: &config,
        blocked,
        domains,
        port,
        place,
    };
    if fixer.line_of(List::SslBump).is_some() {
        return fixer.splice().into_iter().collect();
    }
    let mut fixes = fixer.values();
    fixes.extend(fixer.port_denied());
    fixes.extend(fixer.allow());
    fixes
}

const TCP: u8 = 6;

/// The domains without those below another one, without star and outer dots.
fn widest(domains: &[String]) -> Vec<String> {
    let mut bare: Vec<String> = domains
        .iter()
        .map(|domain| {
            domain
                .trim_start_matches("*.")
                .trim_matches('.')
                .to_ascii_lowercase()
        })
        .filter(|domain| !domain.is_empty())
        .collect();
    bare.sort_by_key(String::len);
    let mut kept: Vec<String> = Vec::new();
    for domain in bare {
        let covered = kept
            .iter()
            .any(|wide| domain == *wide || domain.ends_with(&format!(".{wide}")));
        if !covered {
            kept.push(domain);
        }
    }
    kept
}

struct Fixer<'a> {
    input: &'a Input<'a>,
    config: &'a Config,
    blocked: &'a Blocked<'a>,
    /// At least one.
    domains: Vec<String>,
    port: u16,
    /// The line that decided.
    place: Span,
}

impl Fixer<'_> {
    /// The rule of a list that decided.
    fn line_of(&self, list: List) -> Option<&Rule> {
        let rules = self.config.lists.get(&list)?;
        rules.iter().find(|rule| match rule {
            Rule::Line { span, .. } => span.start == self.place.start,
            Rule::Hole(_) => false,
        })
    }

    /// A value that was meant to be the domain: without its dot, with a star, as a URL.
    fn values(&self) -> Vec<Fix> {
        let rules = self.config.lists.get(&List::HttpAccess);
        let used = rules.into_iter().flatten().flat_map(|rule| match rule {
            Rule::Line {
                action: Action::Allow,
                terms,
                ..
            } => terms.as_slice(),
            Rule::Line { .. } | Rule::Hole(_) => &[],
        });
        let mut fixes = Vec::new();
        for term in used.filter(|term| !term.negated) {
            let Some(acl) = self.config.acls.get(term.acl) else {
                continue;
            };
            if acl.kind != Kind::DestinationDomain {
                continue;
            }
            fixes.extend(
                self.domains
                    .iter()
                    .filter_map(|domain| self.value(acl, domain)),
            );
        }
        fixes.dedup();
        fixes
    }

    fn value(&self, acl: &Acl, domain: &str) -> Option<Fix> {
        let meant = |word: &&Spanned<String>| {
            let text = word.value.as_str();
            let host = text
                .trim_start_matches("https://")
                .trim_start_matches("http://")
                .trim_start_matches("*.")
                .trim_matches(['.', '/']);
            host == domain && text != format!(".{domain}")
        };
        let word = acl.words.iter().find(meant)?;
        // A wider value must not stand beside what it covers: Squid before 7 does not start then.
        let lone = acl
            .words
            .iter()
            .all(|other| other.span == word.span || !other.value.ends_with(&format!(".{domain}")));
        (lone && word.span.file == self.input.file).then(|| Fix {
            title: format!("write `.{domain}` for `{}`", word.value),
            edits: vec![Edit {
                span: word.span,
                text: format!(".{domain}"),
            }],
            safe: true,
        })
    }

    /// The line denies what is not among the ports of an ACL.
    fn port_denied(&self) -> Option<Fix> {
        let Rule::Line { terms, .. } = self.line_of(List::HttpAccess)? else {
            return None;
        };
        let missing = terms.iter().filter(|term| term.negated).find_map(|term| {
            let acl = self.config.acls.get(term.acl)?;
            (acl.kind == Kind::Port && !has_port(acl, self.port)).then_some(acl)
        })?;
        Some(Fix {
            title: format!(
                "add port {} to `{}` above line {}",
                self.port,
                missing.name,
                self.line_number()
            ),
            edits: vec![self.above(&format!("acl {} port {}", missing.name, self.port))],
            safe: false,
        })
    }

    fn allow(&self) -> Option<Fix> {
        self.line_of(List::HttpAccess)?;
        let mut lines = Vec::new();
        let name = self.fresh(self.domains.first()?.split('.').next()?);
        let values: Vec<String> = self
            .domains
            .iter()
            .map(|domain| format!(".{domain}"))
            .collect();
        lines.push(format!("acl {name} dstdomain -n {}", values.join(" ")));
        let ports = self
            .config
            .acls
            .iter()
            .filter(|acl| acl.kind == Kind::Port && acl.unread.is_none())
            .filter(|acl| has_port(acl, self.port))
            .min_by_key(|acl| {
                acl.numbers
                    .iter()
                    .map(|range| range.high() - range.low())
                    .sum::<u128>()
            })
            .map(|acl| acl.name.clone());
        let ports = ports.unwrap_or_else(|| {
            let own = self.fresh(&format!("{name}_port"));
            lines.push(format!("acl {own} port {}", self.port));
            own
        });
        let clients = self.clients()?;
        lines.push(format!(
            "http_access allow CONNECT {ports} {name} {clients}"
        ));
        Some(Fix {
            title: format!(
                "allow {} for `{clients}` above line {}",
                values.join(" "),
                self.line_number()
            ),
            edits: vec![self.above(&lines.join(self.line_end()))],
            safe: false,
        })
    }

    /// The source ACL of the clients: the smallest one that has them all; `all` only where other lines already let all
    /// clients through without asking.
    fn clients(&self) -> Option<String> {
        let needed = self.blocked.clients;
        let sets = self.config.acls.iter().filter_map(|acl| {
            if acl.kind != Kind::Source || acl.unread.is_some() {
                return None;
            }
            let ranges = acl
                .addresses
                .iter()
                .flat_map(|set| set.value.ranges().iter().copied());
            let set = Ranges::from_unsorted(ranges.collect());
            (!set.is_full() && !set.is_empty()).then_some((acl, set))
        });
        let smallest = sets
            .filter(|(acl, set)| {
                if needed.is_empty() {
                    acl.span.is_some()
                } else {
                    needed.is_subset(set)
                }
            })
            .min_by_key(|(_, set)| set.count());
        match smallest {
            Some((acl, _)) => Some(acl.name.clone()),
            None if needed.is_empty() => None,
            None => {
                let open = self
                    .config
                    .lists
                    .get(&List::HttpAccess)
                    .into_iter()
                    .flatten()
                    .any(|rule| self.opens_to_all(rule));
                open.then(|| "all".to_owned())
            }
        }
    }

    fn opens_to_all(&self, rule: &Rule) -> bool {
        let Rule::Line {
            action: Action::Allow,
            terms,
            ..
        } = rule
        else {
            return false;
        };
        terms.iter().all(|term| {
            self.config.acls.get(term.acl).is_some_and(|acl| {
                !acl.asks_for_credentials(&self.config.external)
                    && (acl.kind != Kind::Source
                        || acl.addresses.iter().any(|set| set.value.is_full()))
            })
        })
    }

    /// Leaves the names' tunnels alone, above all other `ssl_bump` lines; an intercepted connection shows its name only
    /// after a peek.
    fn splice(&self) -> Option<Fix> {
        let first = self
            .config
            .lists
            .get(&List::SslBump)?
            .iter()
            .find_map(|rule| match rule {
                Rule::Line { span, .. } => Some(*span),
                Rule::Hole(_) => None,
            })?;
        if first.file != self.input.file {
            return None;
        }
        let name = self.fresh(&format!("{}_sni", self.domains.first()?.split('.').next()?));
        let values: Vec<String> = self
            .domains
            .iter()
            .map(|domain| format!(".{domain}"))
            .collect();
        let mut lines = vec![format!("acl {name} ssl::server_name {}", values.join(" "))];
        if self
            .config
            .ports
            .iter()
            .any(|port| port.mode == Mode::Intercept)
        {
            let step = self.fresh("at_hello");
            lines.push(format!("acl {step} at_step SslBump1"));
            lines.push(format!("ssl_bump peek {step}"));
        }
        lines.push(format!("ssl_bump splice {name}"));
        let start = self.line_start(first);
        Some(Fix {
            title: format!(
                "splice {} above the first `ssl_bump` line",
                values.join(" ")
            ),
            edits: vec![self.insert(start, &lines.join(self.line_end()))],
            safe: false,
        })
    }

    /// A name that no ACL has.
    fn fresh(&self, wanted: &str) -> String {
        let taken = |name: &str| self.config.find(name).is_some();
        if !taken(wanted) {
            return wanted.to_owned();
        }
        (2..100)
            .map(|number| format!("{wanted}{number}"))
            .find(|name| !taken(name))
            .unwrap_or_else(|| wanted.to_owned())
    }

    fn above(&self, text: &str) -> Edit {
        self.insert(self.line_start(self.place), text)
    }

    fn insert(&self, at: usize, text: &str) -> Edit {
        Edit {
            span: Span::new(self.input.file, at, at),
            text: format!("{text}{}", self.line_end()),
        }
    }

    fn line_start(&self, span: Span) -> usize {
        let before = self
            .input
            .bytes
            .get(..span.start as usize)
            .unwrap_or_default();
        memchr::memrchr(b'\n', before).map_or(0, |feed| feed + 1)
    }

    fn line_number(&self) -> usize {
        let before = self
            .input
            .bytes
            .get(..self.place.start as usize)
            .unwrap_or_default();
        memchr::memchr_iter(b'\n', before).count() + 1
    }

    fn line_end(&self) -> &'static str {
        if memchr::memmem::find(self.input.bytes, b"\r\n").is_some() {
            "\r\n"
        } else {
            "\n"
        }
    }
}

fn has_port(acl: &Acl, port: u16) -> bool {
    acl.numbers
        .iter()
        .any(|range| (range.low()..=range.high()).contains(&u128::from(port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fix, Reading};
    use crate::model::Question;
    use crate::source::Sources;

    fn offered(text: &str, decided_by: &str, clients: &str) -> Vec<(Fix, String)> {
        let sources = Sources::new();
        let file = sources.add("squid.conf", text.as_bytes().to_vec()).unwrap();
        let at = text.find(decided_by).unwrap();
        let input = Input {
            file,
            path: "squid.conf",
            bytes: text.as_bytes(),
        };
        let question = Question::default();
        let clients = Ranges::network(clients.parse().unwrap());
        let domains = ["*.chime.aws".to_owned(), "*.sdkassets.chime.aws".to_owned()];
        let networks = Ranges::empty();
        let fixes = fix(
            &input,
            &Blocked {
                gate: Some(0),
                question: &question,
                decided_by: Some(Span::new(file, at, at + decided_by.len())),
                shadowed: &[],
                domains: &domains,
                networks: &networks,
                service: Some((6, 443)),
                clients: &clients,
                fetch: None,
                setting: None,
            },
        );
        fixes
            .into_iter()
            .map(|fix| {
                let mut changed = text.to_owned();
                for edit in &fix.edits {
                    changed.replace_range(edit.span.range(), &edit.text);
                }
                (fix, changed)
            })
            .collect()
    }

    fn starts(text: &str) -> bool {
        let sources = Sources::new();
        let file = sources.add("squid.conf", text.as_bytes().to_vec()).unwrap();
        let input = Input {
            file,
            path: "squid.conf",
            bytes: text.as_bytes(),
        };
        let reading: Reading = super::super::read(&input, &NoFiles, &Facts::default());
        reading.findings.iter().all(|finding| !finding.refuses)
    }

    #[test]
    fn names_are_allowed_for_the_clients_above_the_line_that_denies() {
        let text = "http_port 3128\nacl SSL_ports port 443\nacl localnet src 10.0.0.0/8\n\
                    http_access deny CONNECT !SSL_ports\nhttp_access deny all\n";
        let fixes = offered(text, "http_access deny all", "10.0.0.0/8");
        assert_eq!(fixes.len(), 1);
        let changed = &fixes[0].1;
        assert!(changed.contains(
            "http_access deny CONNECT !SSL_ports\nacl chime dstdomain -n .chime.aws\n\
             http_access allow CONNECT SSL_ports chime localnet\nhttp_access deny all\n"
        ));
        assert!(!changed.contains("sdkassets"));
        assert!(starts(changed));
    }

    #[test]
    fn a_missing_dot_and_a_star_are_mended_in_place() {
        for value in ["chime.aws", "*.chime.aws"] {
            let text = format!(
                "acl chime dstdomain {value}\nacl lan src 10.0.0.0/8\nhttp_access allow chime lan\nhttp_access deny all\n"
            );
            let fixes = offered(&text, "http_access deny all", "10.0.0.0/8");
            assert!(
                fixes[0].1.starts_with("acl chime dstdomain .chime.aws\n"),
                "{value}"
            );
            assert!(starts(&fixes[0].1));
        }
    }

    #[test]
    fn without_a_source_acl_nothing_is_opened() {
        let text = "auth_param basic program /bin/x\nacl who proxy_auth REQUIRED\nhttp_access allow who\nhttp_access deny all\n";
        assert!(offered(text, "http_access allow who", "10.0.0.0/8").is_empty());
    }

    #[test]
    fn bumped_names_are_spliced_first() {
        let text = "http_port 3128 ssl-bump\nhttp_access allow all\nssl_bump bump all\n";
        let fixes = offered(text, "ssl_bump bump all", "10.0.0.0/8");
        assert!(fixes[0].1.contains(
            "acl chime_sni ssl::server_name .chime.aws\nssl_bump splice chime_sni\nssl_bump bump all"
        ));
    }
}
