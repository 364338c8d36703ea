//! In: lines of access lists, ports and peers. Out: the config's lists, ports and peers.

use super::super::bump::WEBSOCKET;
use super::super::lists::{Action, List, Listed, Mode, Peer, Port, Rule};
use super::super::syntax::{Line, Word};
use super::super::{IGNORED_LINE, UPGRADE_CASE};
use super::{Item, Reader};

impl Reader<'_> {
    pub(super) fn access(&mut self, line: &Line, listed: Listed, words: &[Word]) {
        let mut words = words;
        let mut subject = None;
        if listed.has_subject {
            let [first, rest @ ..] = words else {
                self.skipped(line, "the rule is not complete");
                return;
            };
            subject = Some(first.text.clone());
            words = rest;
        }
        let Some(([action], names)) = words.split_at_checked(1) else {
            self.skipped(line, "`allow` or `deny` is missing");
            return;
        };
        let action = match Action::parse(listed.list, &action.text) {
            Some(action) => action,
            None if listed.list == Some(List::SslBump) => {
                self.refuse(
                    action.span,
                    format!("`{}` is no ssl_bump action", action.text),
                );
                return;
            }
            None => {
                let lower = action.text.to_ascii_lowercase();
                let known = matches!(lower.as_str(), "allow" | "deny");
                let help = known.then(|| format!("write `{lower}`: actions are case-sensitive"));
                self.report(
                    IGNORED_LINE,
                    "Squid skips this rule".to_owned(),
                    action.span,
                    "neither `allow` nor `deny`",
                    help,
                );
                return;
            }
        };
        let items = self.expand(names);
        let terms = self.terms(&items);
        let unread = items.into_iter().find_map(|item| match item {
            Item::Unread(unread) => Some(unread),
            Item::Value(_) => None,
        });
        if terms.is_empty() && unread.is_none() && listed.list != Some(List::SslBump) {
            self.skipped(line, "the rule names no ACL; `all` stands for everybody");
            return;
        }
        if let (Some(List::UpgradeProtocols), Some(protocol)) = (listed.list, &subject)
            && protocol != WEBSOCKET
            && protocol.eq_ignore_ascii_case(WEBSOCKET)
        {
            self.report(
                UPGRADE_CASE,
                "This protocol name matches no WebSocket client".to_owned(),
                line.span(),
                "names are case-sensitive, and clients send `websocket`",
                Some("write `websocket`".to_owned()),
            );
        }
        let rule = Rule::Line {
            action,
            terms,
            unread,
            span: line.span(),
        };
        match (listed.list, subject) {
            (Some(list), None) => self.config.lists.entry(list).or_default().push(rule),
            (Some(list), Some(subject)) => self
                .config
                .named_lists
                .entry((list, subject))
                .or_default()
                .push(rule),
            (None, _) => {}
        }
    }

    pub(super) fn skipped(&mut self, line: &Line, why: &'static str) {
        self.config.understood -= 1;
        self.report(
            IGNORED_LINE,
            "Squid skips this rule".to_owned(),
            line.span(),
            why,
            None,
        );
    }

    pub(super) fn port(&mut self, line: &Line, secure: bool, words: &[Word]) {
        let Some(spec) = words.first() else {
            self.refuse(line.span(), "a port is missing".to_owned());
            return;
        };
        let (host, port) = match spec.text.rsplit_once(':') {
            Some((host, port)) => (Some(host.to_owned()), port),
            None => (None, spec.text.as_str()),
        };
        let Ok(number) = port.parse::<u16>() else {
            self.refuse(spec.span, format!("`{}` is no port", spec.text));
            return;
        };
        let has = |names: &[&str]| {
            words
                .iter()
                .skip(1)
                .any(|word| names.contains(&word.text.split('=').next().unwrap_or_default()))
        };
        let mode = if has(&["intercept", "transparent", "tproxy"]) {
            Mode::Intercept
        } else if has(&["accel", "vhost", "vport", "defaultsite", "act-as-origin"]) {
            Mode::Accelerator
        } else {
            Mode::Forward
        };
        let name = words
            .iter()
            .find_map(|word| word.text.strip_prefix("name="))
            .unwrap_or(&spec.text)
            .to_owned();
        self.config.ports.push(Port {
            host,
            number,
            name,
            mode,
            bump: has(&["ssl-bump", "sslBump", "ssl_bump"]),
            secure,
            span: line.span(),
        });
    }

    pub(super) fn peer(&mut self, line: &Line, words: &[Word]) {
        let [host, kind, _, _, options @ ..] = words else {
            self.refuse(
                line.span(),
                "a `cache_peer` needs a host, a type, an HTTP port and an ICP port".to_owned(),
            );
            return;
        };
        let name = options
            .iter()
            .find_map(|word| word.text.strip_prefix("name="))
            .unwrap_or(&host.text)
            .to_owned();
        self.config.peers.push(Peer {
            name,
            parent: kind.text.eq_ignore_ascii_case("parent"),
            origin: options.iter().any(|word| word.text == "originserver"),
            span: line.span(),
        });
    }
}
