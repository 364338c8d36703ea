#!/usr/bin/env python3
"""Real-Squid oracle: which probe requests does http_access of a squid.conf let through?

  squid_access.py --conf squid.conf --probes probes.json [options]      (JSON on stdout)
  squid_access.py --batch jobs.json                                     (list of jobs, JSON list out)

probes.json is a list of objects; every key but "host" has a default:
  {"id": any, "src": "127.0.0.5", "method": "CONNECT", "host": "signal.m1.ue1.app.chime.aws",
   "port": 443, "scheme": "http", "path": "/", "ua": "x/1", "headers": {"K": "V"},
   "auth": "user:pw" (basic proxy credentials), "listen": 0 (index of the http_port used)}
Each result: {"id", "decision": "allow" | "deny" | "error: why", "status", "tag", "err", "hier", "auth"}
  "deny" is Squid's TCP_DENIED (so it covers http_access and adapted_http_access); "auth": true marks a
  407 challenge.  http_reply_access refusals are "allow" with tag TCP_DENIED_REPLY; miss_access and
  never_direct refusals are "allow" with err ERR_FORWARDING_DENIED / ERR_CANNOT_FORWARD.

Isolation: the script re-executes itself in a network namespace of its own, where every IPv4/IPv6
address is local (AnyIP route on lo).  So a client may come from 10.1.2.3 and 99.77.130.1 may be the
destination, and nothing leaves the machine.  A stub DNS on 127.0.0.53 answers from --names / --ptr.

The configuration is copied to a temporary directory; ports, logs, pid, cache, users, helpers and TLS
lines are rewritten (see "notes" in the output); every line that can take part in an access decision
is left untouched.  --root DIR: absolute paths (include, "acl file") are sought under DIR only.

Needs: Python 3 standard library, root, ip(8), unshare(1), squid.  A 'time' ACL can be tested with
--now "Mon 10:00": the weekday and hour are reached by shifting TZ, the system clock is not touched.
"""
import argparse, base64, datetime, glob, json, os, pwd, re, shutil, signal, socket, struct
import subprocess, sys, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor

DNS_IP = "127.0.0.53"
DEFAULT_NAMES = {
    "*.chime.aws": "99.77.130.1", "chime.aws": "99.77.130.2",
    "*.sdkassets.chime.aws": "13.224.10.1",
    "*.amazonaws.com": "52.94.10.1", "*.example.com": "93.184.216.34",
    "example.com": "93.184.216.34", "*.example.org": "93.184.216.35", "localhost": "127.0.0.1",
}
# directives that only concern where Squid keeps things, how it listens or what it runs
DROP = set("""pid_filename access_log cache_access_log cache_log cache_store_log useragent_log referer_log
icap_log log_icap cache_dir coredump_dir cache_effective_user cache_effective_group hosts_file dns_nameservers
dns_defnames append_domain dns_children cache_dns_program unlinkd_program diskd_program pinger_program pinger_enable
netdb_filename mime_table icon_directory error_directory error_default_language err_page_stylesheet errorpage_stylesheet
err_html_text workers cpu_affinity_map chroot cache_mem icp_port htcp_port snmp_port udp_incoming_address
udp_outgoing_address mcast_groups wccp_router wccp2_router logfile_daemon logfile_rotate url_rewrite_program
url_rewrite_children redirect_program redirect_children redirector_bypass storeurl_rewrite_program store_id_program
store_id_children location_rewrite_program shutdown_lifetime announce_host ssl_bump sslproxy_cert_error sslcrtd_program sslcrtd_children
sslproxy_options sslproxy_flags sslproxy_version sslproxy_cipher sslproxy_cafile sslproxy_cert_adapt sslproxy_cert_sign
sslproxy_cert_sign_hash sslproxy_session_ttl sslproxy_session_cache_size sslproxy_foreign_intermediate_certs
sslproxy_client_certificate sslproxy_client_key sslproxy_capath sslcrtvalidator_program tls_outgoing_options
icap_enable icap_service icap_class adaptation_access adaptation_service_set adaptation_service_chain ecap_enable
ecap_service loadable_modules max_filedescriptors max_filedesc tls_key_log buffered_logs strip_query_terms
forward_timeout connect_timeout dns_timeout dns_retransmit_interval mail_program mail_from cache_mgr
visible_hostname unique_hostname""".split())
HAS_FILES = {"acl", "external_acl_type"}


def log_note(notes, text):
    if text not in notes and len(notes) < 60:
        notes.append(text)


class Rewriter:
    """Copies a configuration, logical line by logical line, the way Squid's own reader groups them."""

    def __init__(self, tmp, root, notes, external, lenient):
        self.tmp, self.root, self.notes, self.external, self.lenient = tmp, root, notes, external, lenient
        self.n = 0
        self.ports = []          # (address, port)
        self.auth_done = False
        self.quoted = False      # configuration_includes_quoted_values: then "..." is a value, not a file

    def find(self, path, base):
        cands = []
        if os.path.isabs(path):
            if self.root:
                cands.append(os.path.join(self.root, path.lstrip("/")))
            else:
                cands.append(path)
        else:
            cands += [os.path.join(base, path)] + ([os.path.join(self.root, path)] if self.root else [])
        for c in cands:
            if glob.glob(c):
                return c
        return None

    def copy_value_file(self, path, base):
        real = self.find(path, base)
        self.n += 1
        new = os.path.join(self.tmp, "values%d.txt" % self.n)
        if real is None:
            log_note(self.notes, "value file missing: " + path)
            return os.path.join(self.tmp, "missing-%d.txt" % self.n)
        shutil.copyfile(real, new)
        os.chmod(new, 0o644)
        return new

    def rewrite(self, path, depth=0):
        base = os.path.dirname(os.path.abspath(path))
        self.n += 1
        out_path = os.path.join(self.tmp, "conf%d.conf" % self.n)
        out, held, acc = [], [], ""
        with open(path, "r", encoding="latin-1", newline="\n") as f:
            lines = f.read().split("\n")
        for raw in lines:
            line = raw.split("\r", 1)[0]
            s = line.lstrip(" \t\n\v\f\r")
            held.append(raw)
            if s == "" or s.startswith("#"):
                if not acc:
                    out += held
                    held = []
                continue
            acc += s
            if acc.endswith("\\"):
                acc = acc[:-1]
                continue
            out += self.logical(acc.rstrip(), held, base, depth)
            held, acc = [], ""
        out += held
        with open(out_path, "w", encoding="latin-1") as f:
            f.write("\n".join(out) + "\n")
        os.chmod(out_path, 0o644)
        return out_path

    def logical(self, text, physical, base, depth):
        words = text.split()
        if not words:
            return physical
        d = words[0]
        if d == "include" and len(words) > 1:
            res = []
            for pat in words[1:]:
                if pat.startswith("#"):
                    break
                pat = pat.replace("${service_name}", "squid").strip("\"'")
                real = self.find(pat, base) if pat[0] not in "!|" else None
                if real is None or depth > 16:
                    if self.lenient:
                        log_note(self.notes, "include found nothing, dropped: " + pat)
                        continue
                    log_note(self.notes, "include not found: " + pat)
                    res.append("include " + os.path.join(self.tmp, "no-such-include.conf"))
                    continue
                for f in sorted(glob.glob(real)):
                    if os.path.isfile(f):
                        res.append("include " + self.rewrite(f, depth + 1))
            return res
        if d in DROP or d.startswith(("icap_", "ecap_", "wccp", "snmp_", "sslproxy_", "sslcrt")):
            log_note(self.notes, "dropped: " + d)
            return []
        if d in ("http_port", "https_port", "ftp_port") and len(words) > 1:
            return self.port(words)
        if d == "configuration_includes_quoted_values":
            self.quoted = words[1:2] == ["on"]
        if d == "auth_param":
            if self.auth_done:
                return []
            self.auth_done = True
            log_note(self.notes, "auth_param: replaced by a basic scheme that accepts any user but 'bad'")
            return ["auth_param basic program " + self.helper("auth"),
                    "auth_param basic children 2 startup=1 idle=1", "auth_param basic realm oracle"]
        if d == "external_acl_type" and len(words) > 2:
            log_note(self.notes, "external_acl_type: helper replaced by one that always answers " + self.external)
            i = 2
            while i < len(words) and ("=" in words[i] and not words[i].startswith("%")
                                      or words[i] in ("ipv4", "ipv6", "cache", "protocol")):
                i += 1
            while i < len(words) and words[i].startswith("%"):
                i += 1
            keep = [w for w in words[2:i] if not w.startswith(("children", "concurrency="))]
            return [" ".join(["external_acl_type", words[1], "children-max=1", "children-startup=1"] + keep
                             + [self.helper("ext")])]
        if d in HAS_FILES:
            text = re.split(r"\s#", text)[0]
            new = text
            if not self.quoted:
                new = re.sub(r"(?<=\s)([\"'])([^\"']+)[\"']",
                             lambda m: '"%s"' % self.copy_value_file(m.group(2), base), text)
            new = re.sub(r'parameters\("([^"]+)"\)',
                         lambda m: 'parameters("%s")' % self.copy_value_file(m.group(1), base), new)
            if new != text:
                return [new]
        return physical

    def port(self, words):
        spec, addr = words[1], ""
        m = re.match(r"^(?:(.*):)?(\d+)$", spec)
        if not m:
            return []
        addr, port = m.group(1) or "", int(m.group(2))
        if words[0] == "https_port":
            log_note(self.notes, "https_port listens in clear here")
        opts = [w for w in words[2:] if w.startswith("name=")]
        lost = [w.split("=")[0] for w in words[2:] if not w.startswith("name=") and not w.startswith("#")]
        if lost:
            log_note(self.notes, "port options dropped: " + " ".join(lost))
        host = addr.strip("[]")
        try:
            socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        except OSError:
            addr, host = "", ""
        if any(p == port for _, p in self.ports) and not host:
            return []
        self.ports.append((host or "127.0.0.1", port))
        if not opts:
            opts = ["name=" + spec]      # Squid's default name, kept for myportname
        return ["http_port %s%d %s" % (addr + ":" if addr else "", port, " ".join(opts))]

    def helper(self, kind):
        p = os.path.join(self.tmp, "helper-" + kind + ".sh")
        if kind == "auth":
            body = 'while read -r u p; do case "$u" in bad) echo ERR;; *) echo OK;; esac; done\n'
        else:
            body = "while read -r l; do echo %s; done\n" % self.external
        with open(p, "w") as f:
            f.write("#!/bin/sh\n" + body)
        os.chmod(p, 0o755)
        return p


class StubDns(threading.Thread):
    """Answers A/AAAA/PTR from tables; NXDOMAIN otherwise.  Remembers the questions it got."""

    def __init__(self, names, ptr):
        super().__init__(daemon=True)
        self.names, self.ptr, self.asked, self.edns = names, ptr, [], {}
        self.u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.u.bind((DNS_IP, 53))

    def find(self, name):
        name = name.lower().rstrip(".")
        if name in self.names:
            return self.names[name]
        parts = name.split(".")
        for i in range(1, len(parts)):
            w = "*." + ".".join(parts[i:])
            if w in self.names:
                return self.names[w]
        return None

    def run(self):
        while True:
            try:
                q, who = self.u.recvfrom(4096)
            except OSError:
                return
            try:
                self.u.sendto(self.answer(q), who)
            except Exception:
                pass

    def answer(self, q):
        i, labels = 12, []
        while q[i]:
            labels.append(q[i + 1:i + 1 + q[i]].decode("latin-1"))
            i += q[i] + 1
        qend = i + 5
        qtype = struct.unpack("!H", q[i + 1:i + 3])[0]
        name = ".".join(labels)
        ar = struct.unpack("!H", q[10:12])[0]
        if ar and len(q) >= qend + 5 and q[qend + 1:qend + 3] == b"\0\x29":
            self.edns[str(qtype)] = struct.unpack("!H", q[qend + 3:qend + 5])[0]
        if len(self.asked) < 5000:
            self.asked.append([name, qtype])
        rr, known = [], False
        if qtype == 12:
            ip = ".".join(reversed(name.split(".")[:4]))
            if ip in self.ptr:
                known = True
                enc = b"".join(bytes([len(p)]) + p.encode() for p in self.ptr[ip].split(".")) + b"\0"
                rr.append((12, enc))
        else:
            v = self.find(name)
            if v is not None:
                known = True
                for a in [v] if isinstance(v, str) else v:
                    if ":" in a and qtype == 28:
                        rr.append((28, socket.inet_pton(socket.AF_INET6, a)))
                    elif ":" not in a and qtype == 1:
                        rr.append((1, socket.inet_aton(a)))
        head = q[:2] + struct.pack("!HHHHH", 0x8580 | (0 if known else 3), 1, len(rr), 0, 0)
        return head + q[12:qend] + b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", t, 1, 60, len(d)) + d for t, d in rr)


def sink(port):
    """Accepts on every local address, answers one short HTTP reply, closes."""
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind(("0.0.0.0", port))
    except OSError:
        return
    s.listen(256)

    def loop():
        while True:
            c, _ = s.accept()
            c.settimeout(0.3)
            try:
                if c.recv(2048):
                    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            except OSError:
                pass
            c.close()
    threading.Thread(target=loop, daemon=True).start()


def send_probe(n, p, ports):
    src = p.get("src", "127.0.0.5")
    method, host, port = p.get("method", "CONNECT"), p["host"], int(p.get("port", 443))
    addr, lport = ports[p.get("listen", 0) % len(ports)]
    h = "[%s]" % host if ":" in host and not host.startswith("[") else host
    if method == "CONNECT":
        target = "%s:%d" % (h, port)
    else:
        scheme = p.get("scheme", "http")
        dflt = {"http": 80, "https": 443, "ftp": 21}.get(scheme)
        if "port" not in p:
            port = dflt or 80
        target = "%s://%s%s%s" % (scheme, h, "" if port == dflt else ":%d" % port, p.get("path", "/"))
    head = {"Host": "%s:%d" % (h, port), "User-Agent": p.get("ua", "oracle/1"), "X-Probe-Id": "p%d" % n,
            "Connection": "close"}
    if p.get("auth"):
        head["Proxy-Authorization"] = "Basic " + base64.b64encode(p["auth"].encode()).decode()
    head.update(p.get("headers", {}))
    msg = "%s %s HTTP/1.1\r\n%s\r\n\r\n" % (method, target, "\r\n".join("%s: %s" % kv for kv in head.items()))
    fam = socket.AF_INET6 if ":" in src else socket.AF_INET
    s = socket.socket(fam, socket.SOCK_STREAM)
    s.settimeout(10)
    data = b""
    try:
        try:
            if fam == socket.AF_INET6:
                s.setsockopt(socket.IPPROTO_IPV6, 78, 1)     # IPV6_FREEBIND
        except OSError:
            pass
        s.bind((src, 0))
        s.connect(("::1" if fam == socket.AF_INET6 else addr, lport))
        s.sendall(msg.encode("latin-1"))
        while b"\r\n\r\n" not in data and len(data) < 65536:
            b = s.recv(4096)
            if not b:
                break
            data += b
    except OSError as e:
        if not data:
            return {"io": str(e)}
    finally:
        s.close()
    m = re.match(rb"HTTP/\d\.\d (\d+)", data)
    x = re.search(rb"(?mi)^X-Squid-Error: (\S+)", data)
    return {"status": int(m.group(1)) if m else None, "err": x.group(1).decode() if x else None}


def shift_tz(now):
    m = re.match(r"(?i)(sun|mon|tue|wed|thu|fri|sat) (\d\d?):(\d\d)$", now)
    if not m:
        raise SystemExit("--now wants e.g. 'Mon 10:00'")
    want = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].index(m.group(1).lower()) * 1440 \
        + int(m.group(2)) * 60 + int(m.group(3))
    u = datetime.datetime.now(datetime.timezone.utc)
    diff = (want - (u.weekday() * 1440 + u.hour * 60 + u.minute)) % 10080
    if diff > 5040:
        diff -= 10080
    return diff * 60


def time_zone(offset):
    """A TZif file (RFC 8536) of one zone that many seconds east: the TZ string itself ends at 24 hours."""
    return b"TZif" + bytes(16) + struct.pack("!6L", 0, 0, 0, 0, 1, 4) + struct.pack("!lBB", offset, 0, 0) + b"ORC\0"


def run_job(job, opts):
    """job: {"conf", "probes", "names", "ptr", "external", "now", "root"} -> result object"""
    t0, notes = time.time(), []
    probes = job["probes"]
    user = pwd.getpwnam("proxy") if "proxy" in [u.pw_name for u in pwd.getpwall()] else pwd.getpwnam("nobody")
    tmp = tempfile.mkdtemp(prefix="squid-oracle-")
    os.chmod(tmp, 0o755)
    proc = dns = None
    try:
        names = dict(DEFAULT_NAMES)
        names.update({k.lower(): v for k, v in (job.get("names") or {}).items()})
        rw = Rewriter(tmp, job.get("root"), notes, job.get("external", "ERR"), opts.drop_missing_includes)
        body = rw.rewrite(job["conf"])
        if not rw.ports:
            rw.ports.append(("127.0.0.1", 3128))
            extra_port = "http_port 3128\n"
        else:
            extra_port = ""
        logf, clog = os.path.join(tmp, "access.log"), os.path.join(tmp, "cache.log")
        prelude = ("%spid_filename %s/squid.pid\ncache_log %s\nlogformat oracle %%{X-Probe-Id}>h %%Ss %%>Hs "
                   "%%err_code %%Sh/%%<a %%[un\naccess_log stdio:%s logformat=oracle\ncache_effective_user %s\n"
                   "coredump_dir %s\ncache_mem 8 MB\ndns_nameservers %s\nhosts_file none\npinger_enable off\n"
                   "shutdown_lifetime 0 seconds\nvisible_hostname oracle.test\nconnect_timeout 3 seconds\n"
                   "dns_timeout 3 seconds\nmax_filedescriptors 1024\nnetdb_filename none\n"
                   % (extra_port, tmp, clog, logf, user.pw_name, tmp, DNS_IP))
        main = os.path.join(tmp, "main.conf")
        with open(main, "w") as f:
            f.write(prelude + "include " + body + "\n")
        for f in (logf, clog):
            open(f, "w").close()
        for d, _, fs in os.walk(tmp):
            for x in [d] + [os.path.join(d, y) for y in fs]:
                os.chown(x, user.pw_uid, user.pw_gid)
        dns = StubDns(names, job.get("ptr") or {})
        dns.start()
        if not opts.no_sink:
            lports = {p for _, p in rw.ports}
            for p in sorted({int(p.get("port", 443 if p.get("method", "CONNECT") == "CONNECT" else 80))
                             for p in probes} - lports)[:64]:
                if 0 < p < 65536 and p != 53:
                    sink(p)
        env = dict(os.environ)
        if job.get("now"):
            zone = os.path.join(tmp, "zone")
            with open(zone, "wb") as f:
                f.write(time_zone(shift_tz(job["now"])))
            os.chown(zone, user.pw_uid, user.pw_gid)
            env["TZ"] = ":" + zone
        errf = open(os.path.join(tmp, "stderr.log"), "w+", encoding="latin-1")
        proc = subprocess.Popen([opts.squid, "-N", "-d", "1", "-f", main], env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=errf)
        ready = False
        for _ in range(400):
            if proc.poll() is not None:
                break
            try:
                socket.create_connection(rw.ports[0], 0.2).close()
                ready = True
                break
            except OSError:
                time.sleep(0.025)
        started = time.time() - t0
        with open(errf.name, encoding="latin-1") as f:
            cl = f.read()
        warn = []
        for l in cl.splitlines():
            l = re.sub(r"^\S+ \S+\s*(kid\d+)?\|\s*", "", l)
            if l not in warn and re.search(
                    r"WARNING|ERROR|FATAL|Bungled|UPGRADE|aclParse|NOTICE|unrecognized|skipping|[Ee]mpty ACL", l):
                warn.append(l)
        res = {"squid": opts.version, "ready": ready, "start_seconds": round(started, 2),
               "warnings": [w.replace(tmp, "TMP") for w in warn[:40]], "notes": notes, "results": []}
        if not ready:
            pick = [l for l in warn if "FATAL" in l] or [l for l in warn if "unrecognized" in l] or warn or ["?"]
            fatal = "exit status %s; %s" % (proc.poll(), pick[0].replace(tmp, "TMP"))
            res["results"] = [{"id": p.get("id", i), "decision": "error: squid did not start: " + fatal}
                              for i, p in enumerate(probes)]
            return res
        with ThreadPoolExecutor(8) as ex:
            replies = list(ex.map(lambda t: send_probe(t[0], t[1], rw.ports), enumerate(probes)))
        seen = {}
        for _ in range(60):
            with open(logf, encoding="latin-1") as f:
                for l in f:
                    w = l.split()
                    if len(w) >= 5:
                        seen.setdefault(w[0], w)
            if all("p%d" % i in seen for i in range(len(probes)) if "io" not in replies[i]):
                break
            time.sleep(0.05)
        for i, (p, r) in enumerate(zip(probes, replies)):
            w = seen.get("p%d" % i)
            o = {"id": p.get("id", i), "status": r.get("status"), "err": r.get("err"), "auth": False}
            if w:
                o.update(tag=w[1], hier=w[4], err=o["err"] or (w[3] if w[3] != "-" else None))
                o["auth"] = w[2] == "407"
                tag = w[1]
                if "DENIED" in tag and "REPLY" not in tag:
                    o["decision"] = "deny"
                elif tag.startswith("NONE") and w[2] in ("400", "501", "505"):
                    o["decision"] = "error: request refused as invalid: %s %s" % (w[2], o["err"])
                else:
                    o["decision"] = "allow"
            elif r.get("status") in (403, 407) and r.get("err") in ("ERR_ACCESS_DENIED", "ERR_CACHE_ACCESS_DENIED"):
                o["decision"], o["auth"] = "deny", r["status"] == 407
            elif r.get("status"):
                o["decision"] = "error: no log line, status %s" % r["status"]
            else:
                o["decision"] = "error: %s" % (r.get("io") or "connection closed without a reply")
            res["results"].append(o)
        res["dns_asked"] = [list(x) for x in sorted({tuple(a) for a in dns.asked})][:200]
        res["dns_edns_size_by_qtype"] = dns.edns    # empty: no query carried an OPT record
        res["seconds"] = round(time.time() - t0, 2)
        return res
    finally:
        if proc is not None and proc.poll() is None:
            proc.send_signal(signal.SIGKILL)
            proc.wait()
        if dns is not None:
            dns.u.close()
        if opts.keep:
            sys.stderr.write("kept: %s\n" % tmp)
        else:
            shutil.rmtree(tmp, ignore_errors=True)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--conf")
    ap.add_argument("--probes")
    ap.add_argument("--batch", help="JSON list of jobs {conf, probes, names, ptr, external, now, root}")
    ap.add_argument("--names", help="JSON file or text: name or *.name -> address or list")
    ap.add_argument("--ptr", help="JSON: address -> name, for reverse look-ups")
    ap.add_argument("--external", default="ERR", help="what external ACL helpers answer (OK or ERR)")
    ap.add_argument("--now", help="e.g. 'Mon 10:00'")
    ap.add_argument("--root", help="directory standing in for / when includes and value files are sought")
    ap.add_argument("--squid", default=shutil.which("squid", path=os.environ.get("PATH", "") + ":/usr/sbin") or "squid")
    ap.add_argument("--drop-missing-includes", action="store_true",
                    help="drop include lines that find nothing (real Squid refuses to start, even for an empty glob)")
    ap.add_argument("--keep", action="store_true", help="keep the temporary directory")
    ap.add_argument("--no-sink", action="store_true", help="no listening test service (allowed probes then get 503)")
    ap.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    o = ap.parse_args()
    me = ["unshare", "--net", sys.executable, os.path.abspath(__file__), "--inside"]
    if o.batch:                              # a fresh namespace and process for each job
        out = []
        for job in json.load(open(o.batch)):
            pr = job["probes"] if isinstance(job["probes"], str) else json.dumps(job["probes"])
            cmd = me + ["--conf", job["conf"], "--probes", "@-", "--squid", o.squid]
            for k in ("names", "ptr"):
                if job.get(k):
                    cmd += ["--" + k, json.dumps(job[k]) if not isinstance(job[k], str) else job[k]]
            for k in ("external", "now", "root"):
                if job.get(k):
                    cmd += ["--" + k, job[k]]
            cmd += ["--no-sink"] if o.no_sink else []
            cmd += ["--drop-missing-includes"] if o.drop_missing_includes else []
            if isinstance(job["probes"], str) and os.path.exists(pr):
                pr = open(pr).read()
            try:
                r = subprocess.run(cmd, input=pr, capture_output=True, text=True, timeout=120)
                out.append(json.loads(r.stdout))
            except Exception as e:
                out.append({"error": repr(e), "results": [{"id": p.get("id", i), "decision": "error: %r" % e}
                                                          for i, p in enumerate(json.loads(pr))]})
        json.dump(out, sys.stdout, indent=1)
        print()
        return
    if not o.inside:
        os.execvp(me[0], me + sys.argv[1:])
    for c in (["ip", "link", "set", "lo", "up"], ["ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo"],
              ["ip", "-6", "route", "add", "local", "::/0", "dev", "lo"]):
        subprocess.run(c, stderr=subprocess.DEVNULL)
    v = subprocess.run([o.squid, "-v"], capture_output=True, text=True).stdout
    m = re.search(r"Version (\S+)", v)
    o.version = m.group(1) if m else "?"

    def js(x):
        if not x:
            return None
        if x == "@-":
            return json.load(sys.stdin)
        return json.load(open(x)) if len(x) < 4000 and os.path.exists(x) else json.loads(x)
    out = run_job({"conf": o.conf, "probes": js(o.probes), "names": js(o.names), "ptr": js(o.ptr),
                   "external": o.external, "now": o.now, "root": o.root}, o)
    json.dump(out, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
