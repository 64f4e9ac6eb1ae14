"""A running reconcert, and what the world sees of it: handshakes, requests, status, logs."""

import hashlib
import http.client
import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import unittest

import processes

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("RECONCERT_BUILD", os.path.join(TOP, "build"))
BINARY = os.path.join(BUILD, "reconcert")
FAULTS = os.path.join(BUILD, "tests", "e2e", "faults.so")
EVENT = re.compile(r"^(\S+Z) (\w+) (\w+)(.*)$", re.M)


def needs_default_build(test):
    """For tests of what runs build/reconcert by that name."""
    is_default = os.path.realpath(BUILD) == os.path.realpath(os.path.join(TOP, "build"))
    return unittest.skipUnless(is_default, "only with the default build")(test)


def clean_environment(extra=None):
    """Ours without what would be read as settings, plus `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KONG_", "LD_PRELOAD"))}
    kept["NO_COLOR"] = "1"
    kept.update(extra or {})
    return kept


class Served:
    """What one handshake showed."""

    def __init__(self, tls, der):
        self.fingerprint = hashlib.sha256(der).hexdigest() if der else None
        self.der = der
        self.version = tls.version()
        self.alpn = tls.selected_alpn_protocol()
        self.resumed = tls.session_reused
        self.session = tls.session
        self.facts = tls.getpeercert() or {}

    @property
    def names(self):
        return [value for kind, value in self.facts.get("subjectAltName", ()) if kind == "DNS"]

    @property
    def issuer(self):
        return dict(pair[0] for pair in self.facts.get("issuer", ())).get("commonName")


class Answer:
    """One HTTP answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


def client_context(root=None, version=None, alpn=None):
    """A TLS client: checks names against PEM text `root`, or nothing at all without it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if root:
        context.load_verify_locations(cadata=root)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def shake_hands(port, name=None, address="127.0.0.1", context=None, session=None, bound=10):
    """One full handshake; gives what was served. With session: tries to resume it."""
    context = context or client_context()
    with socket.create_connection((address, port), bound) as raw:
        with context.wrap_socket(raw, server_hostname=name, session=session) as tls:
            served = Served(tls, tls.getpeercert(True))
            tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            while tls.recv(65536):
                pass  # TLS 1.3 tickets come with the answer
            served.session = tls.session
            return served


def ask(port, path="/", host="localhost", address="127.0.0.1", method="GET", tls=None, headers=None):
    """One HTTP request, over TLS when `tls` is a context."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    if tls:
        raw = socket.create_connection((address, port), 10)
        connection.sock = tls.wrap_socket(raw, server_hostname=host)
    try:
        connection.request(method, path, headers={"Host": host, **(headers or {})})
        reply = connection.getresponse()
        return Answer(reply.status, reply.headers, reply.read())
    finally:
        connection.close()


def verb(*arguments, environment=None, stdin=None, bound=60, cwd=None):
    """Runs one verb to its end."""
    return subprocess.run(
        [BINARY, *[str(a) for a in arguments]],
        env=clean_environment(environment),
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=bound,
        cwd=cwd,
    )


class Server:
    """`reconcert run` with a folder and ports of its own.

    `text` is what kong.yaml holds at the start; settings are added to (or replace) the usual ones.
    """

    def __init__(self, folder, text, acme_server=None, trusted=None, settings=None, ports=None):
        self.binary = BINARY
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)
        self.file = os.path.join(self.folder, "kong.yaml")
        self.prefix = os.path.join(self.folder, "prefix")
        self.log = os.path.join(self.folder, "reconcert.log")
        self.configuration = os.path.join(self.folder, "reconcert.conf")
        self.plain, self.tls = ports or (processes.free_port(), processes.free_port())
        self.status = processes.free_port()
        self.process = None
        self.write(text)
        self.settings = {
            "prefix": self.prefix,
            "declarative_config": self.file,
            "proxy_listen": f"127.0.0.1:{self.plain}, 127.0.0.1:{self.tls} http2 ssl",
            "status_listen": f"127.0.0.1:{self.status}",
            "nginx_worker_processes": "1",
        }
        if acme_server:
            self.settings["acme_server"] = acme_server
            self.settings["acme_trusted_certificate"] = trusted
        self.settings.update(settings or {})
        self.write_settings()

    def write_settings(self, **changes):
        self.settings.update(changes)
        with open(self.configuration, "w", encoding="utf-8") as f:
            for name, value in self.settings.items():
                if value is not None:
                    f.write(f"{name} = {value}\n")

    def write(self, text):
        """Replaces the file as an editor should: beside it, then renamed over it."""
        fresh = self.file + ".new"
        with open(fresh, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(fresh, 0o644)
        os.rename(fresh, self.file)

    # ---- life ----

    def spawn(self, arguments=(), environment=None, **options):
        """Starts it and does not wait."""
        command = [self.binary, "run", "-c", self.configuration, *arguments]
        self.process = processes.start(
            command, self.log, env=clean_environment(environment), process_group=0, cwd=self.folder,
            **options,
        )  # fmt: skip
        return self

    def clocked(self):
        """The environment in which control's clock is ahead by what set_clock says; 0 at first."""
        return {
            "LD_PRELOAD": FAULTS,
            "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0",
            "FAULT_CLOCK": os.path.join(self.folder, "clock"),
        }

    def set_clock(self, ahead):
        path = self.clocked()["FAULT_CLOCK"]
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(str(ahead))
        os.rename(path + ".new", path)

    def start(self, arguments=(), environment=None, bound=20, **options):
        """Starts it and waits until it serves what it has."""
        self.spawn(arguments, environment, **options)
        processes.wait_until("the server is ready", self._is_ready, bound)
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}:\n{self.log_text()}")
        try:
            return self.ask_status("/status/ready").status == 200
        except OSError:
            return False

    def stop(self, by=signal.SIGTERM, bound=40):
        """Ends it and gives its exit code; its children must be gone too."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        family = processes.tree_of(self.process.pid)
        code = processes.stop(self.process, by, bound)
        processes.wait_until(
            "its children end", lambda: not any(map(processes.is_running, family)), 10
        )
        return code

    def kill(self):
        """kill -9 of the whole tree, as a power cut."""
        family = processes.tree_of(self.process.pid)
        for pid in family:  # the supervisor first: it restarts nothing any more
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        processes.wait_until("all are dead", lambda: not any(map(processes.is_running, family)))

    def children(self, verb_name):
        """Pids of our children by role: control, worker."""
        pids = processes.children_of(self.process.pid)
        return [p for p in pids if verb_name in processes.command_of(p)[1:2]]

    @property
    def control(self):
        return processes.wait_until("control runs", lambda: self.children("control"))[0]

    @property
    def workers(self):
        return self.children("worker")

    @property
    def watcher(self):
        pids = processes.children_of(self.process.pid)
        found = [p for p in pids if "reconcert-watch" in (processes.command_of(p) or [""])[0]]
        return found[0] if found else None

    # ---- what it says of itself ----

    def ask_status(self, path):
        return ask(self.status, path, host=f"127.0.0.1:{self.status}")

    def certificates(self):
        """/certificates by name."""
        return {c["name"]: c for c in self.ask_status("/certificates").json["certificates"]}

    def state(self, name):
        try:
            return self.certificates().get(name, {}).get("state")
        except OSError:
            return None  # control is being restarted

    def wait_state(self, name, *states, bound=30):
        processes.wait_until(
            f"{name} is {' or '.join(states)}", lambda: self.state(name) in states, bound, 0.05
        )
        return self.certificates()[name]

    def wait_valid(self, names, bound=30):
        for name in names:
            self.wait_state(name, "valid", bound=bound)

    def status_json(self):
        """`reconcert status --format json`."""
        done = verb("status", "-c", self.configuration, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def log_text(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def events(self, name):
        """The log's events of one name, each a dictionary of its fields."""
        found = []
        for _, level, event, rest in EVENT.findall(self.log_text()):
            if event == name:
                words = (w.partition("=") for w in shlex.split(rest))
                found.append({"level": level, **{key: value for key, _, value in words}})
        return found

    # ---- what others see ----

    def shake_hands(self, name=None, **options):
        return shake_hands(self.tls, name, **options)

    def fingerprint(self, name=None):
        return self.shake_hands(name).fingerprint

    def wait_fingerprint(self, name, check, bound=20):
        """Shakes hands until `check` likes the fingerprint."""
        seen = []

        def look():
            seen.append(self.fingerprint(name))
            return check(seen[-1])

        processes.wait_until(f"another certificate for {name}", look, bound, 0.05)
        return seen[-1]

    def ask(self, path="/", host="localhost", **options):
        return ask(self.plain, path, host, **options)

    def verb(self, name, *arguments, **options):
        """A verb with this server's settings."""
        return verb(name, "-c", self.configuration, *arguments, **options)

    def diff(self, *arguments):
        done = self.verb("diff", "--format", "json", *arguments)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)
