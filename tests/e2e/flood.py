"""Strangers who make up names: ClientHellos with random SNIs, at a given rate."""

import random
import socket
import ssl
import string
import threading
import time

LABEL = 12


def client_hello(name):
    """The first flight of a TLS client that asks for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Flood:
    """`rate` hellos a second for random names below `suffix`, from `addresses` of the loopback by
    turns, until it is stopped. The server makes its part of each handshake."""

    def __init__(self, port, suffix, rate, addresses=("127.0.0.1",), seed=1):
        self.port, self.rate, self.addresses = port, rate, addresses
        self.sent = self.refused = 0
        self._chance = random.Random(seed)
        self._placeholder = b"x" * LABEL
        self._hello = client_hello("x" * LABEL + "." + suffix)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.began = time.monotonic()
        self._thread.start()

    def _run(self):
        while not self._ending.is_set():
            due = int((time.monotonic() - self.began) * self.rate) - self.sent - self.refused
            for _ in range(min(due, 100)):
                self._send()
            self._ending.wait(0.005)

    def _send(self):
        label = "".join(self._chance.choices(string.ascii_lowercase, k=LABEL)).encode()
        address = self.addresses[self.sent % len(self.addresses)]
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2, (address, 0)) as raw:
                raw.sendall(self._hello.replace(self._placeholder, label))
            self.sent += 1
        except OSError:
            self.refused += 1

    def stop(self):
        self._ending.set()
        self._thread.join(30)

    def rate_so_far(self):
        return self.sent / (time.monotonic() - self.began)
