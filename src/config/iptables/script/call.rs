//! In: the arguments of one call of iptables in a script. Out: its table, its command, and the words of its rule.
//!
//! Options may stand in any order (iptables(8)); what only prints or waits is left out.

use super::expand::Field;
use crate::config::iptables::syntax::TableName;

/// The words of one call of iptables.
pub(super) struct Call<'f> {
    /// None where it is not known.
    pub(super) table: Option<TableName>,
    /// What changes rules, and how many of the other words stand before it.
    pub(super) command: Option<(&'f Field, usize)>,
    pub(super) words: Vec<&'f Field>,
    /// `-C`
    pub(super) only_asks: bool,
    /// `-L` and the like.
    pub(super) only_lists: bool,
}

impl<'f> Call<'f> {
    pub(super) fn new(arguments: &'f [Field]) -> Self {
        let mut call = Self {
            table: Some(TableName::Filter),
            command: None,
            words: Vec::new(),
            only_asks: false,
            only_lists: false,
        };
        let mut fields = arguments.iter().peekable();
        while let Some(field) = fields.next() {
            let is_first = call.command.is_none();
            match &*field.text {
                b"-t" | b"--table" => {
                    let name = fields.next();
                    call.table = name.and_then(|name| TableName::from_word(&name.text));
                }
                b"-w" | b"--wait" | b"-W" | b"--wait-interval" => {
                    let is_number =
                        |next: &&Field| next.text.iter().all(u8::is_ascii_digit) && next.is_known;
                    fields.next_if(is_number);
                }
                b"-v" | b"--verbose" | b"-n" | b"--numeric" | b"-x" | b"--line-numbers" => {}
                b"-A" | b"--append" | b"-I" | b"--insert" | b"-R" | b"--replace" | b"-D"
                | b"--delete" | b"-N" | b"--new-chain" | b"--new" | b"-F" | b"--flush" | b"-P"
                | b"--policy" | b"-X" | b"--delete-chain" | b"-E" | b"--rename-chain"
                    if is_first =>
                {
                    call.command = Some((field, call.words.len()));
                }
                b"-C" | b"--check" if is_first => call.only_asks = true,
                b"-Z" | b"--zero" | b"-L" | b"--list" | b"-S" | b"--list-rules" | b"-V"
                | b"--version" | b"-h" | b"--help"
                    if is_first =>
                {
                    call.only_lists = true;
                }
                text => {
                    let table = text.strip_prefix(b"--table=").or(text.strip_prefix(b"-t"));
                    if let Some(name) = table {
                        call.table = TableName::from_word(name);
                        continue;
                    }
                    // `-nvL`
                    call.only_lists |= is_first
                        && text.starts_with(b"-")
                        && !text.starts_with(b"--")
                        && text.iter().any(|byte| matches!(byte, b'L' | b'S' | b'Z'));
                    call.words.push(field);
                }
            }
        }
        call.only_asks &= call.command.is_none();
        call
    }
}
