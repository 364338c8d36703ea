//! In: a config and what a real web server sent with it. Out: whether a page may do the same under both.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use gatelint::config::{Facts, Input, NoFiles, Reading, kind};
use gatelint::model::Layer;
use gatelint::source::Sources;
use gatelint::trace::{Certainty, Request, answer};
use serde_json::json;

/// What a page asks for.
const URLS: [&str; 4] = [
    "https://h1.test/",
    "https://h2.test/",
    "wss://h3.test/",
    "https://h4.test/",
];

/// A file as it is read.
pub(crate) type Read = (Sources, Reading);

/// Reads a file as one of this kind.
pub(crate) fn read(name: &str, bytes: &[u8]) -> Read {
    let sources = Sources::new();
    let input = Input {
        file: sources.add("a", bytes.to_vec()).unwrap(),
        path: "a",
        bytes,
    };
    let reading = (kind(name).unwrap().read)(&input, &NoFiles, &Facts::default());
    (sources, reading)
}

/// A port of this machine that nobody listens at.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// Waits until a server listens; stops where it refuses its config.
pub(crate) fn until_it_listens(server: &mut Child, port: u16, what: &str) {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let refused = server.try_wait().unwrap().is_some();
        assert!(
            !refused && started.elapsed() < Duration::from_secs(20),
            "the server refuses {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The whole answer to a request.
pub(crate) fn ask(port: u16, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: a.test\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// Numbers that are the same for the same seed (`SplitMix64`).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % count
    }
}

/// How often a server and this program said the same.
#[derive(Default)]
pub(crate) struct Tally {
    allowed: usize,
    blocked: usize,
    pub(crate) open: usize,
    wrong: Vec<String>,
}

impl Tally {
    /// Compares the policies of a page, which a gate of ours stands for, with what the server sent.
    pub(crate) fn compare(&mut self, what: &str, ours: &Read, gate: Option<usize>, sent: &[u8]) {
        let (sent_sources, theirs) = read("csp", sent);
        for url in URLS {
            let request = json!({"kind": "connect", "url": url});
            let request = Request::from_value(Layer::Fetch, request).unwrap();
            let expected = answer(&sent_sources, &theirs.gates, &request).verdict;
            let predicted = gate.map_or(Certainty::Allowed, |gate| {
                let gate = ours.1.gates.get(gate).unwrap();
                answer(&ours.0, std::slice::from_ref(gate), &request).verdict
            });
            match predicted {
                _ if predicted == expected && expected == Certainty::Allowed => self.allowed += 1,
                _ if predicted == expected => self.blocked += 1,
                Certainty::Undecided => self.open += 1,
                Certainty::Allowed | Certainty::Denied => self.wrong.push(format!(
                    "{url}: {predicted:?}, the server: {expected:?}; {what}"
                )),
            }
        }
    }

    /// Nothing is wrong, and at most one answer to four is left open.
    pub(crate) fn conclude(&self, configs: u64) {
        eprintln!(
            "{configs} configs: {} allowed and {} blocked alike, {} left open",
            self.allowed, self.blocked, self.open
        );
        assert!(
            self.wrong.is_empty(),
            "{} wrong:\n{}",
            self.wrong.len(),
            self.wrong.join("\n")
        );
        assert!(
            self.open * 4 < self.allowed + self.blocked,
            "too much is left open"
        );
    }
}
