"""A CA by script: every order is ready at once, certificates are dated by a clock of the test's.

It answers where FakeCa would ask Pebble, so `before` comes first here too. It checks no signature:
fake_ca.c of the unit tests does.
"""

import base64
import datetime
import json
import os
import subprocess
import threading

import pebble
from fake_ca import FakeCa, Reply

INTEGER, BITS, OCTETS, OID, UTF8, TIME, SEQUENCE, SET = 2, 3, 4, 6, 12, 24, 48, 49
ECDSA_SHA256, COMMON_NAME, SUBJECT_ALT_NAME = "2a8648ce3d040302", "550403", "551d11"


def der(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes([tag, 128 + size]) + len(body).to_bytes(size, "big") + body


def elements(data):
    """The elements of a DER body, each as it is: (tag, whole, body)."""
    at = 0
    while at < len(data):
        length, head = data[at + 1], 2
        if length >= 128:
            head += length - 128
            length = int.from_bytes(data[at + 2 : at + head], "big")
        end = at + head + length
        yield data[at], data[at:end], data[at + head : end]
        at = end


def oid(text):
    return der(OID, bytes.fromhex(text))


def name_of(common_name):
    return der(SEQUENCE, der(SET, der(SEQUENCE, oid(COMMON_NAME), der(UTF8, common_name.encode()))))


def time_of(seconds):
    text = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y%m%d%H%M%SZ")
    return der(TIME, text.encode())


def public_key_of(csr):
    ((_, _, request),) = elements(csr)
    information = next(elements(request))[2]
    return list(elements(information))[2][1]


def pem(data):
    return "-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(data).decode() + "-----END CERTIFICATE-----\n"


class _Place:
    """What FakeCa wants to know of the CA behind it."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.certificate, self.key = pebble.make_server_certificate(folder)


class ScriptedCa(FakeCa):
    """`clock()` gives the time; `is_away()` whether newOrder fails now."""

    def __init__(self, folder, clock, lifetime, is_away=lambda: False):
        self.folder, self.clock, self.lifetime, self.is_away = folder, clock, lifetime, is_away
        self.sent_orders = []  # (time, name) of each newOrder
        self.ahead = 0  # certificates begin so many seconds after they are issued
        self.retry_after = None  # what is told while it is away
        self._orders, self._guard = {}, threading.Lock()
        self._numbers = iter(range(1, 10**9))
        super().__init__(_Place(folder), before=self._answer)
        self._sign_key = os.path.join(folder, "issuer.key")
        subprocess.run(
            ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self._sign_key],
            check=True, capture_output=True,
        )  # fmt: skip
        public = subprocess.run(
            ["openssl", "pkey", "-in", self._sign_key, "-pubout", "-outform", "DER"],
            check=True, capture_output=True,
        ).stdout  # fmt: skip
        self._root = self._certify("Scripted CA", public, [], 3650 * 86400)

    def _certify(self, subject, public_key, names, lifetime):
        now = self.clock() + (self.ahead if names else 0)
        extensions = b""
        if names:
            general = der(SEQUENCE, *[der(0x82, n.encode()) for n in names])
            san = der(SEQUENCE, oid(SUBJECT_ALT_NAME), der(OCTETS, general))
            extensions = der(0xA3, der(SEQUENCE, san))
        algorithm = der(SEQUENCE, oid(ECDSA_SHA256))
        body = der(
            SEQUENCE,
            der(0xA0, der(INTEGER, b"\x02")),
            der(INTEGER, ((1 << 40) + next(self._numbers)).to_bytes(6, "big")),
            algorithm,
            name_of("Scripted CA"),
            der(SEQUENCE, time_of(now), time_of(now + lifetime - 1)),
            name_of(subject),
            public_key,
            extensions,
        )
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self._sign_key],
            input=body, check=True, capture_output=True,
        ).stdout  # fmt: skip
        return der(SEQUENCE, body, algorithm, der(BITS, b"\x00", signature))

    # ---- requests ----

    def _url(self, *parts):
        return f"https://localhost:{self.port}/" + "/".join(map(str, parts))

    def _answer(self, request):
        with self._guard:
            reply = getattr(self, "_" + request.kind.replace("-", "_"))(request)
            reply.headers["Replay-Nonce"] = f"nonce{next(self._numbers)}"
            return reply

    @staticmethod
    def _json(status, value, **headers):
        return Reply(status, json.dumps(value), {"Content-Type": "application/json", **headers})

    def _directory(self, _):
        urls = {"newNonce": "nonce-plz", "newAccount": "sign-me-up", "newOrder": "order-plz"}
        return self._json(200, {k: self._url(v) for k, v in urls.items()})

    def _nonce(self, _):
        return Reply(200)

    def _account(self, _):
        return self._json(201, {"status": "valid"}, Location=self._url("my-account", 1))

    def _new_order(self, request):
        (name,) = request.names
        self.sent_orders.append((self.clock(), name))
        if self.is_away():
            asked = {"Retry_After": str(self.retry_after)} if self.retry_after else {}
            return Reply.problem(500, "serverInternal", "away", **asked)
        number = next(self._numbers)
        self._orders[number] = {"name": name, "status": "ready"}
        return self._order_reply(201, number)

    def _order_reply(self, status, number):
        order = self._orders[number]
        value = {
            "status": order["status"],
            "identifiers": [{"type": "dns", "value": order["name"]}],
            "authorizations": [self._url("authZ", number)],
            "finalize": self._url("finalize-order", number),
        }
        if order["status"] == "valid":
            value["certificate"] = self._url("certZ", number)
        return self._json(status, value, Location=self._url("my-order", number))

    def _order(self, request):
        return self._order_reply(200, int(request.path.split("/")[2]))

    def _finalize(self, request):
        number = int(request.path.split("/")[2])
        csr = base64.urlsafe_b64decode(request.payload["csr"] + "==")
        order = self._orders[number]
        leaf = self._certify(order["name"], public_key_of(csr), [order["name"]], self.lifetime)
        order.update(status="valid", chain=pem(leaf) + pem(self._root))
        return self._order_reply(200, number)

    def _certificate(self, request):
        chain = self._orders[int(request.path.split("/")[2])]["chain"]
        return Reply(200, chain, {"Content-Type": "application/pem-certificate-chain"})
