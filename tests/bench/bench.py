#!/usr/bin/env python3
"""`make bench`: what issue and design promise in numbers, measured against others in the same run.

    bench.py --build build [ROW...]     rows: a issuing, b changing, c starting, d handshakes,
                                        e many stored names; of large files: f loading, g one
                                        changed route, h the dry run, i growth

Prints a table and writes build/bench.json. Rows whose peer or generator is missing are named. The
machine should be idle otherwise; bounds in absolute figures are meant for two cores of 2026.
"""

import argparse
import http.server
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
for each in ("e2e", "support"):
    sys.path.insert(0, os.path.join(TOP, "tests", each))
os.environ.setdefault("RECONCERT_BUILD", os.path.join(TOP, "build"))

import processes  # noqa: E402
import reading  # noqa: E402
import server as e2e  # noqa: E402
from kong_file import leaf_name  # noqa: E402
from pebble import Pebble, Watchdog  # noqa: E402
from peers import Peer, Peers  # noqa: E402

CERTIFICATES = 10_000
HANDSHAKES_AMONG = (1, 10_000, 100_000)
ORDERS = 1_000
UACME_ORDERS = 10
RENEWALS_AMONG = 100_000
RENEWAL_BYTES = 2_048
STORED = (100_000, 1_000_000)
REPEATS = 5
DEBOUNCE = 0.1  # seconds of quiet before a changed file is read
SERVER_CORE, CLIENT_CORE = "0", "1"


class Skip(Exception):
    """This row cannot be measured here."""


class Bench:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.folder = os.path.join(self.build, "bench")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        os.chmod(self.folder, 0o755)
        self.results, self.skipped = [], []
        self.peers = Peers(os.path.join(self.build, "peers"))

    def program(self, name):
        return os.path.join(self.build, "tests", "bench", name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def note(self, row, what, value, unit, bound=None, is_good=None):
        """One line of the table; `bound` is text, `is_good` whether it is kept."""
        entry = {"row": row, "what": what, "value": value, "unit": unit, "bound": bound, "kept": is_good}
        self.results.append(entry)
        verdict = "" if is_good is None else "  kept" if is_good else "  NOT KEPT"
        wanted = f"  (wanted: {bound})" if bound else ""
        print(f"{row}  {what}: {value:.4g} {unit}{wanted}{verdict}", flush=True)

    def skip(self, row, why):
        self.skipped.append({"row": row, "why": why})
        print(f"{row}  skipped: {why}", flush=True)

    # ---- what several rows need ----

    def declared(self, pems=False, count=CERTIFICATES):
        """The file with `count` certificates, its altered twin, and their PEM files."""
        files = [self.path(f"{name}-{count}") for name in ("kong.yaml", "altered.yaml", "pems")]
        if not os.path.exists(files[0]) or (pems and not os.path.isdir(files[2])):
            command = [self.program("gencerts"), str(count), files[0], "-a", files[1]]
            subprocess.run(command + (["-p", files[2]] if pems else []), check=True)
        return files

    def scan_seconds(self, path):
        done = subprocess.run([self.program("ymlscan"), path], capture_output=True, check=True)
        return float(done.stdout.split()[0])

    def server(self, name, text, **settings):
        made = e2e.Server(self.path(name), text, settings={"nginx_worker_processes": "1", **settings})
        return made

    def pebble(self, name, http_port, **options):
        return Pebble(self.path(name), http_port, **options).start()


def served_name(port, name):
    """The certificate's subject as seen by a client, or None while nobody answers."""
    try:
        return e2e.shake_hands(port, name, bound=5)
    except OSError:
        return None


def wait_served(port, name, check, bound=600, pause=0.001):
    """Seconds until a handshake for `name` shows what `check` likes."""
    began = time.perf_counter()
    while time.perf_counter() - began < bound:
        served = served_name(port, name)
        if served and check(served):
            return time.perf_counter() - began
        time.sleep(pause)
    raise Skip(f"{name} was not served within {bound} s")


def is_for(name):
    return lambda served: name.encode() in served.der


# ---- a: issuing ----


def count_stored(s):
    return s.log_text().count(" certificate_stored ")


def issue_with_us(b, number):
    names = [leaf_name(i) for i in range(ORDERS)]
    ports = processes.free_port(), processes.free_port()
    ca = b.pebble(f"a-ca-{number}", ports[0], nonce_reject=5)
    content = {
        "_format_version": "3.0",
        "plugins": [{"name": "acme", "config": {
            "account_email": "bench@example.com", "tos_accepted": True, "cert_type": "ecc",
            "storage": "shm", "domains": names}}],
    }  # fmt: skip
    s = e2e.Server(b.path(f"a-server-{number}"), json.dumps(content), ca.url, ca.certificate, ports=ports)
    s.write_settings(log_level="info")
    wedged = []
    watchdog = Watchdog(ca, lambda: wedged.append(1), restart=False)
    try:
        began = time.perf_counter()
        s.spawn()
        while count_stored(s) < ORDERS and not wedged and time.perf_counter() - began < 120:
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        stored = count_stored(s)
        if stored >= ORDERS:
            assert is_for(names[-1])(e2e.shake_hands(s.tls, names[-1]))
        return None if wedged else stored / seconds
    finally:
        watchdog.stop()
        s.kill()
        ca.stop()


def issue_with_pipeline(b, number):
    port = processes.free_port()
    ca = b.pebble(f"a-pipeline-{number}", port, nonce_reject=5)
    try:
        done = subprocess.run(
            [b.program("pipeline"), ca.url, ca.certificate, str(port), str(ORDERS)],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        facts = json.loads(done.stdout)
        return facts["done"] / facts["seconds"]
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None
    finally:
        ca.stop()


class Webroot(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def issue_with_uacme(b):
    if not b.peers.has("uacme"):
        raise Skip(f"uacme is not here ({b.peers.why})")
    if os.geteuid() != 0:
        raise Skip("uacme trusts the system's roots alone: only root may lend it another")
    folder = b.path("uacme")
    tokens = os.path.join(folder, "www", ".well-known", "acme-challenge")
    os.makedirs(tokens)
    hook = os.path.join(folder, "hook.sh")
    with open(hook, "w", encoding="ascii") as f:
        f.write('#!/bin/sh\n[ "$2" = http-01 ] || exit 1\n')
        f.write(f'case $1 in begin) printf %s "$5" >{tokens}/$4;; *) rm -f {tokens}/$4;; esac\n')
    os.chmod(hook, 0o755)
    web = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a: Webroot(*a, directory=os.path.join(folder, "www"))
    )
    threading.Thread(target=web.serve_forever, daemon=True).start()
    ca = b.pebble("uacme-ca", web.server_address[1], nonce_reject=0)
    program = f"{b.peers.path('uacme')} -a {ca.url} -c {folder}/state"
    names = " ".join(leaf_name(i) for i in range(UACME_ORDERS))
    # a mount of its own, so that the machine's trust stays as it is
    script = (
        f"mount --bind {ca.certificate} /etc/ssl/certs/ca-certificates.crt && "
        f"{program} -y new bench@example.com && date +%s.%N && "
        f"for n in {names}; do {program} -t EC -h {hook} issue $n </dev/null || exit 1; done"
    )
    try:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script], env=b.peers.environment(folder),
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        ended = time.time()
        if done.returncode:
            raise Skip("uacme failed: " + done.stderr.strip()[-200:])
        return UACME_ORDERS / (ended - float(re.search(r"^\d+\.\d+$", done.stdout, re.M)[0]))
    finally:
        web.shutdown()
        ca.stop()


def insist(measure):
    """A run with a locked-up Pebble (None) is made again."""
    for _ in range(4):
        value = measure()
        if value is not None:
            return value
        print("   Pebble locked up or a run failed: repeated", flush=True)
    raise Skip("Pebble locks up every time")


def row_a(b):
    numbers = iter(range(100))
    bare, ours = [], []
    for _ in range(3):  # in turns, as row d
        bare.append(insist(lambda: issue_with_pipeline(b, next(numbers))))
        ours.append(insist(lambda: issue_with_us(b, next(numbers))))
    ratio = statistics.median(x / y for x, y in zip(ours, bare))
    ours = statistics.median(ours)
    b.note("a", f"bare phased pipeline, {ORDERS} orders, 5 % of nonces rejected",
           statistics.median(bare), "1/s")  # fmt: skip
    b.note("a", f"reconcert, {ORDERS} names, from start to all stored", ours, "1/s")
    b.note("a", "against the pipeline", ratio, "times", "at least 0.7", ratio >= 0.7)
    try:
        loop = issue_with_uacme(b)
        b.note("a", "uacme in a loop", loop, "1/s")
        b.note("a", "against uacme", ours / loop, "times", "at least 30", ours / loop >= 30)
    except Skip as why:
        b.skip("a", str(why))


# ---- b: changing ----


def change_one_declared(b):
    first, second, _ = b.declared()
    texts = []
    for path in (first, second):
        with open(path, encoding="ascii") as f:
            texts.append(f.read())
    s = b.server("b-declared", texts[0])
    name = leaf_name(CERTIFICATES - 1)
    scans, changes = [], []
    try:
        s.spawn()
        wait_served(s.tls, name, is_for(name))
        for number in range(1, 2 * REPEATS + 1):
            scans.append(b.scan_seconds(first))
            before = e2e.shake_hands(s.tls, name).fingerprint
            fresh = s.file + ".fresh"
            with open(fresh, "w", encoding="ascii") as f:
                f.write(texts[number % 2])
            os.rename(fresh, s.file)
            changes.append(wait_served(s.tls, name, lambda served: served.fingerprint != before))
            time.sleep(0.5)
    finally:
        s.kill()
    ratio = statistics.median((c - DEBOUNCE) / s for c, s in zip(changes, scans))
    b.note("b", f"bare libyaml event scan of {os.path.getsize(first) / 1e6:.1f} MB",
           statistics.median(scans) * 1e3, "ms")  # fmt: skip
    b.note("b", f"one of {CERTIFICATES} declared certificates changed, rename to served",
           statistics.median(changes) * 1e3, "ms")  # fmt: skip
    b.note("b", "without 100 ms of quiet, against the scan", ratio, "times", "at most 2.5", ratio <= 2.5)


# A process of its own, so that it does not hold up the prober: prints when a file has grown.
GROWTH = """
import os, sys, time
size = os.path.getsize(sys.argv[1])
while True:
    now = os.path.getsize(sys.argv[1])
    if now != size:
        size = now
        print(time.perf_counter(), flush=True)
    time.sleep(0.0002)
"""


def append_seconds(folder):
    """One durable append of what a renewal takes in the log."""
    path = os.path.join(folder, "append")
    line, took = b"x" * RENEWAL_BYTES, []
    with open(path, "ab", buffering=0) as f:
        for _ in range(50):
            began = time.perf_counter()
            f.write(line)
            os.fdatasync(f.fileno())
            took.append(time.perf_counter() - began)
    os.remove(path)
    return statistics.median(took)


def renew_one_stored(b):
    """From the growth of the log that stores the new one, to the handshake that shows it."""
    ports = processes.free_port(), processes.free_port()
    ca = b.pebble("b-ca", ports[0])
    s = managed(b, "b-stored", RENEWALS_AMONG, ca, ports, due=RENEWALS_AMONG // 2)
    name = leaf_name(RENEWALS_AMONG // 2)
    log = os.path.join(s.prefix, "storage", "log")
    context, watcher, cores = e2e.client_context(), None, os.sched_getaffinity(0)
    try:
        with ca_held(ca):
            s.spawn()
            wait_served(s.tls, name, is_for(name))
            before = leaf_of(context, s.tls, name)
            watcher = subprocess.Popen([sys.executable, "-c", GROWTH, log], stdout=subprocess.PIPE, text=True)
            # prober and worker take turns and so share a core; control has the other one
            for pid in (0, *s.workers):
                os.sched_setaffinity(pid, {int(CLIENT_CORE)})
            probe = statistics.median(probe_seconds(context, s.tls, name) for _ in range(50))
            append = append_seconds(s.prefix)
        end = time.perf_counter() + 60
        while leaf_of(context, s.tls, name) == before:
            if time.perf_counter() > end:
                raise Skip("it was not renewed")
        at = time.perf_counter()
    finally:
        os.sched_setaffinity(0, cores)
        if watcher:
            watcher.kill()
        s.kill()
        ca.stop()
        shutil.rmtree(s.folder)
    return probe, append, at - max(t for t in map(float, watcher.stdout.read().split()) if t < at)


def renew_stored(b):
    """The prober learns of it one handshake later than it happens: that much is taken off."""
    runs = [renew_one_stored(b) for _ in range(3)]
    probes, appends, _ = zip(*runs)
    seconds = statistics.median(renewal - probe for probe, _, renewal in runs)
    ratio = statistics.median(renewal / (probe + append) for probe, append, renewal in runs)
    b.note("b", "one handshake of the prober", statistics.median(probes) * 1e3, "ms")
    b.note("b", f"one durable append of {RENEWAL_BYTES} bytes", statistics.median(appends) * 1e3, "ms")
    b.note("b", f"one renewed among {RENEWALS_AMONG} managed, written to served", seconds * 1e3, "ms",
           "under 5, less the prober's handshake", seconds < 0.005)  # fmt: skip
    b.note("b", "with it, against append and handshake", ratio, "times", "at most 2", ratio <= 2)


def leaf_of(context, port, name):
    """The leaf that one bare handshake shows."""
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        with context.wrap_socket(raw, server_hostname=name) as tls:
            return tls.getpeercert(True)


def probe_seconds(context, port, name):
    began = time.perf_counter()
    leaf_of(context, port, name)
    return time.perf_counter() - began


class ca_held:
    """Pebble stopped for a while, so that nothing is issued before we look."""

    def __init__(self, ca):
        self.ca = ca

    def __enter__(self):
        os.kill(self.ca.process.pid, 19)

    def __exit__(self, *_):
        os.kill(self.ca.process.pid, 18)


def row_b(b):
    change_one_declared(b)
    renew_stored(b)


# ---- c: starting ----


def start_and_measure(start, stop, port, name):
    """(seconds to the first handshake for `name`, PSS of the tree at rest)."""
    began = time.perf_counter()
    process = start()
    wait_served(port, name, is_for(name), pause=0.002)
    seconds = time.perf_counter() - began
    time.sleep(1.5)  # at rest
    memory = processes.pss_bytes(processes.tree_of(process.pid))
    stop()
    return seconds, memory


def start_ours(b, repeats=3):
    first, _, _ = b.declared(pems=True)
    name = leaf_name(CERTIFICATES - 1)
    found = []
    for number in range(repeats):
        with open(first, encoding="ascii") as f:
            s = b.server(f"c-server-{number}", f.read())
        s.spawn()  # once, so that the default certificate is made
        wait_served(s.tls, name, is_for(name))
        s.kill()
        found.append(start_and_measure(lambda: s.spawn().process, s.kill, s.tls, name))
    return tuple(statistics.median(values) for values in zip(*found))


def row_c(b):
    _, _, pems = b.declared(pems=True)
    name = leaf_name(CERTIFICATES - 1)
    seconds, memory = start_ours(b)
    b.note("c", f"reconcert with {CERTIFICATES} declared, start to served", seconds, "s")
    b.note("c", "its memory (PSS of all processes)", memory / 1e6, "MB")
    for kind, bound, memory_bound in (("nginx", 20, 6), ("caddy", 3, None)):
        if not b.peers.has(kind):
            b.skip("c", f"{kind} is not here ({b.peers.why})")
            continue
        peer = Peer(b.peers, kind, b.path("c-" + kind), pems, processes.free_port())
        theirs = start_and_measure(lambda: peer.start("0-1").process, peer.stop, peer.port, name)
        b.note("c", f"{kind} with the same", theirs[0], "s")
        b.note("c", f"{kind}'s time against ours", theirs[0] / seconds, "times",
               f"over {bound}", theirs[0] / seconds > bound)  # fmt: skip
        b.note("c", f"{kind}'s memory against ours", theirs[1] / memory, "times",
               f"over {memory_bound}" if memory_bound else None,
               theirs[1] / memory > memory_bound if memory_bound else None)  # fmt: skip


# ---- d: handshakes ----


def load(b, port, names, pids, seconds):
    """Handshakes per server CPU-second of one round."""
    done = subprocess.run(
        ["taskset", "-c", CLIENT_CORE, b.program("tlsload"), str(port), str(names),
         str(seconds), "16", *map(str, pids)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    facts = json.loads(done.stdout)
    if facts["failed"] or facts["wrong"]:
        raise Skip(f"failures under load: {facts}")
    return facts["done"] / facts["cpu"]


def floor(b):
    """What OpenSSL does with itself in memory, on the server's core."""
    command = ["taskset", "-c", SERVER_CORE, b.program("tlsfloor"), "3"]
    facts = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return facts["done"] / facts["cpu"]


def shake_hands_among(b, names):
    """Handshakes per CPU-second by kind. All run side by side on one core, idle but for the one
    whose turn it is: a machine that is faster now than it was a minute ago is so for all of them.
    """
    first, _, pems = b.declared(pems=True, count=names)
    name = leaf_name(names - 1)
    with open(first, encoding="ascii") as f:
        s = b.server(f"d-server-{names}", f.read())
    started, found = [s.kill], {}
    try:
        ports = {"reconcert": (s.tls, s.spawn().process)}
        for kind in ("nginx", "haproxy"):
            if not b.peers.has(kind):
                b.skip("d", f"{kind} is not here ({b.peers.why})")
                continue
            peer = Peer(b.peers, kind, b.path(f"d-{kind}-{names}"), pems, processes.free_port())
            started.append(peer.stop)
            ports[kind] = (peer.port, peer.start(SERVER_CORE).process)
        pids = {}
        for kind, (port, process) in ports.items():
            wait_served(port, name, is_for(name))
            pids[kind] = processes.tree_of(process.pid)
            for pid in pids[kind]:
                os.sched_setaffinity(pid, {int(SERVER_CORE)})
            load(b, port, names, pids[kind], 10)  # warming up
        for _ in range(REPEATS):
            for kind, (port, _process) in ports.items():
                found.setdefault(kind, []).append(load(b, port, names, pids[kind], 4))
            found.setdefault("floor", []).append(floor(b))
    finally:
        for stop in started:
            stop()
        shutil.rmtree(pems)
    return found


def row_d(b):
    for names in HANDSHAKES_AMONG:
        found = shake_hands_among(b, names)
        for kind, values in found.items():
            what = {"reconcert": f"reconcert, full TLS 1.3 handshakes with {names} names",
                    "floor": "OpenSSL with itself, in memory"}.get(kind, f"{kind}, the same")  # fmt: skip
            b.note("d", what, statistics.median(values), "per CPU-s")
        for kind in set(found) - {"reconcert", "floor"}:
            ratio = statistics.median(x / y for x, y in zip(found["reconcert"], found[kind]))
            b.note("d", f"reconcert against {kind}", ratio, "times", "at least 1.15", ratio >= 1.15)


# ---- e: many stored names ----


def managed(b, name, count, ca, ports=None, due=None):
    """A server that stored `count` certificates in an earlier life and lists them in the file."""
    domains = "".join(f"        - {leaf_name(i)}\n" for i in range(count))
    text = (
        '_format_version: "3.0"\nplugins:\n  - name: acme\n    config:\n'
        "      account_email: bench@example.com\n      tos_accepted: true\n      cert_type: ecc\n"
        f"      storage: shm\n      domains:\n{domains}"
    )
    url = ca.url if ca else "https://127.0.0.1:1/dir"
    trusted = ca.certificate if ca else None
    s = e2e.Server(b.path(name), text, url, trusted, {"nginx_worker_processes": "1"}, ports)
    command = [b.program("fillstore"), s.prefix, str(count), url]
    subprocess.run(command + (["-d", str(due)] if due is not None else []), check=True)
    return s


def row_e(b):
    for count in STORED:
        s = managed(b, f"e-{count}", count, None)
        name = leaf_name(count - 1)
        try:
            s.spawn()  # once, so that the default certificate is made
            wait_served(s.tls, name, is_for(name), pause=0.005)
            s.kill()
            seconds, memory = start_and_measure(lambda: s.spawn().process, s.kill, s.tls, name)
        finally:
            s.kill()
            shutil.rmtree(s.folder)
        each = seconds / count * 1e6
        b.note("e", f"start with {count} stored names", seconds, "s")
        b.note("e", "each", each, "us", "at most 15", each <= 15)
        b.note("e", "memory (PSS of all processes)", memory / 1e6, "MB")


ROWS = {"a": row_a, "b": row_b, "c": row_c, "d": row_d, "e": row_e, **reading.ROWS}


def units(b):
    """What the machine can do right now, printed beside the absolute bounds."""
    done = subprocess.run(
        ["openssl", "speed", "-seconds", "1", "ecdsap256"], capture_output=True, text=True, check=False
    )
    match = re.search(r"ecdsa \(nistp256\)\s+\S+\s+\S+\s+([\d.]+)", done.stdout)
    if match:
        b.note("-", "openssl speed, P-256 signatures on one core", float(match[1]), "1/s")
    b.note("-", "load average at the beginning", os.getloadavg()[0], "")
    b.note("-", "cores", os.cpu_count(), "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("rows", nargs="*", help="a to i; none: all")
    options = parser.parse_args()
    b = Bench(options.build)
    if b.peers.why:
        print(f"peers: {b.peers.why}", flush=True)
    units(b)
    for row in options.rows or ROWS:
        try:
            ROWS[row](b)
        except Skip as why:
            b.skip(row, str(why))
    out = os.path.join(b.build, "bench.json")
    with open(out, "w", encoding="utf-8") as f:
        json.dump({"format": 1, "results": b.results, "skipped": b.skipped}, f, indent=1)
    missed = [r for r in b.results if r["kept"] is False]
    print(f"{len(b.results)} figures, {len(missed)} bounds not kept, {len(b.skipped)} skipped; {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
