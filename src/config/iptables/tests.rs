use super::*;
use crate::config::{Blocked, NoFiles};
use crate::decide::Evaluator;
use crate::model::{Question, Role, Standing};
use crate::source::Sources;
use crate::trace::{Certainty, Request, answer};
use serde_json::json;

const CHIME: &str = "99.77.130.1";

fn reading(text: &str) -> (Sources, Reading) {
    let sources = Sources::new();
    let file = sources.add("rules.v4", text.as_bytes().to_vec()).unwrap();
    let input = Input {
        file,
        path: "rules.v4",
        bytes: text.as_bytes(),
    };
    let reading = read(&input, &NoFiles, &Facts::default());
    (sources, reading)
}

fn udp(text: &str, hook: &str) -> Certainty {
    let (sources, reading) = reading(text);
    let packet = json!({"hook": hook, "src": "10.0.0.5", "dst": CHIME, "proto": "udp", "sport": 40000, "dport": 3478,
        "in": "eth1", "out": "eth0", "state": "new", "len": 100, "uid": 0});
    let request = Request::from_value(Layer::Packet, packet).unwrap();
    answer(&sources, &reading.gates, &request).verdict
}

/// Whether the whole conversation with the service passes FORWARD for a client: allowed, denied, undecided.
fn conversation(text: &str) -> (bool, bool, bool) {
    let (_, reading) = reading(text);
    let gate = &reading.gates[0];
    assert_eq!(gate.name, "FORWARD");
    let mut question = Question::default();
    let host = |text: &str| Ranges::host(text.parse().unwrap());
    question.numbers.extend([
        (crate::model::Dim::Source, host("10.0.0.5")),
        (crate::model::Dim::Destination, host(CHIME)),
        (crate::model::Dim::Protocol, Ranges::one(17)),
        (crate::model::Dim::SourcePort, Ranges::between(49152, 65535)),
        (crate::model::Dim::DestinationPort, Ranges::one(3478)),
    ]);
    question.destination_is_local = Some(false);
    question.source_is_local = Some(false);
    let mut evaluator = Evaluator::new(gate);
    let verdict = evaluator.ask(&question);
    (
        !evaluator.is_empty(verdict.allowed),
        !evaluator.is_empty(verdict.denied),
        !evaluator.is_empty(verdict.undecided) || !evaluator.is_empty(verdict.varying),
    )
}

const ALLOWED: (bool, bool, bool) = (true, false, false);
const DENIED: (bool, bool, bool) = (false, true, false);

#[test]
fn the_way_back_counts() {
    let open = "-A FORWARD -p udp -m udp --dport 3478 -j ACCEPT\n";
    let file = |rules: &str| format!("*filter\n:FORWARD DROP [0:0]\n{rules}COMMIT\n");
    assert_eq!(conversation(&file(open)), DENIED);
    let replies = "-A FORWARD -m state --state ESTABLISHED -j ACCEPT\n";
    assert_eq!(conversation(&file(&format!("{replies}{open}"))), ALLOWED);
    // The reply has the ports the other way round.
    let ports = "-A FORWARD -p udp -m udp --sport 3478 -j ACCEPT\n";
    assert_eq!(conversation(&file(&format!("{ports}{open}"))), ALLOWED);
    // NEW and replies pass, the client's second packet does not.
    let first = "-A FORWARD -p udp -m udp --dport 3478 -m conntrack --ctstate NEW -j ACCEPT\n";
    assert_eq!(conversation(&file(&format!("{ports}{first}"))), DENIED);
}

#[test]
fn translated_sources_come_back_to_the_client() {
    let nat = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n";
    let filter = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -s 10.0.0.0/8 -j ACCEPT\n-A FORWARD -d 10.0.0.0/8 -j ACCEPT\nCOMMIT\n";
    assert_eq!(conversation(&format!("{nat}{filter}")), ALLOWED);
    // Raw sees the reply with the translated address.
    let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 99.77.128.0/18 ! -d 203.0.113.7 -j DROP\nCOMMIT\n";
    let snat =
        "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j SNAT --to-source 203.0.113.7\nCOMMIT\n";
    assert_eq!(conversation(&format!("{raw}{snat}{filter}")), ALLOWED);
    assert_eq!(conversation(&format!("{raw}{filter}")), DENIED);
}

#[test]
fn unknown_things_are_undecided_and_only_there() {
    let file = |rule: &str| format!("*filter\n:FORWARD DROP [0:0]\n{rule}\nCOMMIT\n");
    for rule in [
        "-A FORWARD -m nosuch --what 3 -j ACCEPT",
        "-A FORWARD -m set --match-set chime dst -j ACCEPT",
        "-A FORWARD -m limit --limit 5/min -j ACCEPT",
        "-A FORWARD -m string --string x --algo bm -j ACCEPT",
        "-A FORWARD -p udp -j NFQUEUE --queue-num 1",
        "-A FORWARD -d {{ chime }} -j ACCEPT",
        "-A FORWARD -d chime.test -j ACCEPT",
    ] {
        assert_eq!(udp(&file(rule), "FORWARD"), Certainty::Undecided, "{rule}");
        let tcp = rule.replacen("FORWARD ", "FORWARD -p tcp ", 1);
        if !rule.contains("-p udp") {
            assert_eq!(udp(&file(&tcp), "FORWARD"), Certainty::Denied, "{tcp}");
        }
    }
    // The same set asked twice has one answer.
    let both = "-A FORWARD -m set --match-set a dst -j ACCEPT\n-A FORWARD -m set ! --match-set a dst -j ACCEPT";
    assert_eq!(udp(&file(both), "FORWARD"), Certainty::Allowed);
    // What goes on does not matter, whatever it asks.
    let log = "-A FORWARD -m limit --limit 5/min -j LOG\n-A FORWARD -p udp -j ACCEPT";
    assert_eq!(udp(&file(log), "FORWARD"), Certainty::Allowed);
}

#[test]
fn refused_files_say_what_stays_in_force() {
    for (text, id) in [
        (
            "*filter\n-A FORWARD --dport 53 -j ACCEPT\nCOMMIT\n",
            "iptables/refused-line",
        ),
        (
            "*filter\n-A FORWARD -s ! 10.0.0.1 -j ACCEPT\nCOMMIT\n",
            "iptables/refused-line",
        ),
        (
            "*filter\n-A FORWARD -j ACCEPT # why\nCOMMIT\n",
            "iptables/refused-line",
        ),
        (
            "*filter\n-A FORWARD -j nosuch\nCOMMIT\n",
            "iptables/undeclared-chain",
        ),
        ("*filter\n-A FORWARD -j ACCEPT\n", "iptables/missing-commit"),
        (
            "*filter\n:a - [0:0]\n-A a -j a\n-A FORWARD -j a\nCOMMIT\n",
            "iptables/loop",
        ),
        ("*filter\r\nCOMMIT\r\n", "iptables/carriage-return"),
    ] {
        let (_, reading) = reading(text);
        let refusing: Vec<_> = reading
            .findings
            .iter()
            .filter(|found| found.refuses)
            .collect();
        assert_eq!(refusing.len(), 1, "{text}: {:?}", reading.findings);
        assert_eq!(refusing[0].id, id, "{text}");
    }
    let (_, fine) =
        reading("*filter\n:a - [0:0]\n-A a -j a\n-A FORWARD -p udp --dport 5:3 -j DROP\nCOMMIT\n");
    assert!(
        fine.findings.iter().all(|found| !found.refuses),
        "{:?}",
        fine.findings
    );
    assert_eq!(fine.findings[0].id, "iptables/reversed-range");
    let (_, windows) = reading("*filter\r\n:FORWARD DROP\r\nCOMMIT\r\n");
    assert_eq!(windows.understood, windows.statements);
    let (_, half) = reading("*nat\nCOMMIT\n*filter\n-A FORWARD -x\nCOMMIT\n");
    assert!(
        half.findings[0].title.contains("only its nat table"),
        "{}",
        half.findings[0].title
    );
}

#[test]
fn roles_follow_what_routes() {
    let role = |text: &str| {
        let (_, reading) = reading(text);
        let forward = reading.gates[0].standing.clone();
        (
            reading.role.unwrap(),
            matches!(forward, Standing::NotJudged(_)),
        )
    };
    let host = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n";
    assert_eq!(role(&format!("{host}COMMIT\n")), ("host".to_owned(), true));
    let docker = format!(
        "{host}:DOCKER - [0:0]\n-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n-A FORWARD -o docker0 -j DOCKER\nCOMMIT\n\
        *nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n"
    );
    assert_eq!(role(&docker), ("host".to_owned(), true));
    let router = format!("{host}-A FORWARD -i eth1 -o eth0 -j ACCEPT\nCOMMIT\n");
    assert_eq!(role(&router), ("gateway".to_owned(), false));
    let masquerade = format!(
        "{host}COMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n"
    );
    assert_eq!(role(&masquerade), ("gateway".to_owned(), false));
    let unclear = format!("{host}-A FORWARD -p udp -j ACCEPT\nCOMMIT\n");
    assert_eq!(role(&unclear), ("host, perhaps gateway".to_owned(), false));
}

#[test]
fn groups_are_named_by_network_and_interface() {
    let (_, reading) = reading(
        "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n\
         -A FORWARD -m state --state ESTABLISHED -j ACCEPT\n-A FORWARD -i eth0 -p tcp --dport 22 -j ACCEPT\n\
         -A FORWARD -i eth1 -s 10.1.0.0/16 -j ACCEPT\n-A FORWARD -s 10.2.0.0/16 -j ACCEPT\nCOMMIT\n",
    );
    assert_eq!(reading.gates[0].role, Some(Role::Gateway));
    let names: Vec<_> = reading.gates[0]
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(names, ["10.1.0.0/16 via eth1", "10.2.0.0/16"]);
}

#[test]
fn a_fix_stands_directly_above_what_stops_the_flow() {
    let text = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p udp -j DROP\n-A FORWARD -d 99.77.128.0/18 -p udp --dport 3478 -j ACCEPT\nCOMMIT\n";
    let (sources, reading) = reading(text);
    let input = Input {
        file: reading.gates[0].chains[0].rules[0].span.file,
        path: "rules.v4",
        bytes: text.as_bytes(),
    };
    let rules = &reading.gates[0].chains[0].rules;
    let networks = Ranges::network("99.77.128.0/18".parse().unwrap());
    let fixes = fix::fix(
        &input,
        &reading,
        &Blocked {
            gate: Some(0),
            question: &Question::default(),
            decided_by: Some(rules[0].span),
            shadowed: &[rules[1].span],
            domains: &[],
            networks: &networks,
            service: Some((17, 3478)),
            clients: &Ranges::network("10.20.0.0/16".parse().unwrap()),
            fetch: None,
            setting: None,
        },
    );
    assert_eq!(sources.line(rules[1].span), 4);
    assert_eq!(fixes[0].title, "move line 4 above line 3");
    assert_eq!(
        fixes[1].edits[0].text,
        "-A FORWARD -s 10.20.0.0/16 -d 99.77.128.0/18 -p udp -m udp --dport 3478 -j ACCEPT\n"
    );
    assert_eq!(fixes[1].edits[0].span.start, 28);
}

#[test]
fn no_bytes_break_it() {
    let mut seeds: Vec<Vec<u8>> = [
        "*filter\n:FORWARD DROP\n-A FORWARD -p",
        "*filter\n-A FORWARD ! ! -j\nCOMMIT\n",
        "*nat\n-A PREROUTING -j DNAT --to-destination :\n-A PREROUTING -j NETMAP --to x\nCOMMIT\n",
        "*filter\n-A \"a b\" -j \"\nCOMMIT",
        "*filter\n-A FORWARD -m tcp --tcp-flags\n-A FORWARD -m set --match-set\n-A FORWARD -m icmp --icmp-type /\n",
        "*filter\n-A FORWARD --dport=\n-A FORWARD -s /\n-A FORWARD -d 1.2.3.4/\n-A FORWARD -m mac --mac-source :\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    seeds.push(vec![0, 255, b'\n', b'*', b'f', 0]);
    seeds.push(
        b"*filter\n"
            .iter()
            .copied()
            .chain(std::iter::repeat_n(b'-', 100_000))
            .collect(),
    );
    for bytes in seeds {
        for cut in 0..bytes.len().min(120) {
            let part = &bytes[..bytes.len() - cut];
            let sources = Sources::new();
            let file = sources.add("x", part.to_vec()).unwrap();
            let input = Input {
                file,
                path: "x",
                bytes: part,
            };
            let _ = forms::claims("x", part);
            let reading = read(&input, &NoFiles, &Facts::default());
            for finding in &reading.findings {
                assert!(finding.label.span.end as usize <= part.len());
            }
        }
    }
}

#[test]
fn a_function_may_flush_what_is_added_after_it() {
    let text = "#!/bin/sh\nf() { iptables -F; }\niptables -P FORWARD DROP\niptables -A FORWARD -j ACCEPT\nf\n";
    let file = Sources::new()
        .add("fw.sh", text.as_bytes().to_vec())
        .unwrap();
    let input = Input {
        file,
        path: "fw.sh",
        bytes: text.as_bytes(),
    };
    let reading = read(&input, &NoFiles, &Facts::default());
    let gate = reading
        .gates
        .iter()
        .find(|gate| gate.name == "FORWARD")
        .unwrap();
    let chain = gate.chains.iter().find(|chain| chain.name == "FORWARD");
    let first = chain.and_then(|chain| chain.rules.first()).unwrap();
    assert!(matches!(first.step, crate::model::Step::Obscure(_)));
}
