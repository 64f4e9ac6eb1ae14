"""The fixtures of an older build (tests/older/README.md), and the CA that they were made with."""

import http.client
import os
import pwd
import shutil
import socket
import threading

import pebble
import processes
from scripted_ca import ScriptedCa

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "older")
with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as _readme:
    COMMIT = _readme.read().split("`")[1]  # the first word in code

HOST = "ca.test"
DIRECTORY = f"https://{HOST}/dir"
BEGAN = 1735689600  # 2025: no clock that a test may meet is before it
LIFETIME = 40 * 365 * 86400  # due after two thirds of it
FILE_ACME = {"api_uri": DIRECTORY}
ISSUED = ["a.test", "b.test", "seen.wild.test"]  # and in the prefix; retired.test is, too, unasked
APPROVED = "c.test"  # by a plan that was applied; not issued
PLANNED = ["x.test", "y.test"]  # by plan.json, for an empty prefix


class FarCa(ScriptedCa):
    """Its directory is at a name, not at a port, so that a prefix can be kept for another day."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        pebble.make_server_certificate(folder, f"DNS:{HOST}")
        super().__init__(folder, lambda: BEGAN, LIFETIME)
        self.tunnel = Tunnel(self.port)

    def stop(self):
        self.tunnel.stop()
        super().stop()

    def _url(self, *parts):
        return f"https://{HOST}/" + "/".join(map(str, parts))

    def _certify(self, subject, public_key, names, lifetime):
        return super()._certify(subject, public_key, names, max(lifetime, LIFETIME))

    @property
    def environment(self):
        """Of who is to find it."""
        return {"https_proxy": f"http://127.0.0.1:{self.tunnel.port}"}


class Tunnel:
    """A proxy that leads whoever asks for HOST to a port of this machine."""

    def __init__(self, port):
        self.behind = port
        self.port = processes.free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        self._listener.close()

    def _run(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        head = b""
        with client:
            while b"\r\n\r\n" not in head:
                more = client.recv(4096)
                if not more:
                    return
                head += more
            if not head.startswith(b"CONNECT " + HOST.encode() + b":443 "):
                client.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self.behind), 20) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join()


def pump(source, sink):
    """All that one side says, to the other, until it says no more."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def copy_prefix(to):
    """The older build's prefix, with modes and owner that a clone does not keep."""
    shutil.copytree(os.path.join(FOLDER, "prefix"), to)
    for folder, _, files in os.walk(to):
        for path in [folder, *(os.path.join(folder, f) for f in files)]:
            os.chmod(path, 0o700 if path == folder else 0o600)
            if os.geteuid() == 0:
                os.chown(path, *control_user())


def control_user():
    """Uid and gid of control, started as root."""
    for name in ("_reconcert", "nobody"):
        try:
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
        except KeyError:
            continue
    raise AssertionError("nobody is missing")


def read(name):
    with open(os.path.join(FOLDER, name), "rb") as f:
        return f.read()


def speak(path, request):
    """Bytes to the socket at `path`; (status, body) of what it answers."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(path)
        s.sendall(request)
        answer = http.client.HTTPResponse(s)
        answer.begin()
        return answer.status, answer.read()
