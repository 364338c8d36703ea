//! In: short scripts. Out: whether they are followed as a shell would run them, or doubted.

use super::*;
use crate::source::Sources;

fn script(text: &str) -> (Vec<String>, Vec<&'static str>) {
    let file = Sources::new()
        .add("fw.sh", text.as_bytes().to_vec())
        .unwrap();
    let script = read(file, text.as_bytes());
    let (mut lines, mut doubts) = (Vec::new(), Vec::new());
    for (family, act) in &script.acts {
        if *family == Family::V6 {
            continue;
        }
        match act {
            Act::Run { table, start, end } => {
                let line = String::from_utf8_lossy(&script.text[*start..*end]);
                lines.push(format!("{} {line}", table.word()));
            }
            Act::Perhaps { doubt, .. } | Act::Anything(doubt) => doubts.push(doubt.reason),
        }
    }
    (lines, doubts)
}

#[test]
fn constants_quotes_and_continuations_are_put_in() {
    let text = "#!/bin/sh\nIPT=\"/sbin/iptables -w\"; LAN='10.0.0.0/8' # all\nexport WAN=eth0\n\
                $IPT -t nat -A POSTROUTING -s ${LAN} \\\n  -o \"$WAN\" -j MASQUERADE 2>/dev/null\n\
                sudo -n iptables -P INPUT DROP; iptables -p tcp --dport 22 -I INPUT 1 -j ACCEPT >&2\n\
                echo done | tee log\niptables -A INPUT -m comment --comment \"it's \\\"me\\\"\" -j LOG\n\
                `which iptables` -N X\n";
    let (lines, doubts) = script(&text.replace("`which iptables`", "iptables"));
    assert_eq!(
        lines,
        [
            "nat -A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE",
            "filter -P INPUT DROP",
            "filter -I INPUT 1 -p tcp --dport 22 -j ACCEPT",
            "filter -A INPUT -m comment --comment \"it's \\\"me\\\"\" -j LOG",
            "filter -N X",
        ]
    );
    assert!(doubts.is_empty(), "{doubts:?}");
}

#[test]
fn what_is_not_linear_is_doubted_and_never_followed() {
    for (text, reason) in [
        (
            "for p in 1 2; do iptables -A INPUT --dport $p; done",
            "a loop is not followed",
        ),
        (
            "while read x; do\n iptables -A INPUT -s $x\ndone < f",
            "a loop is not followed",
        ),
        (
            "if [ -f x ]; then iptables -F; fi",
            "a condition is not followed",
        ),
        ("[ -f x ] && iptables -F", "a condition is not followed"),
        (
            "case \"$1\" in a|b) iptables -F;; *) ;; esac",
            "a condition is not followed",
        ),
        ("f() { iptables -F; }\nf", "a function is not followed"),
        (
            "function f {\n iptables -F\n}",
            "a function is not followed",
        ),
        (". ./conf", "another script is not followed"),
        ("eval \"$x\"", "a command made of text is not followed"),
        (
            "iptables-restore <<EOF\n*filter\nCOMMIT\nEOF\n",
            "what `iptables-restore` loads is not followed",
        ),
        ("/usr/local/bin/setup", "a program is not followed"),
        (
            "iptables -A $CHAIN -j DROP",
            "a variable's value is not known",
        ),
        (
            "iptables -A INPUT $OPTIONS",
            "a variable's value is not known",
        ),
        ("( iptables -F", "a block without its end is not followed"),
        ("X=$(date); $X -F", "a variable's value is not known"),
    ] {
        let (_, doubts) = script(text);
        assert!(doubts.contains(&reason), "{text}: {doubts:?}");
    }
}

#[test]
fn what_touches_no_rule_is_no_doubt() {
    let text = "#!/bin/sh\nset -e\nif [ $(id -u) != 0 ]; then echo root >&2; exit 1; fi\n\
                for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 > $f; done\n\
                sysctl -w net.ipv4.ip_forward=1 >/dev/null\ncat <<EOF\niptables -F\nEOF\nmodprobe nf_conntrack\n\
                iptables -C INPUT -j X || iptables -A INPUT -j X\niptables -F && iptables -X\n\
                case $1 in start) echo x;; esac\niptables -L -n | grep X\niptables -nvL\nexit 0\niptables -P INPUT DROP\n";
    let (lines, doubts) = script(text);
    assert!(doubts.is_empty(), "{doubts:?}");
    assert_eq!(lines, ["filter -A INPUT -j X", "filter -F", "filter -X"]);
}

#[test]
fn no_text_makes_it_stop() {
    for text in [
        "$(",
        "`",
        "\"$(",
        "${",
        "'",
        "\\",
        "<<",
        "<<E",
        "a(",
        "((",
        "))",
        ";;",
        "case",
        "for",
        "iptables -t",
        "iptables",
        "$",
        "\"$\"",
        "function",
        "[[",
        "if if if",
        "iptables -A",
        "iptables -I x",
        "x=(",
        "\u{0}\u{1}",
    ] {
        script(text);
        script(&text.repeat(50));
    }
}
