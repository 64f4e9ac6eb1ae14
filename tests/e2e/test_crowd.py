"""Crowds at the status listener and at control.sock: there is room for a probe and for a verb."""

import contextlib
import os
import resource
import signal
import socket

from harness import Case, declared, document, self_signed
from processes import wait_until
from server import needs_default_build

NAMES = [f"n{i:05}.crowd.test" for i in range(4000)]
NOBODY = {"acme_server": "https://127.0.0.1:1/dir"}
CONNECTIONS, SOCKET_CONNECTIONS, PRINTINGS = 256, 64, 16
ASK = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CROWDS = {
    "do not read": ASK % b"/certificates",
    "idle, new": b"",
    "idle, used": ASK % b"/status/ready",
    "slow to ask": b"GET /sta",
    "slow to tell": b"POST /status/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nx",
}


def resident(pid):
    """KiB of a process that are in memory."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


class Crowded(Case):
    """Many connections that are closed at the end."""

    def began(self):
        super().began()
        self.crowd = []

    def ended(self):
        for connection in self.crowd:
            connection.close()
        super().ended()

    def connect(self, address):
        is_unix = isinstance(address, str)
        connection = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
        self.crowd.append(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(address)
        connection.settimeout(10)
        return connection

    def come(self, address, text, count):
        made = [self.connect(address) for _ in range(count)]
        for connection in made:
            with contextlib.suppress(ConnectionError):  # it had to go for a later one
                connection.sendall(text)
        return made


class Crowd(Crowded):
    def began(self):
        super().began()
        self.s = self.server(document(NAMES), settings=NOBODY)
        self.s.start()

    def at_socket(self):
        return os.path.join(self.s.prefix, "control.sock")

    def assert_room(self, kind, verbs=(["status"], ["retry", NAMES[0]])):
        for _ in range(3):
            self.assertEqual(200, self.s.ask_status("/status/ready").status, kind)
            self.assertEqual(200, self.s.ask_status("/status").status, kind)
        for words in verbs:
            done = self.s.verb(*words)
            self.assertEqual((0, ""), (done.returncode, done.stderr), (kind, words))

    def test_status_listener(self):
        for kind, text in CROWDS.items():
            self.come(("127.0.0.1", self.s.status), text, CONNECTIONS + PRINTINGS)
            self.assert_room(kind)
        self.assertEqual(1, len(self.s.events("connections_crowded")), "said once a minute")

    def test_control_socket(self):
        for kind, text in CROWDS.items():
            self.come(self.at_socket(), text, SOCKET_CONNECTIONS + PRINTINGS)
            self.assert_room(kind, [["retry", NAMES[0]]])

    def test_pages(self):
        """Beyond PRINTINGS at once there is a word of when to come back; who goes leaves room."""
        where = ("127.0.0.1", self.s.status)
        made = self.come(where, CROWDS["do not read"], 60)
        heads = [connection.recv(12) for connection in made]
        self.assertEqual(
            (PRINTINGS, 60 - PRINTINGS),
            (heads.count(b"HTTP/1.1 200"), heads.count(b"HTTP/1.1 503")),
        )
        page = self.s.ask_status("/certificates")
        self.assertEqual((503, "1"), (page.status, page.headers["Retry-After"]))
        self.assertEqual(len(NAMES), len(self.s.status_json()["certificates"]))
        made[heads.index(b"HTTP/1.1 200")].close()
        wait_until(
            "there is room", lambda: self.s.ask_status("/certificates").status == 200, 20, 0.05
        )


class WorkersCrowd(Crowded):
    WORKER = {"nginx_worker_processes": "1"}

    def test_descriptors(self):
        """Connections leave some for segments: what is new is served with all of them taken."""
        s = self.server(document(certificates=[declared("d.test")]), settings=self.WORKER)
        s.start()
        resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE, (700, 700))
        [worker] = s.workers
        os.kill(worker, signal.SIGKILL)
        wait_until("another has begun", lambda: s.workers not in ([], [worker]), 20, 0.05)
        first = s.fingerprint("d.test")
        self.come(("127.0.0.1", s.plain), b"", 600)
        wait_until("it is crowded", lambda: s.events("connections_crowded"), 20, 0.05)
        s.write(document(certificates=[declared("d.test", pair=self_signed("d.test", days=31))]))
        s.wait_fingerprint("d.test", lambda found: found != first)
        self.assertEqual([], s.events("accept_paused"))

    @needs_default_build
    def test_memory(self):
        """What a flood took is given back behind it."""
        s = self.server(document(certificates=[declared("d.test")]), settings=self.WORKER)
        s.start()
        [worker] = s.workers
        before = resident(worker)
        head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %s\r\n" % (b"x" * 7000) * 4
        made = self.come(("127.0.0.1", s.plain), head, 900)
        wait_until("it has grown", lambda: resident(worker) > before + 900 * 24, 20, 0.05)
        most = resident(worker)
        for connection in made:
            connection.close()
        wait_until(
            "it is given back", lambda: resident(worker) < before + (most - before) / 3, 20, 0.05
        )
