#!/usr/bin/env python3
"""Kernel oracle for iptables rulesets.

Loads an iptables-save file into a private network namespace and asks the real
kernel what it does with each probe packet.  Needs root, iproute2, iptables,
nftables (for the observation taps), optionally ipset.  Standard library only.

    iptables_kernel.py --rules4 FILE [--rules6 FILE] [--ipset FILE]
                       [--backend nft|legacy] [--isolate] PROBES.json
    iptables_kernel.py --batch [--backend nft|legacy]  < JSON lines
    iptables_kernel.py --selftest [--backend nft|legacy]
    iptables_kernel.py --modules  [--backend nft|legacy]

--batch reads one JSON object per line, {"rules4": TEXT, "rules6": TEXT, "interfaces": {...}, "probes": [...]},
and answers each with one line: the list of results, or {"error": "why"}.

PROBES.json is a list of probes, or {"interfaces": {...}, "probes": [...]}:
  probe: hook OUTPUT|FORWARD|INPUT, family 4|6, src, dst, proto udp|tcp|icmp or a
    number, sport, dport, in, out (interface names), state new|established,
    optional: id (echoed), len (total IP packet length), flags ("S", "SA", "A" ..),
    icmp_type, icmp_code, smac, uid (OUTPUT), mark (OUTPUT, SO_MARK), tos, ttl,
    payload_hex.
  interfaces: {"eth0": ["10.0.0.1/24", "2001:db8::1/64"]} gives addresses that
    matter to addrtype / MASQUERADE / REDIRECT; every interface named by a probe
    exists anyway and has an address of its own.
  state "established": the probe is the REPLY packet of a connection that its
    destination opened before the ruleset was loaded.

Output: {"backend":..., "kernel":..., "results":[{"id","verdict","path","dst",...}]}
  verdict: accept | drop | reject | "error: why"
  path: the hook at which the packet was last seen ("postrouting" or "input"),
  final: the packet's addresses there (shows DNAT / REDIRECT / SNAT).

How it works: one namespace F holds the ruleset; a second one, P, holds the far
ends of F's interfaces and injects frames (FORWARD, INPUT); OUTPUT probes are
written by a raw socket in F.  Taps are nft base chains in a table of our own, at
priorities before and after every iptables table, that copy packets to us with
NFLOG: accept = seen after the last chain of POSTROUTING (FORWARD, OUTPUT) or of
INPUT; reject = an ICMP error or RST that answers the probe, seen before F's own
OUTPUT chain could drop it; drop = neither, although the same probe passed when
no ruleset was loaded (otherwise: error).  Both namespaces are anonymous, so
nothing is left behind even when this process is killed.
"""
import argparse, collections, ctypes, errno, ipaddress, json, os, select, socket
import struct, subprocess, sys, tempfile, time

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
MAGIC = b"IPTORCL"
SEQ0 = 0x20000000
GROUP = 71
TAP = """
table inet iptables_oracle_tap {
  chain ctk {
    type filter hook prerouting priority -1000;
    ct state invalid counter
  }
  chain o0 {
    type filter hook output priority -2000;
    meta l4proto { icmp, icmpv6, tcp } log prefix "O0" group %(g)d snaplen 2048 queue-threshold 1
  }
  chain in1 {
    type filter hook input priority 2000;
    log prefix "I1" group %(g)d snaplen 2048 queue-threshold 1
  }
  chain post1 {
    type filter hook postrouting priority 2000;
    oifname "lo" return
    log prefix "P1" group %(g)d snaplen 2048 queue-threshold 1
  }
}
""" % {"g": GROUP}


LOCKDIR = []  # a lock of our own: the usual one is shared with the machine's other namespaces


class Oops(Exception):
    pass


def unshare_net():
    if libc.unshare(CLONE_NEWNET) != 0:
        raise Oops("unshare: " + os.strerror(ctypes.get_errno()))


def setns(path_or_fd):
    fd = path_or_fd if isinstance(path_or_fd, int) else os.open(path_or_fd, os.O_RDONLY)
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise Oops("setns: " + os.strerror(ctypes.get_errno()))
    if not isinstance(path_or_fd, int):
        os.close(fd)


def run(argv, text="", check=True):
    env = dict(os.environ, LC_ALL="C")
    if LOCKDIR:
        env["XTABLES_LOCKFILE"] = os.path.join(LOCKDIR[0], "lock")
    p = subprocess.run(argv, input=text, capture_output=True, text=True, env=env)
    if check and p.returncode:
        raise Oops("%s: %s" % (" ".join(argv), (p.stderr or p.stdout).strip()))
    return p


def sysctl(path, val):
    try:
        with open("/proc/sys/net/" + path, "w") as f:
            f.write(str(val))
    except OSError:
        pass


def csum(b):
    if len(b) & 1:
        b += b"\0"
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


PROTO = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "icmpv6": 58, "sctp": 132, "gre": 47, "esp": 50, "ah": 51, "udplite": 136}
FLAG = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}


class Probe:
    def __init__(self, i, d):
        self.i, self.d, self.gen = i, d, 0
        self.hook = str(d.get("hook", "OUTPUT")).upper()
        if self.hook not in ("OUTPUT", "FORWARD", "INPUT"):
            raise Oops("hook must be OUTPUT, FORWARD or INPUT")
        self.dst = ipaddress.ip_address(d["dst"])
        self.src = ipaddress.ip_address(d["src"])
        self.fam = int(d.get("family", self.dst.version))
        if self.src.version != self.fam or self.dst.version != self.fam:
            raise Oops("src, dst and family disagree")
        p = str(d.get("proto", "udp")).lower()
        self.proto = int(p) if p.isdigit() else PROTO.get(p, -1)
        if self.proto < 0:
            raise Oops("unknown proto " + p)
        if self.proto == 1 and self.fam == 6:
            self.proto = 58
        self.sport, self.dport = int(d.get("sport", 40000)), int(d.get("dport", 0))
        self.iif = d.get("in") or "in0"
        self.oif = d.get("out") or "out0"
        self.state = str(d.get("state", "new")).lower()
        if self.state not in ("new", "established"):
            raise Oops("state must be new or established")
        self.verdict = None

    def packet(self, reverse=False):
        """The IP packet; reverse=True gives the opening packet of the connection this probe answers."""
        d = self.d
        src, dst, sp, dp = self.src, self.dst, self.sport, self.dport
        flags = d.get("flags") or ("SA" if self.state == "established" else "S")
        itype = d.get("icmp_type")
        if itype is None:
            itype = {4: 8, 6: 128}[self.fam] if self.state == "new" else {4: 0, 6: 129}[self.fam]
        if reverse:
            src, dst, sp, dp, flags, itype = dst, src, dp, sp, "S", {4: 8, 6: 128}[self.fam]
        sb, db = src.packed, dst.packed
        tail = MAGIC + struct.pack("!BI", self.gen & 255, self.i)
        body = bytes.fromhex(d.get("payload_hex", "")) + tail
        hl = {4: 20, 6: 40}[self.fam]
        l4h = {6: 20, 17: 8, 1: 8, 58: 8, 136: 8}.get(self.proto, 0)
        if d.get("len") and not reverse:
            body += b"\0" * (int(d["len"]) - hl - l4h - len(body))
        n = l4h + len(body)
        pseudo = sb + db + (struct.pack("!BBH", 0, self.proto, n) if self.fam == 4 else struct.pack("!IHBB", n, 0, 0, self.proto))
        if self.proto == 6:
            f = sum(FLAG[c] for c in flags)
            seq = SEQ0 + ((self.gen & 7) << 27) + self.i * 4096
            ack = 0 if "A" not in flags else seq + 1 + len(tail)  # the opening SYN carried the tail
            h = struct.pack("!HHIIBBHHH", sp, dp, seq, ack, 5 << 4, f, 65535, 0, 0)
            c = csum(pseudo + h + body)
            l4 = h[:16] + struct.pack("!H", c) + h[18:] + body
        elif self.proto in (17, 136):
            h = struct.pack("!HHHH", sp, dp, n, 0)
            c = csum(pseudo + h + body) or 0xFFFF
            l4 = h[:6] + struct.pack("!H", c) + body
        elif self.proto in (1, 58):
            ident = int(d.get("icmp_id", 1 + self.i % 65000))
            h = struct.pack("!BBHHH", itype, int(d.get("icmp_code", 0)), 0, ident, 1)
            c = csum((pseudo if self.proto == 58 else b"") + h + body)
            l4 = h[:2] + struct.pack("!H", c) + h[4:] + body
        else:
            l4 = body
        ttl, tos = int(d.get("ttl", 64)), int(d.get("tos", 0))
        if self.fam == 4:
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(l4), (self.i + 1) & 0xFFFF, 0x4000, ttl, self.proto, 0, sb, db)
            ip = ip[:10] + struct.pack("!H", csum(ip)) + ip[12:]
        else:
            ip = struct.pack("!IHBB16s16s", 6 << 28 | tos << 20, len(l4), self.proto, ttl, sb, db)
        return ip + l4

    def key(self):
        return (self.fam, self.hook, self.iif if self.hook == "INPUT" else self.oif)

    def tuple(self):
        extra = int(self.d.get("icmp_id", 1 + self.i % 65000)) if self.proto in (1, 58) else 0
        return (self.proto, extra, frozenset([(self.src, self.sport), (self.dst, self.dport)]))

    def locals_(self):
        if self.hook == "INPUT":
            return {self.dst}
        if self.hook == "OUTPUT":
            return {self.src, self.dst} if self.oif == "lo" else {self.src}
        return set()

    def remotes(self):
        return {self.src, self.dst} - self.locals_()


class Wave:
    def __init__(self, p):
        self.key, self.ps, self.tuples, self.loc, self.rem = p.key(), [], set(), set(), set()

    def fits(self, p):
        return (p.key() == self.key and p.tuple() not in self.tuples
                and not (p.locals_() & self.rem) and not (p.remotes() & self.loc))

    def add(self, p):
        self.ps.append(p)
        self.tuples.add(p.tuple())
        self.loc |= p.locals_()
        self.rem |= p.remotes()


def waves_of(probes):
    by, out = collections.defaultdict(list), []
    for p in probes:
        for w in by[p.key()]:
            if w.fits(p):
                break
        else:
            w = Wave(p)
            by[p.key()].append(w)
            out.append(w)
        w.add(p)
    return out


def nlmsg(sub, msg, flags, fam, res, attrs=b""):
    body = struct.pack("!BBH", fam, 0, res) + attrs
    return struct.pack("=IHHII", 16 + len(body), sub << 8 | msg, flags, 1, 0) + body


def nla(t, data):
    b = struct.pack("=HH", 4 + len(data), t) + data
    return b + b"\0" * (-len(b) % 4)


class Lab:
    def __init__(self, ifaces, addrs):
        self.gen = 0
        r, w = os.pipe()
        rr, rw = os.pipe()
        self.child = os.fork()
        if self.child == 0:  # namespace P: only waits until the parent is gone
            try:
                os.close(w)
                os.close(rr)
                unshare_net()
                os.write(rw, b"x")
                os.read(r, 1)
            finally:
                os._exit(0)
        os.close(r)
        os.close(rw)
        self.pipe = w
        if os.read(rr, 1) != b"x":
            raise Oops("cannot create a network namespace")
        os.close(rr)
        unshare_net()  # namespace F: this process itself
        for f in ("ipv4/conf/all/", "ipv4/conf/default/"):
            for k, v in (("rp_filter", 0), ("accept_local", 1), ("send_redirects", 0), ("forwarding", 1)):
                sysctl(f + k, v)
        for k, v in (("ipv4/ip_forward", 1), ("ipv4/icmp_ratelimit", 0), ("ipv4/icmp_ratemask", 0), ("ipv4/icmp_msgs_per_sec", 1000000),
                     ("ipv4/icmp_msgs_burst", 1000000),
                     ("ipv6/conf/all/disable_ipv6", 0), ("ipv6/conf/default/accept_dad", 0), ("ipv6/conf/all/accept_dad", 0),
                     ("ipv6/conf/all/forwarding", 1), ("ipv6/conf/default/forwarding", 1), ("ipv6/icmp/ratelimit", 0),
                     ("ipv4/fib_multipath_hash_policy", 0), ("ipv4/tcp_l3mdev_accept", 0)):
            sysctl(k, v)
        b = ["link set lo up"]
        self.tx, self.mac = {}, {}
        names = [n for n in ifaces if n != "lo"]
        for k, n in enumerate(names):
            b.append("link add name %s arp off address 02:00:00:00:%02x:%02x type veth peer name p%d netns %d" % (n, k // 256, k % 256, k, self.child))
            b.append("addr add 198.18.%d.%d/32 dev %s" % (200 + k // 250, 1 + k % 250, n))
            b.append("addr add fd69:7074:6f72::%x/128 dev %s nodad" % (k + 1, n))
            for a in addrs.get(n, []):
                b.append("addr add %s dev %s%s" % (a, n, " nodad" if ":" in a else ""))
            b.append("link set %s arp off up" % n)
        run(["ip", "-batch", "-"], "\n".join(b) + "\n")
        for n in names:
            for k, v in (("rp_filter", 0), ("accept_local", 1), ("send_redirects", 0)):
                sysctl("ipv4/conf/%s/%s" % (n, k), v)
        fself = os.open("/proc/self/ns/net", os.O_RDONLY)
        setns("/proc/%d/ns/net" % self.child)
        try:
            b = []
            sysctl("ipv6/conf/all/disable_ipv6", 1)
            sysctl("ipv6/conf/default/disable_ipv6", 1)
            for k, n in enumerate(names):
                b.append("link set p%d arp off up" % k)
            run(["ip", "-batch", "-"], "\n".join(b) + "\n")
            for k, n in enumerate(names):
                s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                s.bind(("p%d" % k, 0))
                self.tx[n] = s
                self.mac[n] = bytes([2, 0, 0, 0, k // 256, k % 256])
        finally:
            setns(fself)
            os.close(fself)
        run(["nft", "-f", "-"], TAP)
        self.nl = socket.socket(16, socket.SOCK_RAW, 12)
        self.nl.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.nl.bind((0, 0))
        for attrs in (nla(1, b"\1"), nla(2, struct.pack("!IBB", 2048, 2, 0)), nla(5, struct.pack("!I", 1))):
            self.nl.send(nlmsg(4, 1, 1 | 4, 0, GROUP, attrs))
            while True:  # log messages may arrive before the acknowledgement
                b = self.nl.recv(1 << 20)
                if struct.unpack_from("=H", b, 4)[0] == 2:
                    break
            e = struct.unpack_from("=i", b, 16)[0]
            if e:
                raise Oops("NFLOG: " + os.strerror(-e))
        self.ct = socket.socket(16, socket.SOCK_RAW, 12)
        self.ct.bind((0, 0))
        self.raw = {}

    def close(self):
        os.close(self.pipe)
        try:
            os.waitpid(self.child, 0)
        except ChildProcessError:
            pass

    def flush_ct(self):
        self.ct.send(nlmsg(1, 2, 1 | 4, 0, 0))
        self.ct.recv(65536)

    def outsock(self, p):
        k = (p.fam, p.d.get("uid"), p.d.get("mark"))
        if k not in self.raw:
            if k[1] is not None:
                libc.setfsuid(int(k[1]))
            try:
                s = socket.socket(socket.AF_INET if p.fam == 4 else socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
            finally:
                if k[1] is not None:
                    libc.setfsuid(0)
            if k[2] is not None:
                s.setsockopt(socket.SOL_SOCKET, 36, int(k[2]))
            self.raw[k] = s
        return self.raw[k]

    def send(self, p, reverse=False):
        pkt = p.packet(reverse)
        local = p.hook == "OUTPUT"
        dev = p.iif
        if reverse:
            local, dev = p.hook == "INPUT", p.oif
        if local:
            try:
                self.outsock(p).sendto(pkt, (str(p.src if reverse else p.dst), 0))
            except OSError as e:
                if e.errno not in (errno.EPERM, errno.ENOBUFS, errno.EACCES):
                    p.send_error = e.strerror
            return
        if dev == "lo":
            raise Oops("a packet cannot be injected on lo; use hook OUTPUT with out lo")
        mac = bytes.fromhex(str(p.d.get("smac", "02:ff:00:00:00:01")).replace(":", "").replace("-", ""))
        self.tx[dev].send(self.mac[dev] + mac + struct.pack("!H", 0x0800 if p.fam == 4 else 0x86DD) + pkt)

    def read(self, seen, deadline=0.08, want=None):
        """Collect NFLOG copies until quiet."""
        end = time.monotonic() + deadline
        while True:
            left = end - time.monotonic()
            r, _, _ = select.select([self.nl], [], [], max(0, left))
            if not r:
                return
            try:
                buf = self.nl.recv(1 << 20)
            except OSError as e:
                if e.errno == errno.ENOBUFS:
                    raise Oops("NFLOG overrun")
                raise
            end = max(end, time.monotonic() + 0.02)
            o = 0
            while o + 16 <= len(buf):
                ln, ty = struct.unpack_from("=IH", buf, o)
                if ln < 16:
                    break
                if ty == 4 << 8:
                    self.one(buf[o + 20:o + ln], seen)
                o += ln + (-ln % 4)
            if want is not None and want():
                return

    def one(self, b, seen):
        o, prefix, pay = 0, b"", b""
        while o + 4 <= len(b):
            ln, ty = struct.unpack_from("=HH", b, o)
            if ln < 4:
                break
            if ty & 0x3FFF == 10:
                prefix = b[o + 4:o + ln].rstrip(b"\0")
            elif ty & 0x3FFF == 9:
                pay = b[o + 4:o + ln]
            o += ln + (-ln % 4)
        if not pay:
            return
        v = pay[0] >> 4
        if v == 4:
            hl, proto = (pay[0] & 15) * 4, pay[9]
            src, dst = socket.inet_ntop(socket.AF_INET, pay[12:16]), socket.inet_ntop(socket.AF_INET, pay[16:20])
        elif v == 6 and len(pay) >= 40:
            hl, proto = 40, pay[6]
            src, dst = socket.inet_ntop(socket.AF_INET6, pay[8:24]), socket.inet_ntop(socket.AF_INET6, pay[24:40])
        else:
            return
        l4 = pay[hl:]
        err = (proto == 1 and l4[:1] and l4[0] in (3, 4, 5, 11, 12)) or (proto == 58 and l4[:1] and (l4[0] < 128 or l4[0] == 137))
        if proto == 6 and len(l4) >= 20 and l4[13] & 4:  # RST: the acknowledgement number tells whose
            for off in (8, 4):
                x = struct.unpack_from("!I", l4, off)[0] - SEQ0
                if x >= 0 and x >> 27 == self.gen & 7 and MAGIC not in l4 and prefix == b"O0":
                    seen[(x & (1 << 27) - 1) // 4096].setdefault("reject", "tcp-reset")
                    break
            if MAGIC not in l4:
                return
        at = pay.rfind(MAGIC)
        if at < 0 or at + 12 > len(pay):
            return
        gen, i = struct.unpack_from("!BI", pay, at + 7)
        if gen != self.gen & 255:
            return
        if err:
            if prefix == b"O0" and not (proto == 58 and l4[0] == 137):
                seen[i].setdefault("reject", "icmp%s type %d code %d" % ("6" if v == 6 else "", l4[0], l4[1]))
            return
        if prefix in (b"P1", b"I1", b"F1"):
            sp = dp = None
            if proto in (6, 17, 132, 136) and len(l4) >= 4:
                sp, dp = struct.unpack_from("!HH", l4)
            seen[i][prefix.decode()] = {"src": src, "dst": dst, "sport": sp, "dport": dp}

    def routes(self, w, add):
        fam, hook, dev = w.key
        b = []
        for a in sorted(w.loc, key=str):
            b.append("route %s local %s dev lo table local" % ("replace" if add else "del", a))
        dev = "lo" if dev == "lo" else dev
        if dev != "lo":
            b.append("route %s default dev %s" % ("replace" if add else "del", dev))
        p = run(["ip", "-%d" % fam, "-force", "-batch", "-"], "\n".join(b) + "\n", check=False)

    def fire(self, w, only=None):
        seen = collections.defaultdict(dict)
        ps = [p for p in w.ps if only is None or p in only]
        n = 0
        for p in ps:
            p.gen = self.gen
            try:
                self.send(p)
            except Oops as e:
                p.verdict = {"verdict": "error: %s" % e}
            n += 1
            if n % 64 == 0:
                self.read(seen, 0.0)

        def done():
            return all(("I1" if p.hook == "INPUT" or p.oif == "lo" and p.hook == "OUTPUT" else "P1") in seen[p.i] or "reject" in seen[p.i] or p.verdict for p in ps)
        self.read(seen, 0.08, done)
        self.gen += 1
        return seen


def classify(p, s):
    # OUTPUT to lo, also where NAT sent it there, crosses POSTROUTING and then INPUT: only INPUT's end is an accept.
    need = "I1" if p.hook == "INPUT" or (p.hook == "OUTPUT" and p.oif == "lo") else "P1"
    hit = s.get(need) or s.get("I1")
    if not hit and p.hook == "INPUT":
        hit = s.get("P1")
    if hit:
        path = "postrouting" if hit is s.get("P1") else "input"
        return {"verdict": "accept", "path": path, "final": hit}
    if "reject" in s:
        return {"verdict": "reject", "with": s["reject"]}
    return None


class Ruleset:
    def __init__(self, backend, rules4=None, rules6=None, ipset=None):
        self.backend, self.r = backend, {4: rules4, 6: rules6}
        self.ipset, self.err = ipset, {}

    def tool(self, fam, what):
        return "ip%stables-%s-%s" % ("6" if fam == 6 else "", self.backend, what)

    def load(self):
        if self.ipset:
            p = run(["ipset", "-exist", "restore"], self.ipset, check=False)
            if p.returncode:
                self.err[0] = "ipset: " + p.stderr.strip()
        for fam in (4, 6):
            if self.r[fam] is not None:
                argv = [self.tool(fam, "restore")] + (["-w"] if self.backend == "legacy" else [])
                p = run(argv, self.r[fam], check=False)
                if p.returncode:
                    self.err[fam] = " / ".join(x.strip() for x in p.stderr.strip().splitlines() if x.strip())[:400]

    def unload(self):
        for fam in (4, 6):
            if self.r[fam] is not None:
                empty = ""
                for t, cs in (("raw", "PREROUTING OUTPUT"), ("mangle", "PREROUTING INPUT FORWARD OUTPUT POSTROUTING"),
                              ("nat", "PREROUTING INPUT OUTPUT POSTROUTING"), ("filter", "INPUT FORWARD OUTPUT"), ("security", "INPUT FORWARD OUTPUT")):
                    if "*" + t in self.r[fam]:
                        empty += "*%s\n%sCOMMIT\n" % (t, "".join(":%s ACCEPT\n" % c for c in cs.split()))
                run([self.tool(fam, "restore")], empty, check=False)


def verdicts(rs, probes, ifaddrs=None, isolate=False):
    """probes: list of dicts. Returns a list of result dicts in the same order."""
    ifaddrs = ifaddrs or {}
    ps, res = [], [None] * len(probes)
    for i, d in enumerate(probes):
        try:
            p = Probe(i, d)
            p.send_error = None
            ps.append(p)
        except (Oops, KeyError, ValueError, TypeError) as e:
            res[i] = {"verdict": "error: bad probe: %s" % (e if str(e) else repr(e))}
    names = sorted(set(ifaddrs) | {p.iif for p in ps} | {p.oif for p in ps} | {"in0", "out0"})
    lab = Lab(names, ifaddrs)
    try:
        ws = waves_of(ps)
        ctl = {}
        for w in ws:  # control: no ruleset at all
            lab.routes(w, True)
            lab.flush_ct()
            for i, s in lab.fire(w).items():
                ctl[i] = classify(ps_by(ps, i), s) or {}
            lab.routes(w, False)
        est = [w for w in waves_of([p for p in ps if p.state == "established"])]
        new = [w for w in waves_of([p for p in ps if p.state == "new"])]
        got = {}

        def shoot(w, only=None):
            for i, s in lab.fire(w, only).items():
                got[i] = s
        first = True
        for w in est:
            lab.routes(w, True)
            lab.flush_ct()
            if not first:
                rs.unload()
            for p in w.ps:
                p.gen = lab.gen
                lab.send(p, reverse=True)
            lab.read(collections.defaultdict(dict), 0.05)
            rs.load()
            first = False
            shoot(w)
            lab.routes(w, False)
        if new and first:
            rs.load()
        for w in new:
            lab.routes(w, True)
            if isolate:
                for p in w.ps:
                    lab.flush_ct()
                    rs.unload()
                    rs.load()
                    shoot(w, [p])
            else:
                lab.flush_ct()
                shoot(w)
            lab.routes(w, False)
        for p in ps:
            e = rs.err.get(p.fam) or rs.err.get(0)
            if e:
                r = {"verdict": "error: ruleset refused: " + e}
            elif p.verdict:
                r = p.verdict
            elif ctl.get(p.i, {}).get("verdict") != "accept":
                r = {"verdict": "error: not deliverable even without a ruleset" + (" (%s)" % p.send_error if p.send_error else "")}
            else:
                r = classify(p, got.get(p.i, {})) or {"verdict": "drop"}
            res[p.i] = r
    finally:
        lab.close()
    return [dict({"id": d.get("id", i)}, **r) for i, (d, r) in enumerate(zip(probes, res))]


def ps_by(ps, i):
    for p in ps:
        if p.i == i:
            return p


def in_child(fn):
    """Run fn in a child, so that the caller keeps its own network namespace."""
    with tempfile.TemporaryDirectory(prefix="iptoracle") as d:
        LOCKDIR[:] = [d]
        return in_child2(fn)


def in_child2(fn):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        try:
            out = {"ok": fn()}
        except BaseException as e:  # noqa: the parent reports it
            out = {"err": "%s: %s" % (type(e).__name__, e)}
        with os.fdopen(w, "w") as f:
            json.dump(out, f)
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        t = f.read()
    os.waitpid(pid, 0)
    out = json.loads(t) if t else {"err": "the oracle died"}
    if "err" in out:
        raise Oops(out["err"])
    return out["ok"]


def ask(backend, rules4, probes, rules6=None, ipset=None, ifaddrs=None, isolate=False):
    return in_child(lambda: verdicts(Ruleset(backend, rules4, rules6, ipset), probes, ifaddrs, isolate))


# ---------------------------------------------------------------- self test
def F(v, dst="99.77.130.1", proto="udp", dport=3478, hook="FORWARD", src="10.0.0.5", **k):
    k["in"] = k.pop("iif", "eth1")
    k["out"] = k.pop("oif", "eth0")
    return (v, dict(hook=hook, src=src, dst=dst, proto=proto, dport=dport, **k))


def tests():
    T = "*filter\n:INPUT %s [0:0]\n:FORWARD %s [0:0]\n:OUTPUT %s [0:0]\n"
    D, A = T % ("DROP", "DROP", "DROP"), T % ("ACCEPT", "ACCEPT", "ACCEPT")
    C = "COMMIT\n"
    E = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
    yield "policies", D + C, [F("drop"), F("drop", hook="OUTPUT"), F("drop", hook="INPUT")]
    yield "policies accept", A + C, [F("accept"), F("accept", hook="OUTPUT"), F("accept", hook="INPUT")]
    yield "user chain, RETURN, fall through", D + ":CH - [0:0]\n-A FORWARD -j CH\n-A FORWARD -p tcp -j ACCEPT\n-A CH -d 99.77.129.0/24 -j RETURN\n-A CH -d 99.77.128.0/18 -p udp -m udp --dport 3478 -j ACCEPT\n" + C, [
        F("accept"), F("drop", dst="99.77.129.1"), F("accept", dst="99.77.129.1", proto="tcp"), F("accept", proto="tcp", dport=443), F("drop", dport=3479)]
    yield "RETURN in a built-in chain means the policy", D + "-A FORWARD -p udp -j RETURN\n-A FORWARD -j ACCEPT\n" + C, [F("drop"), F("accept", proto="tcp")]
    yield "goto does not come back to the caller", A + ":G - [0:0]\n:CALLER - [0:0]\n-A FORWARD -j CALLER\n-A FORWARD -p udp -m udp --dport 1 -j DROP\n-A CALLER -g G\n-A CALLER -j DROP\n-A G -p udp -m udp --dport 2 -j DROP\n" + C, [
        F("accept"), F("drop", dport=1), F("drop", dport=2)]
    yield "goto from a built-in chain: its end is the policy", D + ":G - [0:0]\n-A FORWARD -g G\n-A FORWARD -j ACCEPT\n-A G -p tcp -j ACCEPT\n" + C, [F("drop"), F("accept", proto="tcp")]
    yield "negation", D + "-A FORWARD ! -d 99.77.128.0/18 -j ACCEPT\n-A FORWARD ! -p udp -j ACCEPT\n-A FORWARD -p udp -m udp ! --dport 3478 -j ACCEPT\n" + C, [
        F("drop"), F("accept", dst="8.8.8.8"), F("accept", proto="tcp", dport=443), F("accept", dport=3479)]
    yield "multiport with ranges", D + "-A FORWARD -p udp -m multiport --dports 53,3000:3478,5000 -j ACCEPT\n-A FORWARD -p tcp -m multiport --ports 443 -j ACCEPT\n" + C, [
        F("accept"), F("accept", dport=53), F("drop", dport=54), F("accept", proto="tcp", dport=443), F("accept", proto="tcp", dport=80, sport=443), F("drop", proto="tcp", dport=80)]
    yield "negated multiport and iprange", D + "-A FORWARD -p udp -m multiport ! --dports 53,123 -m iprange --dst-range 99.77.128.0-99.77.191.255 -j ACCEPT\n-A FORWARD -m iprange ! --src-range 10.0.0.0-10.0.0.9 -j ACCEPT\n" + C, [
        F("accept"), F("drop", dport=53), F("drop", dst="99.77.192.1"), F("accept", dst="99.77.192.1", src="10.0.0.10")]
    yield "conntrack: NEW dropped, replies kept", D + "-A FORWARD " + E + "-A FORWARD -p tcp -m conntrack --ctstate NEW -j ACCEPT\n" + C, [
        F("drop"), F("accept", proto="tcp", dport=443), F("accept", state="established"), F("accept", proto="tcp", dport=40001, sport=443, state="established"), F("accept", hook="FORWARD", proto="tcp", flags="A")]
    yield "return path: OUTPUT open, INPUT without ESTABLISHED", "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp " + E + C, [
        F("accept", hook="OUTPUT"), F("drop", hook="INPUT", src="99.77.130.1", dst="10.0.0.5", sport=3478, dport=40000, state="established"),
        F("accept", hook="INPUT", src="99.77.130.1", dst="10.0.0.5", proto="tcp", sport=443, dport=40000, state="established")]
    yield "ipset", D + "-A FORWARD -m set --match-set chime dst -p udp -j ACCEPT\n-A FORWARD -m set --match-set np dst,dst -j ACCEPT\n-A FORWARD -m set ! --match-set chime dst -p tcp -j ACCEPT\n" + C, [
        F("accept"), F("drop", dst="99.77.192.1"), F("drop", proto="tcp", dport=443), F("accept", proto="tcp", dport=80), F("accept", dst="1.1.1.1", proto="tcp")], \
        "create chime hash:net family inet\nadd chime 99.77.128.0/18\ncreate np hash:net,port family inet\nadd np 99.77.128.0/18,tcp:80\n"
    yield "LOG is not terminal, then DROP", A + ":LD - [0:0]\n-A FORWARD -p udp -j LD\n-A LD -j LOG --log-prefix \"a b: \"\n-A LD -j DROP\n" + C, [F("drop"), F("accept", proto="tcp")]
    yield "REJECT kinds, though OUTPUT drops", D + "-A FORWARD -p udp -j REJECT\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n-A INPUT -j REJECT --reject-with icmp-admin-prohibited\n-A OUTPUT -p udp -j REJECT\n" + C, [
        F("reject"), F("reject", proto="tcp"), F("reject", hook="INPUT"), F("reject", hook="OUTPUT"), F("drop", hook="OUTPUT", proto="tcp")]
    yield "mark set in mangle, matched in filter", "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -m udp --dport 3478 -j MARK --set-xmark 0x5/0xff\nCOMMIT\n" + D + "-A FORWARD -m mark --mark 0x5/0x7 -j ACCEPT\n" + C, [F("accept"), F("drop", dport=3479)]
    yield "CONNMARK save and restore", "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -j MARK --set-mark 3\n-A PREROUTING -j CONNMARK --save-mark\nCOMMIT\n" + D + "-A FORWARD -m connmark --mark 3 -j ACCEPT\n" + C, [F("accept"), F("drop", proto="tcp")]
    yield "nat DNAT before filter", "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A PREROUTING -p udp -m udp --dport 3478 -j DNAT --to-destination 10.9.9.9:4000\n-A OUTPUT -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.9.9.8:8443\nCOMMIT\n" + D + "-A FORWARD -d 99.77.128.0/18 -p udp -m udp --dport 3478 -j ACCEPT\n-A OUTPUT -d 10.9.9.8/32 -p tcp -m tcp --dport 8443 -j ACCEPT\n" + C, [
        F("drop"), F("accept", hook="OUTPUT", proto="tcp", dport=443), F("drop", hook="OUTPUT", proto="tcp", dport=444)]
    yield "nat REDIRECT turns FORWARD into INPUT", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 443 -j REDIRECT --to-ports 3129\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 3130 -j ACCEPT\n" + C, [F("drop", proto="tcp", dport=443), F("accept", proto="tcp", dport=80)]
    yield "SNAT/MASQUERADE after filter", "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n" + D + "-A FORWARD -s 10.0.0.0/8 -j ACCEPT\n" + C, [F("accept"), F("drop", src="172.16.0.1")]
    yield "raw and mangle DROP win over filter ACCEPT", "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -m udp --dport 3478 -j DROP\nCOMMIT\n*mangle\n:FORWARD ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A FORWARD -p udp -m udp --dport 53 -j DROP\n-A POSTROUTING -p udp -m udp --dport 54 -j DROP\nCOMMIT\n" + A + C, [F("drop"), F("drop", dport=53), F("drop", dport=54), F("accept", dport=55)]
    yield "filter ACCEPT does not skip the security table", A + C + "*security\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p udp -j DROP\nCOMMIT\n", [F("drop"), F("accept", proto="tcp")]
    yield "raw NOTRACK: state is UNTRACKED, not NEW", "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -j CT --notrack\nCOMMIT\n" + D + "-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT\n" + C, [F("drop"), F("accept", proto="tcp")]
    yield "interfaces, + wildcard, negation", D + "-A FORWARD -i eth1 -o ppp+ -j ACCEPT\n-A FORWARD ! -i eth+ -o eth0 -j ACCEPT\n-A OUTPUT -o eth0 -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n-A OUTPUT -o lo -j ACCEPT\n" + C, [
        F("drop"), F("accept", oif="ppp0"), F("accept", oif="ppp"), F("accept", iif="wlan0"), F("accept", hook="OUTPUT"), F("drop", hook="OUTPUT", oif="eth1"),
        F("accept", hook="OUTPUT", oif="lo", dst="127.0.0.53", src="127.0.0.1", dport=53), F("drop", hook="INPUT", iif="eth0")]
    yield "two matches of one kind are both required", D + "-A FORWARD -p udp -m udp --dport 1:4000 -m udp --dport 3000:5000 -j ACCEPT\n-A FORWARD -m comment --comment \"-j DROP ! \\\"x\\\"\" -p tcp -j ACCEPT\n" + C, [F("accept"), F("drop", dport=100), F("drop", dport=4500), F("accept", proto="tcp")]
    yield "length: large EDNS answers", A + "-A FORWARD -p udp -m udp --dport 53 -m length --length 541:65535 -j DROP\n" + C, [F("accept", dport=53, len=540), F("drop", dport=53, len=541), F("drop", dport=53, len=1260)]
    yield "owner", D + "-A OUTPUT -m owner --uid-owner 1000 -j ACCEPT\n-A OUTPUT -m owner ! --uid-owner 0-2000 -j ACCEPT\n" + C, [F("drop", hook="OUTPUT"), F("accept", hook="OUTPUT", uid=1000), F("accept", hook="OUTPUT", uid=2001), F("drop", hook="OUTPUT", uid=1001)]
    yield "addrtype", D + "-A FORWARD -m addrtype --dst-type LOCAL -j ACCEPT\n-A INPUT -m addrtype --dst-type LOCAL -j ACCEPT\n-A OUTPUT -m addrtype ! --dst-type LOCAL -j ACCEPT\n" + C, [F("drop"), F("accept", hook="INPUT"), F("accept", hook="OUTPUT")]
    yield "tcp flags, syn, icmp types, mac", D + "-A FORWARD -p tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT\n-A FORWARD -p icmp -m icmp --icmp-type 8/0 -j ACCEPT\n-A FORWARD -m mac --mac-source 02:AA:00:00:00:01 -j ACCEPT\n" + C, [
        F("accept", proto="tcp"), F("drop", proto="tcp", flags="A"), F("accept", proto="icmp"), F("drop", proto="icmp", icmp_type=13), F("drop"), F("accept", smac="02:aa:00:00:00:01")]
    yield "u32, string, bpf, time, ttl, dscp, pkttype", D + "-A FORWARD -p udp -m u32 --u32 \"0>>22&0x3C@0&0xFFFF=3478\" -j ACCEPT\n-A FORWARD -m string --string IPTORCL --algo bm --from 28 --to 60 -p udp -m udp --dport 1 -j ACCEPT\n-A FORWARD -p udp -m udp --dport 2 -m time --datestart 1999-01-01 -j ACCEPT\n-A FORWARD -p udp --dport 3 -m ttl --ttl-gt 60 -j ACCEPT\n-A FORWARD -p udp --dport 4 -m dscp --dscp 0x2e -j ACCEPT\n" + C, [
        F("accept"), F("accept", dport=1), F("accept", dport=2), F("accept", dport=3), F("drop", dport=4), F("accept", dport=4, tos=0xb8), F("drop", dport=5)]
    yield "limit, hashlimit, recent, statistic", A + "-A FORWARD -p udp -m limit --limit 1/hour --limit-burst 2 -j ACCEPT\n-A FORWARD -p udp -j DROP\n-A FORWARD -p tcp -m statistic --mode nth --every 2 --packet 0 -j DROP\n" + C, [
        F("accept"), F("accept", dport=3479), F("drop", dport=3480), F("drop", proto="tcp"), F("accept", proto="tcp", dport=4)]
    yield "NFQUEUE with nobody listening drops; bypass accepts", A + "-A FORWARD -p udp -m udp --dport 1 -j NFQUEUE --queue-num 5\n-A FORWARD -p udp -m udp --dport 2 -j NFQUEUE --queue-num 5 --queue-bypass\n-A FORWARD -p udp -m udp --dport 2 -j DROP\n" + C, [F("drop", dport=1), F("any", dport=2)]


def tests6():
    D = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\n"
    k = dict(src="2001:db8:1::5", dst="2600:f0f0::1")
    yield "v6 basics", D + "-A FORWARD -d 2600:f0f0::/32 -p udp -m udp --dport 3478 -j ACCEPT\n-A OUTPUT -p tcp -m tcp --dport 443 -j ACCEPT\n-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT\n-A FORWARD -p tcp -j REJECT --reject-with icmp6-adm-prohibited\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n", [
        F("accept", **k), F("drop", dport=1, **k), F("reject", proto="tcp", **k), F("accept", hook="OUTPUT", proto="tcp", dport=443, **k), F("drop", hook="OUTPUT", **k),
        F("accept", hook="INPUT", proto="icmp", **k), F("drop", hook="INPUT", proto="tcp", **k), F("accept", hook="INPUT", proto="tcp", sport=443, dport=40000, state="established", **k)]


def selftest(backend):
    bad = n = 0
    t0 = time.time()
    for fam, gen in ((4, tests()), (6, tests6())):
        for t in gen:
            name, rules, probes = t[0], t[1], t[2]
            ipset = t[3] if len(t) > 3 else None
            got = ask(backend, rules if fam == 4 else None, [p for _, p in probes], rules if fam == 6 else None, ipset)
            for (want, p), g in zip(probes, got):
                n += 1
                if g["verdict"] != want and not (want == "any" and not g["verdict"].startswith("error")):
                    bad += 1
                    print("MISMATCH %s: want %s got %s  %s" % (name, want, g, p))
                elif want == "any":
                    print("note %s: %s" % (name, g["verdict"]))
    print("selftest %s: %d probes, %d mismatches, %.1f s" % (backend, n, bad, time.time() - t0))
    return bad


MODULES = """-m addrtype --dst-type LOCAL
-p ah -m ah --ahspi 1
-m bpf --bytecode "1,6 0 0 65535"
-m cgroup --cgroup 1
-m cluster --cluster-total-nodes 2 --cluster-local-node 1 --cluster-hash-seed 1
-m comment --comment x
-m connbytes --connbytes 1: --connbytes-dir both --connbytes-mode packets
-m connlabel --label 1
-m connlimit --connlimit-above 5
-m connmark --mark 1
-m conntrack --ctstate NEW
-m conntrack --ctdir ORIGINAL --ctstatus NONE
-m cpu --cpu 0
-p dccp -m dccp --dport 1
-m devgroup --src-group 0
-m dscp --dscp 1
-m dst --dst-len 1
-m ecn --ecn-ip-ect 0
-p esp -m esp --espspi 1
-m geoip --src-cc US
-m hashlimit --hashlimit-upto 1/sec --hashlimit-name a
-m helper --helper ftp
-p icmp -m icmp --icmp-type 8
-m iprange --src-range 1.1.1.1-1.1.1.2
-m ipvs --ipvs
-m ipp2p --edk
-m layer7 --l7proto http
-m length --length 1:2
-m limit --limit 1/s
-m mac --mac-source 00:11:22:33:44:55
-m mark --mark 1
-p tcp -m multiport --dports 1,2
-m nfacct --nfacct-name x
-p tcp -m osf --genre Linux
-m owner --uid-owner 0
-m physdev --physdev-in eth0
-m pkttype --pkt-type unicast
-m policy --dir in --pol ipsec
-m quota --quota 100
-m rateest --rateest x --rateest-lt --rateest-bps 1
-m realm --realm 1
-m recent --name x --set
-m rpfilter
-p sctp -m sctp --dport 1
-m set --match-set oset dst
-m socket --transparent
-m state --state NEW
-m statistic --mode random --probability 0.5
-m string --string a --algo bm
-p tcp -m tcp --tcp-option 4
-p tcp -m tcpmss --mss 1:2
-m time --timestart 01:00
-m tos --tos 4
-m ttl --ttl-eq 1
-m u32 --u32 "0=1"
-p udp -m udp --dport 1
-m unclean
-j ACCEPT
-j DROP
-j RETURN
-j QUEUE
-j AUDIT --type accept
-j CLASSIFY --set-class 1:1 @mangle
-j CLUSTERIP --new --hashmode sourceip --clustermac 01:00:5e:00:00:20 --total-nodes 2 --local-node 1 @filter
-j CONNMARK --save-mark @mangle
-j CONNSECMARK --save @mangle
-j CT --notrack @raw
-j NOTRACK @raw
-j DNAT --to-destination 1.2.3.4 @nat
-j DNETMAP @nat
-j DSCP --set-dscp 1 @mangle
-p tcp -j ECN --ecn-tcp-remove @mangle
-j HMARK --hmark-tuple src --hmark-mod 2 --hmark-rnd 1 @mangle
-j IDLETIMER --timeout 1 --label x
-j LED --led-trigger-id x
-j LOG
-j MARK --set-mark 1 @mangle
-j MASQUERADE @natpost
-j NETMAP --to 10.0.0.0/8 @nat
-j NFLOG --nflog-group 1
-j NFQUEUE --queue-num 1
-j RATEEST --rateest-name x --rateest-interval 1s --rateest-ewmalog 2s @mangle
-p tcp -j REDIRECT --to-ports 1 @nat
-j REJECT
-j SECMARK --selctx system_u:object_r:x:s0 @security
-j SET --add-set oset src
-j SNAT --to-source 1.2.3.4 @natpost
-p tcp -j SYNPROXY --mss 1460
-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu @mangle
-p tcp -j TCPOPTSTRIP --strip-options 2 @mangle
-j TEE --gateway 1.2.3.4 @mangle
-j TOS --set-tos 4 @mangle
-p tcp -j TPROXY --on-port 1 @manglepre
-j TRACE @raw
-j TTL --ttl-set 4 @mangle
-j ULOG --ulog-nlgroup 1"""


def modules(backend):
    def go():
        unshare_net()
        run(["ipset", "create", "oset", "hash:ip"], check=False)
        out = []
        for line in MODULES.splitlines():
            spec, _, where = line.partition(" @")
            t, ch = {"": ("filter", "FORWARD"), "filter": ("filter", "INPUT"), "natpost": ("nat", "POSTROUTING"), "nat": ("nat", "PREROUTING"), "manglepre": ("mangle", "PREROUTING"),
                     "mangle": ("mangle", "POSTROUTING"), "raw": ("raw", "PREROUTING"), "security": ("security", "INPUT")}[where]
            if "owner" in spec:
                ch = "OUTPUT"
            if "rpfilter" in spec:
                t, ch = "raw", "PREROUTING"
            if "socket" in spec:
                t, ch = "mangle", "PREROUTING"
            if "IDLETIMER" in spec or "SYNPROXY" in spec:
                ch = "INPUT"
            p = run(["iptables-%s-restore" % backend], "*%s\n-A %s %s\nCOMMIT\n" % (t, ch, spec), check=False)
            if p.returncode:
                out.append((spec, " / ".join(p.stderr.strip().splitlines())[:160]))
        return out
    n = len(MODULES.splitlines())
    refused = in_child(go)
    print("%s: %d of %d match/target samples accepted; refused:" % (backend, n - len(refused), n))
    for s, e in refused:
        print("  %-60s %s" % (s[:60], e))


def batch(backend, isolate):
    for line in sys.stdin:
        j = json.loads(line)
        try:
            out = ask(backend, j.get("rules4"), j["probes"], j.get("rules6"), j.get("ipset"), j.get("interfaces"), isolate)
        except Oops as e:
            out = {"error": str(e)}
        print(json.dumps(out), flush=True)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rules4")
    ap.add_argument("--rules6")
    ap.add_argument("--ipset")
    ap.add_argument("--backend", choices=("nft", "legacy"), default="nft")
    ap.add_argument("--isolate", action="store_true", help="reload the ruleset for each probe (limit, recent, quota ...)")
    ap.add_argument("--batch", action="store_true")
    ap.add_argument("--selftest", action="store_true")
    ap.add_argument("--modules", action="store_true")
    ap.add_argument("probes", nargs="?")
    a = ap.parse_args()
    if a.selftest:
        sys.exit(1 if selftest(a.backend) else 0)
    if a.modules:
        return modules(a.backend)
    if a.batch:
        return batch(a.backend, a.isolate)
    if not a.probes or not (a.rules4 or a.rules6):
        ap.error("need --rules4 and/or --rules6, and PROBES.json")

    def slurp(p):
        if p is None:
            return None
        with open(p, errors="surrogateescape") as f:
            return f.read()
    with (sys.stdin if a.probes == "-" else open(a.probes)) as f:
        j = json.load(f)
    probes, addrs = (j, {}) if isinstance(j, list) else (j["probes"], j.get("interfaces", {}))
    t0 = time.time()
    try:
        res = ask(a.backend, slurp(a.rules4), probes, slurp(a.rules6), slurp(a.ipset), addrs, a.isolate)
    except Oops as e:
        res = [{"id": d.get("id", i), "verdict": "error: %s" % e} for i, d in enumerate(probes)]
    json.dump({"backend": a.backend, "kernel": os.uname().release, "seconds": round(time.time() - t0, 3), "results": res}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    try:
        main()
    except Oops as e:
        sys.exit("iptables_kernel: %s" % e)
