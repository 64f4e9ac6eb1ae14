"""Debian's Pebble with its DNS server, for `make run`, the e2e tests, the soak and the bench.

Pebble forgets everything when it ends, makes new roots at each start, and 2.4.0 can lock up when
steps of many orders overlap: Watchdog notices that and starts it anew.
"""

import collections
import json
import os
import re
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

import processes

HANDLED = re.compile(r"\b(GET|HEAD|POST) (/[A-Za-z-]+)\S* -> calling handler")
KINDS = {
    "/dir": "directory",
    "/nonce-plz": "nonce",
    "/sign-me-up": "account",
    "/my-account": "account",
    "/order-plz": "new-order",
    "/my-order": "order",
    "/authZ": "authorization",
    "/chalZ": "challenge",
    "/finalize-order": "finalize",
    "/certZ": "certificate",
}


def make_server_certificate(folder, names="DNS:localhost,IP:127.0.0.1"):
    """A self-signed pair for a local CA's own HTTPS; gives the paths of certificate and key."""
    cert, key = os.path.join(folder, "ca-server.pem"), os.path.join(folder, "ca-server.key")
    if not os.path.exists(cert):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
        command += ["ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
        command += ["-addext", f"subjectAltName={names}", "-keyout", key, "-out", cert]
        subprocess.run(command, check=True, capture_output=True)
    return cert, key


class Pebble:
    """One Pebble and its DNS server in `folder`.

    Options: nonce_reject, authz_reuse (percent), chain_length, alternate_roots, validity (seconds),
    eab ({kid: key}), blocked (names), strict, is_slow (validates after a random pause), addresses
    (what every name resolves to: {"4": ..., "6": ...}).
    """

    def __init__(self, folder, http_port, **options):
        self.folder = str(folder)
        self.http_port = http_port
        self.options = options
        self.process = None
        self.dns = None
        self.starts = 0
        self.is_ready = False  # it has answered since its last start, and was not told to stop
        os.makedirs(self.folder, exist_ok=True)
        self.log = os.path.join(self.folder, "pebble.log")
        self.certificate, self.key = make_server_certificate(self.folder)
        self.port = self.management = self.dns_port = self.dns_management = 0
        self._tls = ssl.create_default_context(cafile=self.certificate)

    @property
    def url(self):
        return f"https://localhost:{self.port}/dir"

    def start(self):
        """Starts both; picks other ports when somebody was faster."""
        for attempt in range(5):
            self.port, self.management = processes.free_port(), processes.free_port()
            self.dns_port, self.dns_management = processes.free_port(), processes.free_port()
            self._write_configuration()
            self._spawn()
            try:
                processes.wait_until("Pebble answers", self._is_ready_or_dead, 20)
            except processes.Deadline:
                self.stop()
                continue
            if self.process.poll() is None and self.dns.poll() is None:
                self.is_ready = True
                return self
            self.stop()
        raise RuntimeError(f"Pebble does not start, see {self.log}")

    def _is_ready_or_dead(self):
        if self.process.poll() is not None or self.dns.poll() is not None:
            return True
        return self.is_answering(5)

    def _write_configuration(self):
        o = self.options
        configuration = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": self.certificate,
            "privateKey": self.key,
            "httpPort": self.http_port,
            "tlsPort": o.get("tls_port", 1),
            "certificateValidityPeriod": o.get("validity", 90 * 86400),
            "externalAccountBindingRequired": bool(o.get("eab")),
            "externalAccountMACKeys": o.get("eab") or {},
            "domainBlocklist": o.get("blocked") or [],
        }
        with open(os.path.join(self.folder, "pebble.json"), "w", encoding="utf-8") as f:
            json.dump({"pebble": configuration}, f, indent=1)
            f.write("\n")

    def _spawn(self):
        o = self.options
        addresses = o.get("addresses") or {"4": "127.0.0.1"}
        self.dns = processes.start(
            ["pebble-challtestsrv", "-defaultIPv4", addresses.get("4", ""), "-defaultIPv6"]
            + [addresses.get("6", ""), "-http01", "", "-https01", "", "-tlsalpn01", "", "-dns01"]
            + [f"127.0.0.1:{self.dns_port}", "-management", f"127.0.0.1:{self.dns_management}"],
            os.path.join(self.folder, "dns.log"),
            process_group=0,
        )
        environment = dict(os.environ)
        environment["PEBBLE_WFE_NONCEREJECT"] = str(o.get("nonce_reject", 0))
        environment["PEBBLE_AUTHZREUSE"] = str(o.get("authz_reuse", 0))
        environment["PEBBLE_CHAIN_LENGTH"] = str(o.get("chain_length", 1))
        environment["PEBBLE_ALTERNATE_ROOTS"] = str(o.get("alternate_roots", 0))
        if not o.get("is_slow"):
            environment["PEBBLE_VA_NOSLEEP"] = "1"
        command = ["pebble", "-config", os.path.join(self.folder, "pebble.json")]
        command += ["-dnsserver", f"127.0.0.1:{self.dns_port}"]
        command += ["-strict"] if o.get("strict") else []
        self.process = processes.start(command, self.log, env=environment, process_group=0)
        self.starts += 1

    def stop(self):
        self.is_ready = False
        processes.stop(self.process, bound=1)
        processes.stop(self.dns, bound=1)

    def restart(self):
        """A fresh Pebble at the same address, which has forgotten everything."""
        self.stop()
        self._spawn()
        processes.wait_until("Pebble answers again", lambda: self.is_answering(5))
        self.is_ready = True

    def get(self, path, bound=10, port=None):
        url = f"https://localhost:{port or self.management}{path}"
        with urllib.request.urlopen(url, timeout=bound, context=self._tls) as reply:
            return reply.read()

    def is_answering(self, bound):
        """Asks for a certificate that is not there: that needs the lock that lock-ups hold."""
        try:
            self.get("/cert-status-by-serial/0f", bound)
        except urllib.error.HTTPError as e:
            return e.code == 404
        except OSError:
            return False
        return True

    def is_locked_up(self, bound):
        """It runs and does not answer; one that is stopped or started meanwhile is not meant."""
        starts = self.starts
        if not self.is_ready or self.is_answering(bound):
            return False
        return self.is_ready and self.starts == starts and self.process.poll() is None

    def root(self, number=0):
        """PEM of the root that the next certificates lead to."""
        return self.get(f"/roots/{number}").decode()

    def handled(self):
        """How often each kind of request came, from the log: {"new-order": 3, ...}."""
        counted = collections.Counter()
        with open(self.log, encoding="utf-8", errors="replace") as f:
            for line in f:
                match = HANDLED.search(line)
                if match and match[2] in KINDS:
                    counted[KINDS[match[2]]] += 1
        return counted

    def point(self, name, address):
        """Makes one name resolve to one IPv4 address."""
        body = json.dumps({"host": name + ".", "addresses": [address]}).encode()
        url = f"http://127.0.0.1:{self.dns_management}/add-a"
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=5):
            pass


class Watchdog:
    """Looks at a Pebble every few seconds; a locked-up one is told to `on_wedged` and restarted."""

    def __init__(self, pebble, on_wedged, restart=True, every=2.0, bound=8.0):
        self.pebble = pebble
        self.on_wedged = on_wedged
        self.restart = restart
        self.every, self.bound = every, bound
        self.wedged = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ending.wait(self.every):
            pebble = self.pebble
            if pebble.process is None or pebble.process.poll() is not None:
                if not self.restart:
                    continue
            elif not pebble.is_locked_up(self.bound):
                continue
            if self._ending.is_set():
                return
            self.wedged += 1
            self.on_wedged()
            if self.restart:
                pebble.restart()

    def stop(self):
        self._ending.set()
        self._thread.join(self.bound + 5)
