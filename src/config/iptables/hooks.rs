//! In: a file's chains. Out: the stages of a packet's way through the kernel, for each of a conversation's packets.
//!
//! The order is that of `enum nf_ip_hook_priorities` (kernel, `netfilter_ipv4.h`): raw, connection tracking, mangle,
//! nat, filter, security; source translation comes last at its hook. The nat table is walked by packets that start a
//! connection; for the others connection tracking applies what was bound (`nf_nat_core.c`).

use super::context::{Context, Presence};
use super::lower::{Draft, state_is};
use super::syntax::TableName;
use crate::model::{
    Denial, Dim, Edge, Effect, Fallback, Guard, NatSide, Onward, Ranges, Rewrite, Rule, Stage,
    StageId, State, Step, Test, Unknown, UnknownKind, Value,
};

/// Which packet of the conversation walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packet {
    Request,
    Reply,
    Again,
}

/// Ways out of stages that wait for what comes next.
type Open = Vec<(StageId, Guard)>;

/// The chains of a hook that come after connection tracking and before source translation.
const FILTERS: [TableName; 3] = [TableName::Mangle, TableName::Filter, TableName::Security];

/// Builds the way through the machine.
pub(super) fn forward(draft: &mut Draft<'_>) {
    let mut way = Way { draft };
    let (_, open) = way.prerouting(Packet::Request, Vec::new());
    let routing = way.plain("routing", Vec::new(), open);
    let local = vec![(routing, Guard::Is(Test::Local(Dim::Destination)))];
    let served = way.input(Packet::Request, local, Context::default());
    let open = way.forwarding(Packet::Request, vec![(routing, Guard::Always)]);
    let leaving = way.postrouting(Packet::Request, open, forwarded());

    let (entry, open) = way.prerouting(Packet::Reply, Vec::new());
    way.leave(leaving, entry, Onward::Reply);
    let (local, open) = way.routing(open);
    if let Some(local) = local {
        let open = way.input(Packet::Reply, local, Context::default());
        way.arrive(open, true);
    }
    let open = way.forwarding(Packet::Reply, open);
    let leaving = way.postrouting(Packet::Reply, open, forwarded());

    let (entry, open) = way.prerouting(Packet::Again, Vec::new());
    way.leave(leaving, entry, Onward::Again);
    let open = way.forwarding(Packet::Again, open);
    let open = way.postrouting(Packet::Again, open, forwarded());
    way.arrive(open, false);
    way.serve(served);
}

/// Builds the way of the machine's own packets and their replies.
pub(super) fn output(draft: &mut Draft<'_>) {
    let mut way = Way { draft };
    let (_, open) = way.output(Packet::Request, Vec::new());
    // What goes to the machine itself comes back in by the loopback interface.
    let routing = way.plain("routing", Vec::new(), open);
    let local = vec![(routing, Guard::Is(Test::Local(Dim::Destination)))];
    way.loopback(local);
    if way.draft.ruleset.has.destination {
        way.strayed_loopback(routing);
    }
    let leaving = way.postrouting(Packet::Request, vec![(routing, Guard::Always)], sent());

    let (entry, open) = way.prerouting(Packet::Reply, Vec::new());
    way.leave(leaving, entry, Onward::Reply);
    let leaving = way.input(Packet::Reply, open, Context::default());

    let (entry, open) = way.output(Packet::Again, Vec::new());
    way.leave(leaving, entry, Onward::Again);
    let open = way.postrouting(Packet::Again, open, sent());
    way.arrive(open, false);
}

/// Builds the way of packets for the machine itself and its answers.
pub(super) fn input(draft: &mut Draft<'_>) {
    let diverts = draft.ruleset.has.destination;
    let mut way = Way { draft };
    let (_, mut open) = way.prerouting(Packet::Request, Vec::new());
    if diverts {
        let routing = way.plain("routing", Vec::new(), open);
        open = vec![(routing, Guard::Is(Test::Local(Dim::Destination)))];
        let leaving = way.input(Packet::Request, open, Context::default());
        let away = way.forwarding(Packet::Request, vec![(routing, Guard::Always)]);
        let away = way.postrouting(Packet::Request, away, forwarded());
        way.arrive(away, false);
        open = leaving;
    } else {
        open = way.input(Packet::Request, open, Context::default());
    }
    let leaving = open;

    let (entry, open) = way.output(Packet::Reply, Vec::new());
    way.leave(leaving, entry, Onward::Reply);
    let leaving = way.postrouting(
        Packet::Reply,
        open,
        Context {
            owner: Presence::Unknown,
            ..sent()
        },
    );

    let (entry, open) = way.prerouting(Packet::Again, Vec::new());
    way.leave(leaving, entry, Onward::Again);
    let open = way.input(Packet::Again, open, Context::default());
    way.arrive(open, true);
}

/// POSTROUTING of a forwarded packet.
fn forwarded() -> Context {
    Context {
        owner: Presence::Absent,
        forwarded: true,
        ..Context::default()
    }
}

/// OUTPUT and POSTROUTING of the machine's own packet.
fn sent() -> Context {
    Context {
        input: Presence::Absent,
        mac: Presence::Absent,
        own: true,
        ..Context::default()
    }
}

struct Way<'d, 'r> {
    draft: &'d mut Draft<'r>,
}

/// Tags of places where words ask about other addresses.
const REPLY: u8 = 1;
const TRANSLATED: u8 = 2;
const LOOPED: u8 = 4;

impl Way<'_, '_> {
    /// Adds a stage; the open ways lead into it.
    fn stage(&mut self, stage: Stage, open: Open) -> StageId {
        let id = self.draft.gate.stage(stage);
        for (from, guard) in open {
            self.edge(from, guard, Onward::Stage(id));
        }
        id
    }

    fn edge(&mut self, from: StageId, guard: Guard, to: Onward) {
        if let Some(stage) = self.draft.gate.stages.get_mut(from.0 as usize) {
            stage.edges.push(Edge { guard, to });
        }
    }

    /// A stage without a chain.
    fn plain(&mut self, name: &str, enter: Vec<Rewrite>, open: Open) -> StageId {
        self.stage(
            Stage {
                name: name.to_owned(),
                enter,
                chain: None,
                fallback: Fallback {
                    effect: Effect::Allow,
                    span: None,
                    text: name.to_owned(),
                },
                edges: Vec::new(),
            },
            open,
        )
    }

    fn leave(&mut self, open: Open, entry: StageId, to: fn(StageId) -> Onward) {
        for (from, guard) in open {
            self.edge(from, guard, to(entry));
        }
    }

    fn arrive(&mut self, open: Open, local: bool) {
        for (from, guard) in open {
            self.edge(from, guard, Onward::Arrive { local });
        }
    }

    /// A table's chain at a hook, where the file has it.
    fn walk(
        &mut self,
        table: TableName,
        hook: &'static str,
        context: Context,
        enter: Vec<Rewrite>,
        open: Open,
    ) -> Open {
        let ruleset = self.draft.ruleset;
        let at = ruleset.built_in(table, hook);
        if at.is_none() && !(table == TableName::Filter && ruleset.tables.contains(&table)) {
            return open;
        }
        let fallback = ruleset.fallback(at, hook, table);
        if fallback.span.is_none() && table == TableName::Filter {
            let text = format!("{hook} has no policy in the file: ACCEPT, as after a boot");
            if !self.draft.gate.assumptions.contains(&text) {
                self.draft.gate.assumptions.push(text);
            }
        }
        let chain = at.map(|at| self.draft.chain(at, context));
        let id = self.stage(
            Stage {
                name: format!("{} {hook}", table.word()),
                enter,
                chain,
                fallback,
                edges: Vec::new(),
            },
            open,
        );
        vec![(id, Guard::Always)]
    }

    /// The nat table: for packets that start a connection. Later packets get what was bound.
    fn nat(
        &mut self,
        packet: Packet,
        hook: &'static str,
        side: NatSide,
        context: Context,
        open: Open,
    ) -> Open {
        let ruleset = self.draft.ruleset;
        let any = ruleset.has.source || ruleset.has.destination;
        match packet {
            Packet::Request => {
                if ruleset.built_in(TableName::Nat, hook).is_none() {
                    return open;
                }
                let new: Open = open
                    .iter()
                    .map(|(from, guard)| (*from, both(guard, state_is(&[State::New]))))
                    .collect();
                let mut after = self.walk(TableName::Nat, hook, context, Vec::new(), new);
                after.extend(open);
                after
            }
            Packet::Reply | Packet::Again => {
                if !any {
                    return open;
                }
                let mut open = open;
                if ruleset.has.notrack && packet == Packet::Reply {
                    open = self.untracked(hook, open);
                }
                let tracked: Open = open
                    .iter()
                    .map(|(from, guard)| {
                        let states = [State::New, State::Established, State::Related];
                        (*from, both(guard, state_is(&states)))
                    })
                    .collect();
                let bound = self.plain(
                    &format!("nat {hook}"),
                    vec![Rewrite::ApplyBinding(side)],
                    tracked,
                );
                if ruleset.has.notrack {
                    open.insert(0, (bound, Guard::Always));
                    open
                } else {
                    // Without exemptions every packet is tracked, or invalid and untranslated.
                    let mut after = vec![(bound, Guard::Always)];
                    after.extend(open);
                    after
                }
            }
        }
    }

    /// A reply that is NEW because the request was exempt from tracking starts a connection of its own: not modelled.
    fn untracked(&mut self, hook: &'static str, open: Open) -> Open {
        let exempting = self.draft.ruleset.chains.iter().find_map(|chain| {
            chain
                .rules
                .iter()
                .find(|rule| matches!(&rule.step, Step::Rewrite(one) if **one == Rewrite::Notrack))
        });
        let Some(span) = exempting.map(|rule| rule.span) else {
            return open;
        };
        let id = self.draft.gate.unknown(Unknown {
            kind: UnknownKind::Opaque,
            code: "notrack",
            text: "following the translation of a reply whose request was not tracked".to_owned(),
            identity: None,
            span: Some(span),
        });
        let chain = self
            .draft
            .gate
            .chain(format!("nat {hook} of an untracked reply"));
        self.draft.gate.rule(
            chain,
            Rule {
                guard: Guard::Always,
                step: Step::Obscure(id),
                span,
            },
        );
        let new: Open = open
            .iter()
            .map(|(from, guard)| (*from, both(guard, state_is(&[State::New]))))
            .collect();
        let stage = self.stage(
            Stage {
                name: format!("nat {hook}"),
                enter: Vec::new(),
                chain: Some(chain),
                fallback: Fallback {
                    effect: Effect::Allow,
                    span: None,
                    text: format!("nat {hook}"),
                },
                edges: Vec::new(),
            },
            new,
        );
        let mut after = vec![(stage, Guard::Always)];
        after.extend(open);
        after
    }

    /// What was sent by the loopback interface and is translated to another machine: `__mkroute_output` (kernel, `route.c`)
    /// drops it unless `route_localnet` is set.
    fn strayed_loopback(&mut self, routing: StageId) {
        let id = self.draft.gate.unknown(Unknown {
            kind: UnknownKind::Fact,
            code: "route-localnet",
            text: "knowing `net.ipv4.conf.*.route_localnet`".to_owned(),
            identity: None,
            span: None,
        });
        let name = "routing of a loopback address".to_owned();
        let dropped = Stage {
            name: name.clone(),
            enter: Vec::new(),
            chain: None,
            fallback: Fallback {
                effect: Effect::Deny(Denial::Drop),
                span: None,
                text: name,
            },
            edges: Vec::new(),
        };
        let strays = vec![
            Guard::number(Dim::Source, Ranges::loopback()),
            Guard::Unknown(id),
        ];
        self.stage(dropped, vec![(routing, Guard::All(strays))]);
    }

    /// Raw and connection tracking, which begin PREROUTING and OUTPUT.
    fn begin(&mut self, hook: &'static str, context: Context, open: Open) -> (StageId, Open) {
        let first = self.draft.gate.stages.len();
        // Before connection tracking has seen the packet, it is INVALID to every match.
        let invalid = Rewrite::Set(Dim::State, Value::Const(State::Invalid as u128));
        let open = self.walk(TableName::Raw, hook, context, vec![invalid], open);
        let tracking = self.plain("connection tracking", vec![Rewrite::Track], open);
        let entry = StageId(u32::try_from(first).unwrap_or(u32::MAX));
        (entry, vec![(tracking, Guard::Always)])
    }

    fn prerouting(&mut self, packet: Packet, open: Open) -> (StageId, Open) {
        let has = self.draft.ruleset.has;
        let before = Context {
            output: Presence::Absent,
            owner: Presence::Absent,
            mac: mac(packet),
            tag: match packet {
                // Until connection tracking has put the client's own address back.
                Packet::Reply if has.source => REPLY | TRANSLATED,
                Packet::Reply => REPLY,
                Packet::Request | Packet::Again => 0,
            },
            ..Context::default()
        };
        let (entry, open) = self.begin("PREROUTING", before, open);
        let open = self.walk(TableName::Mangle, "PREROUTING", before, Vec::new(), open);
        let side = match packet {
            Packet::Reply => NatSide::Source,
            Packet::Request | Packet::Again => NatSide::Destination,
        };
        (entry, self.nat(packet, "PREROUTING", side, before, open))
    }

    /// Where a reply may be for the machine itself, since its translation was not undone, the ways in and through; else
    /// only through.
    fn routing(&mut self, open: Open) -> (Option<Open>, Open) {
        let has = self.draft.ruleset.has;
        if !(has.source && has.notrack) {
            return (None, open);
        }
        let routing = self.plain("routing", Vec::new(), open);
        (
            Some(vec![(routing, Guard::Is(Test::Local(Dim::Destination)))]),
            vec![(routing, Guard::Always)],
        )
    }

    /// A packet that reached a service of the machine: one that was sent elsewhere has been diverted, for the others the
    /// answer must leave too.
    fn serve(&mut self, open: Open) {
        let diverted: Open = open
            .iter()
            .map(|(from, guard)| {
                let translated = Guard::Is(Test::Translated(NatSide::Destination));
                (*from, both(guard, translated))
            })
            .collect();
        self.arrive(diverted, true);
        let (entry, answer) = self.output(Packet::Reply, Vec::new());
        self.leave(open, entry, Onward::Reply);
        let answer = self.postrouting(
            Packet::Reply,
            answer,
            Context {
                owner: Presence::Unknown,
                ..sent()
            },
        );
        self.arrive(answer, true);
    }

    fn forwarding(&mut self, packet: Packet, open: Open) -> Open {
        let context = Context {
            owner: Presence::Absent,
            mac: mac(packet),
            forwarded: true,
            tag: self.tag(packet),
            ..Context::default()
        };
        self.filters("FORWARD", context, open)
    }

    fn filters(&mut self, hook: &'static str, context: Context, open: Open) -> Open {
        FILTERS.into_iter().fold(open, |open, table| {
            self.walk(table, hook, context, Vec::new(), open)
        })
    }

    /// INPUT; `base` says what the loopback interface changes.
    fn input(&mut self, packet: Packet, open: Open, base: Context) -> Open {
        let context = Context {
            output: Presence::Absent,
            owner: Presence::Absent,
            mac: if base.mac == Presence::Asked {
                mac(packet)
            } else {
                base.mac
            },
            tag: self.tag(packet) | base.tag,
            input: base.input,
            ..Context::default()
        };
        let open = self.filters("INPUT", context, open);
        if base.tag & LOOPED != 0 {
            // The connection's source was already settled in POSTROUTING.
            return open;
        }
        let side = match packet {
            Packet::Reply => NatSide::Destination,
            Packet::Request | Packet::Again => NatSide::Source,
        };
        self.nat(packet, "INPUT", side, context, open)
    }

    fn output(&mut self, packet: Packet, open: Open) -> (StageId, Open) {
        let context = Context {
            owner: match packet {
                Packet::Request | Packet::Again => Presence::Asked,
                Packet::Reply => Presence::Unknown,
            },
            tag: if packet == Packet::Reply { REPLY } else { 0 },
            ..sent()
        };
        let (entry, open) = self.begin("OUTPUT", context, open);
        let open = self.walk(TableName::Mangle, "OUTPUT", context, Vec::new(), open);
        let side = match packet {
            Packet::Reply => NatSide::Source,
            Packet::Request | Packet::Again => NatSide::Destination,
        };
        let open = self.nat(packet, "OUTPUT", side, context, open);
        let context = Context {
            tag: self.tag(packet),
            ..context
        };
        let open = self.walk(TableName::Filter, "OUTPUT", context, Vec::new(), open);
        let open = self.walk(TableName::Security, "OUTPUT", context, Vec::new(), open);
        (entry, open)
    }

    fn postrouting(&mut self, packet: Packet, open: Open, base: Context) -> Open {
        let context = Context {
            mac: if base.mac == Presence::Asked {
                mac(packet)
            } else {
                base.mac
            },
            tag: self.tag(packet) | base.tag,
            ..base
        };
        let open = self.walk(TableName::Mangle, "POSTROUTING", context, Vec::new(), open);
        let side = match packet {
            Packet::Reply => NatSide::Destination,
            Packet::Request | Packet::Again => NatSide::Source,
        };
        self.nat(packet, "POSTROUTING", side, context, open)
    }

    /// A packet of the machine to itself: POSTROUTING, then PREROUTING and INPUT, tracked and translated already.
    fn loopback(&mut self, open: Open) {
        let out = Context {
            output: Presence::Loopback,
            tag: LOOPED,
            ..sent()
        };
        let open = self.postrouting(Packet::Request, open, out);
        let into = Context {
            input: Presence::Loopback,
            output: Presence::Absent,
            owner: Presence::Absent,
            mac: Presence::Absent,
            tag: LOOPED | self.tag(Packet::Request),
            looped: true,
            ..Context::default()
        };
        let open = self.walk(TableName::Raw, "PREROUTING", into, Vec::new(), open);
        let open = self.walk(TableName::Mangle, "PREROUTING", into, Vec::new(), open);
        let open = self.input(Packet::Request, open, into);
        self.arrive(open, true);
    }

    fn tag(&self, packet: Packet) -> u8 {
        match packet {
            Packet::Reply => REPLY,
            Packet::Request | Packet::Again if self.draft.ruleset.has.destination => TRANSLATED,
            Packet::Request | Packet::Again => 0,
        }
    }
}

fn mac(packet: Packet) -> Presence {
    match packet {
        Packet::Reply => Presence::Unknown,
        Packet::Request | Packet::Again => Presence::Asked,
    }
}

fn both(left: &Guard, right: Guard) -> Guard {
    if *left == Guard::Always {
        right
    } else {
        Guard::All(vec![left.clone(), right])
    }
}
