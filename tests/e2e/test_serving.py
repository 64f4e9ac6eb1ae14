"""What is served: certificates by SNI, challenges, Kong's answers."""

import base64
import hashlib
import json
import os
import socket
import ssl

import processes
import server
from fake_ca import challenge_of
from harness import Case, declared, document, self_signed, service

CHALLENGE = "/.well-known/acme-challenge/"


def fingerprint_of(pair):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair[0])).hexdigest()


class Certificates(Case):
    def test_order_of_choice(self):
        """Exact, first-label wildcard, last-label wildcard, `*`: Kong's order."""
        pairs = {
            "exact.shop.test": self_signed("exact.shop.test"),
            "*.shop.test": self_signed("*.shop.test"),
            "exact.shop.*": self_signed("last.shop.test"),
            "shop.*": self_signed("shop.test"),
            "*": self_signed("star.test"),
        }
        text = document(certificates=[declared(n, pair=p) for n, p in pairs.items()])
        s = self.server(text)
        s.start()
        wanted = {
            "exact.shop.test": "exact.shop.test",
            "EXACT.Shop.Test": "exact.shop.test",
            "other.shop.test": "*.shop.test",
            "exact.shop.example": "exact.shop.*",
            "shop.example": "shop.*",
            "deep.other.shop.test": "*",
            "nothing.example": "*",
        }
        for name, sni in wanted.items():
            self.assertEqual(fingerprint_of(pairs[sni]), s.fingerprint(name), name)

    def test_default(self):
        s = self.server(document(certificates=[declared("d.test")]))
        s.start()
        default = s.fingerprint()
        self.assertEqual(default, s.fingerprint("unknown.test"))
        self.assertNotEqual(default, s.fingerprint("d.test"))

    def test_default_comes_as_rsa_too(self):
        s = self.server(document(certificates=[declared("d.test")]))
        s.start()
        seen = set()
        for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"):
            context = server.client_context(version=ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(suite)
            seen.add(s.shake_hands(context=context).fingerprint)
        self.assertEqual(2, len(seen))

    def test_default_of_our_own(self):
        pair = self_signed("mine.test")
        paths = [os.path.join(self.folder, name) for name in ("c.pem", "k.pem")]
        for path, text in zip(paths, pair):
            with open(path, "w", encoding="utf-8-sig") as f:
                f.write(text + self_signed("other.test")[1])
        settings = {"ssl_cert": paths[0], "ssl_cert_key": paths[1]}
        s = self.server(document([]), settings=settings)
        s.start()
        self.assertEqual(fingerprint_of(pair), s.fingerprint("unknown.test"))
        (skipped,) = s.events("pem_block_skipped")
        self.assertEqual("ssl_cert", skipped["setting"])
        self.assertEqual("'PRIVATE KEY' is passed over, which is no certificate", skipped["text"])

    def test_default_as_text(self):
        """PEM text in one, base64 of it in the other, broken as base64(1) breaks it: as in Kong."""
        pair = self_signed("mine.test")
        coded = base64.encodebytes(pair[1].encode()).decode()
        s = self.server(document([]))
        s.start(environment={"KONG_SSL_CERT": pair[0], "KONG_SSL_CERT_KEY": coded})
        self.assertEqual(fingerprint_of(pair), s.fingerprint("unknown.test"))
        s.stop()
        lines = [line for line in (pair[1] + coded).splitlines() if "-----" not in line]
        broken = {"lost a dash": pair[1][1:], "cut": coded[:-80], "other": coded.replace("L", "M"), "none": coded[40:]}
        for why, text in broken.items():
            s = self.server(document([]), name=why)
            s.spawn(environment={"KONG_SSL_CERT": pair[0], "KONG_SSL_CERT_KEY": text})
            self.assertEqual(1, s.process.wait(20))
            self.assertIn("reconcert: ssl_cert", s.log_text())
            told = [line for line in lines if line[:16] in s.log_text()]
            self.assertEqual([], told, why)

    def test_two_kinds_in_one_entity(self):
        """cert and cert_alt: which one is served is the client's to say."""
        ecdsa, rsa = self_signed("two.test"), self_signed("two.test", key="rsa")
        entity = declared("two.test", pair=ecdsa)
        entity.update(cert_alt=rsa[0], key_alt=rsa[1])
        s = self.server(document(certificates=[entity]))
        s.start()
        for suite, pair in (("ECDHE-ECDSA-AES128-GCM-SHA256", ecdsa), ("ECDHE-RSA-AES128-GCM-SHA256", rsa)):
            context = server.client_context(version=ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(suite)
            self.assertEqual(
                fingerprint_of(pair), s.shake_hands("two.test", context=context).fingerprint, suite
            )

    def test_only_one_version(self):
        s = self.server(
            document(certificates=[declared("d.test")]),
            settings={"ssl_cipher_suite": "modern"},
        )
        s.start()
        self.assertEqual("TLSv1.3", s.shake_hands("d.test").version)
        with self.assertRaises(OSError):
            s.shake_hands("d.test", context=server.client_context(version=ssl.TLSVersion.TLSv1_2))


class Challenges(Case):
    def test_rules(self):
        """Ours are answered before any route; the rest is as if we were not there."""
        seen = []

        def before(request):
            if request.kind != "challenge" or not request.payload == {}:
                return None
            name, token = challenge_of(ca, request)
            for method in ("GET", "HEAD"):
                seen.append((method, s.ask(CHALLENGE + token, name, method=method), token))
            seen.append(("longer", s.ask(CHALLENGE + token + "x", name), token))
            return None

        text = document(["*.gate.test"], services=[service("web", ["a.gate.test"])])
        ca, s = self.pair(text, before=before)
        s.start()
        s.wait_valid(["a.gate.test"])
        got = {kind: (answer, token) for kind, answer, token in seen}
        answer, token = got["GET"]
        self.assertEqual(200, answer.status)
        self.assertRegex(answer.body.decode(), rf"^{token}\.[A-Za-z0-9_-]{{43}}$")
        self.assertEqual((200, b""), (got["HEAD"][0].status, got["HEAD"][0].body))
        self.assertEqual(404, got["longer"][0].status)

    def test_tokens_that_are_not_ours(self):
        text = document(
            ["*.gate.test"],
            services=[service("web", ["a.gate.test"])],
        )
        s = self.server(text)
        s.start()
        for token in ("unknown", "a" * 43, "un%20known", "../x"):
            answer = s.ask(CHALLENGE + token, "a.gate.test")
            self.assertEqual(404, answer.status, token)
        self.assertEqual("Not found", s.ask(CHALLENGE + "a" * 43, "a.gate.test").json["message"])
        probe = s.ask(CHALLENGE + "x", "a.gate.test")
        self.assertEqual((404, b"Not found\n"), (probe.status, probe.body))
        outside = s.ask(CHALLENGE + "x", "elsewhere.example")
        self.assertEqual("no Route matched with those values", outside.json["message"])

    def test_route_that_names_the_path_keeps_it(self):
        solver = service("solver", ["b.gate.test"], paths=[CHALLENGE.rstrip("/")])
        s = self.server(document(["*.gate.test"], services=[solver]))
        s.start()
        kept = s.ask(CHALLENGE + "a" * 43, "b.gate.test")
        self.assertEqual("no Service found with those values", kept.json["message"])

    def test_both_address_families(self):
        if not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("there is no IPv6 here")
        plain, tls = processes.free_port("::1"), processes.free_port("::1")
        ca = self.pebble(plain, addresses={"6": "::1"})
        listen = f"127.0.0.1:{plain}, [::1]:{plain}, 127.0.0.1:{tls} ssl, [::1]:{tls} ssl"
        s = self.server(document(["six.test"]), ca, {"proxy_listen": listen}, ports=(plain, tls))
        s.start()
        s.wait_valid(["six.test"])
        four, six = s.fingerprint("six.test"), s.shake_hands("six.test", address="::1").fingerprint
        self.assertEqual(four, six)


class Answers(Case):
    def setUp(self):
        super().setUp()
        self.web = self.server(document(services=[service("web", ["web.test", "*.wild.test"])]))
        self.web.start()

    def test_kongs_words(self):
        for tls in (None, server.client_context()):
            port = self.web.tls if tls else self.web.plain
            for host, status, message in (
                ("nobody.test", 404, "no Route matched with those values"),
                ("web.test", 503, "no Service found with those values"),
                ("x.wild.test", 503, "no Service found with those values"),
            ):
                answer = server.ask(port, "/some/path?x=1", host, tls=tls)
                self.assertEqual((status, message), (answer.status, answer.json["message"]))
                self.assertRegex(answer.json["request_id"], "^[0-9a-f]{32}$")
                self.assertIn("application/json", answer.headers["Content-Type"])

    def test_disabled_service_claims_nothing(self):
        content = json.loads(document(services=[service("web", ["web.test"])]))
        content["services"][0]["enabled"] = False
        self.web.write(json.dumps(content))
        processes.wait_until("it is gone", lambda: self.web.ask("/", "web.test").status == 404)

    def test_keep_alive_and_pipelining(self):
        with socket.create_connection(("127.0.0.1", self.web.plain), 10) as raw:
            raw.sendall(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
            text = b""
            while text.count(b"HTTP/1.1 404 ") < 3:
                more = raw.recv(65536)
                self.assertTrue(more, "closed too early")
                text += more

    def vectors(self):
        path = os.path.join(os.environ.get("RECONCERT_CASES", ""), "vectors", "http1_strict.tsv")
        if not os.path.exists(path):
            self.skipTest("the shared cases are not here")
        with open(path, encoding="utf-8") as f:
            for line in f:
                if line.strip() and not line.startswith("#"):
                    name, data, verdict = line.rstrip("\n").split("\t")[:3]
                    data = data.encode("latin-1").decode("unicode_escape").encode("latin-1")
                    yield name, data, verdict

    def test_strict_requests(self):
        """The vectors once more, over the wire: nothing hostile gets a route's answer."""
        for name, data, verdict in self.vectors():
            with self.subTest(name), socket.create_connection(("127.0.0.1", self.web.plain), 10) as raw:
                raw.sendall(data)
                raw.shutdown(socket.SHUT_WR)
                text = b""
                while more := raw.recv(65536):
                    text += more
                statuses = [int(part[:3]) for part in text.split(b"HTTP/1.1 ")[1:]]
                refused = not statuses or statuses[0] in (400, 413, 414, 417, 431, 494, 501, 505)
                if verdict in ("accept", "reject"):
                    self.assertEqual(verdict == "reject", refused, (name, statuses))
