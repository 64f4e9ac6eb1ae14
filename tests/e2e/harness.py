"""What every e2e test stands on: a folder, a CA, servers; all of it ends with the test."""

import copy
import functools
import json
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import processes
import server as server_module
from fake_ca import FakeCa
from pebble import Pebble, Watchdog

SHOWN_LINES = 60  # of each log, when a test fails

ACME = {
    "account_email": "ops@example.com",
    "tos_accepted": True,
    "cert_type": "ecc",
    "storage": "shm",
}


def document(domains=None, acme=None, **lists):
    """A declarative file as text: the acme plugin for `domains`, and other entity lists."""
    content = {"_format_version": "3.0", **copy.deepcopy(lists)}
    if domains is not None or acme is not None:
        config = {**ACME, **(acme or {})}
        if domains is not None:
            config["domains"] = list(domains)
        content.setdefault("plugins", []).append({"name": "acme", "config": config})
    return json.dumps(content, indent=2) + "\n"


def service(name="web", hosts=(), snis=(), **route):
    """A service with one route."""
    entity = {"name": name + "-route", **route}
    if hosts:
        entity["hosts"] = list(hosts)
    if snis:
        entity["snis"] = list(snis)
    return {"name": name, "url": "http://127.0.0.1:1/", "routes": [entity]}


@functools.lru_cache(None)
def self_signed(*names, days=30, key="ec"):
    """A self-signed pair for these names: (certificate, key) as PEM text."""
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    if key == "rsa":
        kind = ["-newkey", "rsa:2048"]
    with tempfile.TemporaryDirectory() as folder:
        paths = os.path.join(folder, "c"), os.path.join(folder, "k")
        names_text = ",".join("DNS:" + n for n in names)
        command = ["openssl", "req", "-x509", *kind, "-nodes", "-days", str(days), "-subj"]
        command += [f"/CN={names[0]}", "-addext", "subjectAltName=" + names_text]
        command += ["-out", paths[0], "-keyout", paths[1]]
        subprocess.run(command, check=True, capture_output=True)
        with open(paths[0], encoding="ascii") as c, open(paths[1], encoding="ascii") as k:
            return c.read(), k.read()


def declared(*snis, pair=None, tags=(), sni_tags=()):
    """A certificates entry for the file, with its own self-signed certificate."""
    cert, key = pair or self_signed(*[s for s in snis if s != "*"] or ["declared.test"])
    entity = {"cert": cert, "key": key, "snis": [{"name": s} for s in snis]}
    if tags:
        entity["tags"] = list(tags)
    for sni in entity["snis"]:
        if sni_tags:
            sni["tags"] = list(sni_tags)
    return entity


class Case(unittest.TestCase):
    """A test with a CA at hand. A test whose Pebble locked up is repeated once, and says so."""

    maxDiff = None

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name in [n for n in vars(cls) if n.startswith("test_")]:
            setattr(cls, name, guarded(getattr(cls, name)))

    def setUp(self):
        self.began()

    def tearDown(self):
        self.ended()

    def began(self):
        self.folder = tempfile.mkdtemp(prefix="reconcert-e2e-")
        os.chmod(self.folder, 0o755)
        self._started = []
        self._watchdogs = []
        self.wedged = False

    def ended(self):
        for watchdog in self._watchdogs:
            watchdog._ending.set()
        for thing in reversed(self._started):
            thing.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh_folder(self):
        """For tests in rounds: everything ends, and the next round starts with an empty folder."""
        wedged = self.wedged
        self.ended()
        self.began()
        self.wedged = wedged

    def keep(self, thing):
        """Has `thing.stop()` called when the test ends."""
        self._started.append(thing)
        return thing

    # ---- what tests start ----

    def pebble(self, http_port, name="ca", **options):
        """A CA that validates at `http_port`."""
        ca = self.keep(Pebble(os.path.join(self.folder, name), http_port, **options).start())
        self._watchdogs.append(Watchdog(ca, lambda: self._on_wedged(ca), restart=False))
        return ca

    def _on_wedged(self, ca):
        self.wedged = True
        ca.process.kill()

    def fake_ca(self, behind, before=None, after=None):
        """The fake that stands before `behind`, see fake_ca.py."""
        return self.keep(FakeCa(behind, before, after))

    def server(self, text, ca=None, settings=None, name="server", ports=None, trusted=None):
        """A reconcert that is not started yet; `ca` is a Pebble, a FakeCa, or None."""
        if ca is not None and trusted is None:
            trusted = getattr(ca, "behind", ca).certificate
        folder = os.path.join(self.folder, name)
        url = ca.url if ca is not None else None
        made = server_module.Server(folder, text, url, trusted, settings, ports)
        self.keep(_Ender(made))
        return made

    def pair(self, text, settings=None, before=None, after=None, **ca_options):
        """The usual set: (Pebble, server), neither fake nor started twice; a fake between the two
        where `before` or `after` is given: then (fake, server)."""
        ports = processes.free_port(), processes.free_port()
        ca = self.pebble(ports[0], **ca_options)
        if before or after:
            ca = self.fake_ca(ca, before, after)
        return ca, self.server(text, ca, settings, ports=ports)

    # ---- showing what went wrong ----

    def show_logs(self):
        for folder, _, files in sorted(os.walk(self.folder)):
            for file in sorted(f for f in files if f.endswith(".log")):
                path = os.path.join(folder, file)
                with open(path, encoding="utf-8", errors="replace") as f:
                    lines = f.read().splitlines()
                print(f"--- {os.path.relpath(path, self.folder)}: the last lines of {len(lines)}")
                print("\n".join(line[:400] for line in lines[-SHOWN_LINES:]), flush=True)


class _Ender:
    """Ends a server with its test, without waiting for a drain."""

    def __init__(self, made):
        self.made = made

    def stop(self):
        if self.made.process and self.made.process.poll() is None:
            self.made.kill()


def guarded(method):
    """Repeats a test once whose Pebble locked up; shows the logs of one that failed."""

    @functools.wraps(method)
    def run(self):
        try:
            return method(self)
        except unittest.SkipTest:
            raise
        except BaseException:
            if not self.wedged:
                self.show_logs()
                raise
        print(f"Pebble locked up in {self.id()}: repeated once", flush=True)
        self.ended()
        self.began()
        try:
            return method(self)
        except BaseException:
            self.show_logs()
            raise

    return run


class Load:
    """Handshakes with random names from `names`, each with one request, until it is stopped.

    `attempts` holds (began, ended, error or None) in monotonic seconds.
    """

    def __init__(self, server, names, threads=4, pause=0.0, request=True):
        self.server, self.names, self.pause, self.request = server, list(names), pause, request
        self.attempts = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(threads)]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def _run(self, seed):
        chance = random.Random(seed)
        context = server_module.client_context()
        while not self._ending.wait(self.pause):
            began, error = time.monotonic(), None
            try:
                answer = server_module.ask(
                    self.server.tls, host=chance.choice(self.names), tls=context
                )
                if answer.status not in (200, 404, 503):
                    error = f"status {answer.status}"
            except Exception as e:  # whatever it is, the caller counts it
                error = f"{type(e).__name__}: {e}"
            self.attempts.append((began, time.monotonic(), error))

    def stop(self):
        self._ending.set()
        for thread in self._threads:
            thread.join(30)

    def failures(self):
        return [a for a in self.attempts if a[2]]

    def failures_outside(self, begin, end):
        """Failed ones that were not under way at any time from `begin` to `end`."""
        return [a for a in self.failures() if a[0] > end or a[1] < begin]

    def wait_for(self, more, bound=30):
        goal = len(self.attempts) + more
        processes.wait_until(f"{more} more handshakes", lambda: len(self.attempts) >= goal, bound)

